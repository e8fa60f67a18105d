"""The application: which functions are public, their errors, the settings, the screen share; no function itself."""

from __future__ import annotations

from apizen import application
from apizen.application import Application
from apizen.settings import Settings, SettingsError
from webapi.settings import AppSettings

__all__ = ["AppSettings", "make_app"]


def make_app(settings: Settings) -> Application:
    """The application of this repository: the versions in `webapi.methods` and in ``settings.methods``."""
    import webapi.methods  # noqa: F401  (importing it registers the versions)

    if not isinstance(settings, AppSettings) or not settings.screen:
        return application.make_app(settings)
    if settings.workers > 1:
        raise SettingsError("the screen is shared by one process: serve it with --workers 1, or by a server of its own")
    from screenshare.libraries import check_libraries
    from screenshare.share import ScreenShare

    try:
        check_libraries()
        screen = ScreenShare(
            source=settings.screen_source,
            pin=settings.screen_pin,
            open_to_all=settings.screen_open,
            pin_local=settings.screen_pin_local,
            hosts=(*filter(None, [settings.host]), *settings.screen_hosts),
            width=settings.screen_width,
            quality=settings.screen_quality,
            fps=settings.screen_fps,
            max_viewers=settings.screen_max_viewers,
        )
    except (ModuleNotFoundError, ValueError) as error:
        raise SettingsError(str(error)) from error
    return application.make_app(settings, handlers=screen.rules, services=(screen,))
