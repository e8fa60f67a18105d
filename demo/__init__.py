"""Plain functions and the errors they raise, as a user would write them; nothing of `webapi`, and of `apizen` only its
exceptions.
"""

from demo.api_demo import ApiDemo

__all__ = ["api_demo"]

api_demo = ApiDemo()
