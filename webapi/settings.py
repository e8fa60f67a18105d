"""The settings of this application: those of the gateway, and those of the screen share."""

from __future__ import annotations

from dataclasses import dataclass

from apizen.settings import Settings, SettingsError, setting

__all__ = ["AppSettings"]


@dataclass(frozen=True, slots=True)
class AppSettings(Settings):
    lan: bool = setting(False, "listen on all addresses, as --host 0.0.0.0")
    screen: bool = setting(False, "share the screen of this machine at /screen")
    screen_source: str = setting(
        "screen", "screen, screen:2, screen:all, screen:x,y,w,h, camera:0, file:…, rtsp://…, test"
    )
    screen_pin: str = setting("", "PIN of the viewers; a new one at each start by default")
    screen_open: bool = setting(False, "let anybody watch, without a PIN")
    screen_pin_local: bool = setting(False, "ask for the PIN on this machine, too: for a tunnel or a forwarder")
    screen_hosts: tuple[str, ...] = setting((), "further names of this machine, as share.example.com")
    screen_fps: float = setting(15.0, "frames a second of the middle quality")
    screen_width: int = setting(1366, "pixels across of the middle quality")
    screen_quality: int = setting(80, "JPEG quality of the middle quality, 1 to 100")
    screen_max_viewers: int = setting(50, "viewers at the same time")

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.lan:
            object.__setattr__(self, "host", "0.0.0.0")  # noqa: S104 (what was asked for)
        if not 0.1 <= self.screen_fps <= 60:
            raise SettingsError(f"screen_fps must be 0.1 to 60, not {self.screen_fps}")
        if not 64 <= self.screen_width <= 7680:
            raise SettingsError(f"screen_width must be 64 to 7680, not {self.screen_width}")
        if not 1 <= self.screen_quality <= 100:
            raise SettingsError(f"screen_quality must be 1 to 100, not {self.screen_quality}")
        if self.screen_max_viewers < 1:
            raise SettingsError(f"screen_max_viewers must be at least 1, not {self.screen_max_viewers}")
