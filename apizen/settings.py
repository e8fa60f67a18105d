"""The settings: one table, from which come the command-line options, the environment variables
(``APIZEN_…``) and the keys of the TOML file.

The command line wins over the environment, the environment over the file, the file over the default.

>>> Settings().port, known_variables()['APIZEN_MAX_BODY']
(8010, 'max_body')
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from apizen.exception import hint_at

__all__ = ["Settings", "SettingsError", "known_variables", "read_file", "unknown_variables"]

PREFIX = "APIZEN_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"


class SettingsError(ValueError):
    """A setting that does not exist or has a value that it can't have."""


def _setting(default: Any, explanation: str) -> Any:
    return field(default=default, metadata={"help": explanation})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Raises `SettingsError` for a value out of range."""

    host: str = _setting("127.0.0.1", "address to listen on; 0.0.0.0 for all")
    port: int = _setting(8010, "port to listen on; 0 takes a free one")
    debug: bool = _setting(False, "reload on change, log each call, tell exceptions to clients")
    methods: tuple[str, ...] = _setting((), "further modules with versions, as shop.methods")
    response_key: str = _setting("response", "name of the envelope's result; old clients want respone")
    cors_origin: str = _setting("*", "value of Access-Control-Allow-Origin; empty for none")
    max_body: int = _setting(10 * 1024 * 1024, "largest request body in bytes")
    timeout: float = _setting(30.0, "seconds that a call may take, where its entry says nothing")
    threads: int = _setting(64, "threads for plain functions")
    queue: int = _setting(1000, "calls that may wait for a thread")
    overrun: int = _setting(32, "threads of one method that may be stuck before it is refused")

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                raise SettingsError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.port > 65535:
            raise SettingsError(f"port must be at most 65535, not {self.port}")
        if not self.timeout < float("inf"):
            raise SettingsError(f"timeout must be a number of seconds, not {self.timeout}")
        if not self.cors_origin.isascii() or not self.cors_origin.isprintable():
            raise SettingsError(f"cors_origin must be printable ASCII, not {self.cors_origin!r}")
        if not self.response_key or self.response_key == "meta":
            raise SettingsError(f"response_key can't be {self.response_key!r}")


_LEAST = {"port": 0, "max_body": 0, "timeout": 0.001, "threads": 2, "queue": 0, "overrun": 1}


def known_variables() -> dict[str, str]:
    """The environment variables, with the setting that each one sets."""
    return {PREFIX + setting.name.upper(): setting.name for setting in fields(Settings)}


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each ``APIZEN_…`` variable that sets nothing."""
    known = [*known_variables(), CONFIG_VARIABLE]
    return [
        f"unknown environment variable {name}, {hint_at(name, known)}"
        for name in environment
        if name.startswith(PREFIX) and name not in known
    ]


def read_file(path: Path) -> dict[str, Any]:
    """The settings of a TOML file. Raises `SettingsError`."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error
    types = {setting.name: type(setting.default) for setting in fields(Settings)}
    for name, value in values.items():
        if name not in types:
            raise SettingsError(f"{path}: unknown setting {name!r}, {hint_at(name, list(types))}")
        expected: type = list if types[name] is tuple else types[name]
        if type(value) is not expected and not (expected is float and type(value) is int):
            raise SettingsError(f"{path}: {name} must be of type {expected.__name__}, not {value!r}")
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise SettingsError(f"{path}: {name} must be a list of texts, not {value!r}")
    return values
