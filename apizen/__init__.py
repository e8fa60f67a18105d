"""api zen: a plain Python function becomes a governed web API by adding one line to a dictionary.

This is the framework; nothing of an application, of the demo or of the screen share belongs here.
"""

from apizen.schema import UploadFile
from apizen.version import ApiMethodBase, ApiMethodsBase, version

__all__ = ["ApiMethodBase", "ApiMethodsBase", "UploadFile", "__version__", "version"]

__version__ = "0.1.0"
