"""Plain functions and their errors, as a user would write them; of the framework only its exceptions are used."""

from demo.api_demo import ApiDemo

__all__ = ["api_demo"]

api_demo = ApiDemo()
