"""Plain functions, as a user would write them."""

from demo.api_demo import ApiDemo

__all__ = ["api_demo"]

api_demo = ApiDemo()
