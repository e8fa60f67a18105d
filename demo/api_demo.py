"""Functions of every kind that can become an API: static, class and instance methods, decorated ones."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from demo.exception import ApiSubExceptions

__all__ = ["ApiDemo", "test_decorator"]

P = ParamSpec("P")
R = TypeVar("R")


def test_decorator(func: Callable[P, R]) -> Callable[P, R]:
    """A decorator that keeps the signature: functools.wraps is all that it takes."""

    @wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return func(*args, **kwargs)

    return wrapper


class ApiDemo:
    def __init__(self) -> None:
        self.value: Any = None

    @staticmethod
    @test_decorator
    def set_user(user_id: int, name: str, mark: float = None, age: int = 19):  # type: ignore[assignment] # the seed's
        """Gives back what it was called with, each value in its declared type."""
        return [{"user_id": user_id, "name": name, "age": age, "mark": mark}]

    @staticmethod
    def set_users(users: list):
        """Gives back a few members of each user."""

        def return_users():
            for user in users:
                yield {"user_id": user.get("user_id"), "name": user.get("name"), "age": user.get("age")}

        return list(return_users())

    def instance_func(self, value):
        """An instance method: ``self`` is the object that was registered."""
        self.value = value
        return self.value

    @classmethod
    def class_func(cls, name):
        return {"name": name}

    @staticmethod
    def err_func(self):
        """A mistake, shown on purpose: in a static method ``self`` is a parameter like any other."""
        return self

    @staticmethod
    def send_kwargs(value: str, **kwargs):
        """Takes any parameters."""
        return {"value": value, "kwargs": kwargs}

    @staticmethod
    def raise_error():
        """Raises a business error: its code and HTTP status are the answer's."""
        raise ApiSubExceptions.unknown_error
