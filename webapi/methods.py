"""The public methods, by version. Add a line to a dict, and a function is an API."""

from apizen import ApiMethodBase, version
from demo import api_demo

__all__ = ["ApiMethodV10", "ApiMethodV11", "ApiMethodV12"]


@version("1.0")
class ApiMethodV10(ApiMethodBase):
    api_methods = {
        "matrix.api.set-user": {"func": api_demo.set_user, "run": "inline"},
        "matrix.api.set-users": {"func": api_demo.set_users, "run": "inline"},
        "matrix.api.return-err": {"func": api_demo.raise_error},
        "matrix.api.err-func": {"func": api_demo.err_func},
        "matrix.api.instance-func": {"func": api_demo.instance_func},
        "matrix.api.class-func": {"func": api_demo.class_func},
    }


@version("1.1")
class ApiMethodV11(ApiMethodV10):
    api_methods = {
        "matrix.api.send-kwargs": {"func": api_demo.send_kwargs},
        "matrix.api.raise-error": {"func": api_demo.raise_error},
    }


@version("1.2")
class ApiMethodV12(ApiMethodV11):
    api_methods = {
        "matrix.api.only-post": {"func": api_demo.raise_error, "method": ["post"]},
        "matrix.api.api-stop": {"func": api_demo.raise_error, "enable": False},
    }
