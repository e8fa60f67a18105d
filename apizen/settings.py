"""The settings: one table, from which come the command-line options, the environment variables
(``APIZEN_…``) and the keys of the TOML file.

An application that has settings of its own declares them in a subclass of `Settings`.

The command line wins over the environment, the environment over the file, the file over the default.

>>> Settings().port, known_variables(Settings)['APIZEN_MAX_BODY']
(8010, 'max_body')
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from apizen.body_size import DEFAULT_MAX_BODY
from apizen.suggestion import hint_at

__all__ = ["Settings", "SettingsError", "known_variables", "read_file", "setting", "unknown_variables"]

PREFIX = "APIZEN_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"


class SettingsError(Exception):
    """A setting that does not exist or has a value that it can't have."""


def setting(default: Any, explanation: str) -> Any:
    """A field of a settings class, with what its option's help says."""
    return field(default=default, metadata={"help": explanation})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Raises `SettingsError` for a value out of range."""

    host: str = setting("127.0.0.1", "address to listen on; 0.0.0.0 for all")
    port: int = setting(8010, "port to listen on; 0 takes a free one")
    debug: bool = setting(False, "reload on change, log each call, tell exceptions to clients")
    methods: tuple[str, ...] = setting((), "further modules with versions, as shop.methods")
    response_key: str = setting("response", "name of the envelope's result; old clients want respone")
    cors_origin: str = setting("*", "value of Access-Control-Allow-Origin; empty for none")
    max_body: int = setting(DEFAULT_MAX_BODY, "largest request body in bytes, where a method's entry says nothing")
    max_answer: int = setting(64 * 1024 * 1024, "largest answer of a method in bytes")
    timeout: float = setting(30.0, "seconds that a call may take, where its entry says nothing")
    threads: int = setting(64, "threads for plain functions")
    queue: int = setting(1000, "calls that may wait for a thread")
    overrun: int = setting(32, "threads of one method that may be stuck before it is refused")
    workers: int = setting(1, "processes that serve")
    max_connections: int = setting(0, "connections that a process takes; by default 10000, or what ulimit -n allows")
    data: str = setting("data", "folder for everything that the server writes")
    database: str = setting("", "SQLAlchemy URL of apps and bans; SQLite in the data folder by default")
    store: str = setting("", "Redis URL of limits and nonces; memory, or a file for several workers, by default")
    secret_key: str = setting("", "key of the apps' secrets at rest; by default a file in the data folder")
    trusted_proxies: tuple[str, ...] = setting((), "networks whose X-Forwarded-For is believed")
    auth: str = setting("", "sign: every method takes signed calls only, where its entry says nothing")
    sign_methods: tuple[str, ...] = setting(
        ("hmac-sha256-v2", "hmac-sha256", "hmac", "md5"), "ways to sign that are accepted"
    )
    time_zone: str = setting("+08:00", "zone of a timestamp that is written as a date")
    rate: str = setting("", "calls of one caller to one method, as 100/minute, where its entry says nothing")
    rate_total: str = setting("", "calls of one caller to all methods together, as 1000/minute")
    lockout: str = setting("20/minute", "failed calls of one caller before it is locked out; empty for never")
    lockout_seconds: int = setting(300, "seconds that a lock-out lasts")
    counted_callers: int = setting(65_536, "addresses that are counted by themselves; beyond that their networks are")
    fail_open: tuple[str, ...] = setting(("rate",), "what lets calls pass when its store fails: sign, ban, rate")
    access_log: str = setting("stdout", "stdout, off, or the name of a rotating file in the data folder")
    log_parameters: bool = setting(False, "write the parameters of each call to the access log, secrets masked")
    metrics: bool = setting(True, "count and time calls, and show it at /metrics")

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
        self._check_governance()

    def _check_governance(self) -> None:
        if self.auth not in ("", "sign"):
            raise SettingsError(f"auth must be sign or empty, not {self.auth!r}")
        for name in self.fail_open:
            if name not in _STORED:
                raise SettingsError(f"fail_open: {name!r} has no store, {hint_at(name, list(_STORED))}")
        log = self.access_log
        if Path(log).name != log or log in ("", ".."):
            raise SettingsError(f"access_log must be stdout, off or the name of a file, not {log!r}")
        if log in _TAKEN or log.startswith("apizen.db"):
            raise SettingsError(f"access_log can't be {log!r}, which is the name of another file in the data folder")
        if not self.data:
            raise SettingsError("data must be the name of a folder")


# What else lies in the data folder: the key, the database, the counters of several workers, and the claims.
_TAKEN = ("secret.key", "counters", "claims")
_STORED = ("sign", "ban", "rate")
_LEAST = {
    "port": 0, "max_body": 0, "max_answer": 1, "timeout": 0.001, "threads": 2, "queue": 0, "overrun": 1,
    "workers": 1, "max_connections": 0, "lockout_seconds": 1, "counted_callers": 1024,
}  # fmt: skip


def known_variables(settings_type: type[Settings]) -> dict[str, str]:
    """The environment variables, with the setting that each one sets."""
    return {PREFIX + each.name.upper(): each.name for each in fields(settings_type)}


def unknown_variables(environment: Mapping[str, str], settings_type: type[Settings]) -> list[str]:
    """A sentence for each ``APIZEN_…`` variable that sets nothing."""
    known = [*known_variables(settings_type), CONFIG_VARIABLE]
    return [
        f"unknown environment variable {name}, {hint_at(name, known)}"
        for name in environment
        if name.startswith(PREFIX) and name not in known
    ]


def read_file(path: Path, settings_type: type[Settings]) -> dict[str, Any]:
    """The settings of a TOML file. Raises `SettingsError`."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error
    types = {each.name: type(each.default) for each in fields(settings_type)}
    for name, value in values.items():
        if name not in types:
            raise SettingsError(f"{path}: unknown setting {name!r}, {hint_at(name, list(types))}")
        expected: type = list if types[name] is tuple else types[name]
        if type(value) is not expected and not (expected is float and type(value) is int):
            raise SettingsError(f"{path}: {name} must be of type {expected.__name__}, not {value!r}")
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise SettingsError(f"{path}: {name} must be a list of texts, not {value!r}")
    return values
