"""The business errors of this application, from 2000: those that the functions of `webapi.methods` raise."""

from demo.exception import ApiSubExceptions

__all__ = ["ApiSubExceptions"]
