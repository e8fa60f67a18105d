"""The application: which functions are public, and its business errors."""

from __future__ import annotations

from apizen import application
from apizen.application import App
from apizen.settings import Settings

__all__ = ["make_app"]


def make_app(settings: Settings) -> App:
    """The application of this repository: the versions in `webapi.methods` and in ``settings.methods``."""
    import webapi.methods  # noqa: F401  (importing it registers the versions)

    return application.make_app(settings)
