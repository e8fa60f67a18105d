"""The catalogue: all methods of all versions, compiled when the server starts, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from apizen.endpoint import Endpoint
from apizen.exception import ApiSysExceptions

__all__ = ["Catalogue", "Problem", "is_version"]


class Problem(NamedTuple):
    """An entry that can't work, and why."""

    version: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"version {self.version}, method {self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All versions after start-up.

    ``versions`` has each version, and whether it is enabled. ``methods`` has, for each enabled version, its endpoints
    by method name. None stands there for an entry that can't work; one of the ``problems`` says why.
    """

    versions: Mapping[str, bool]
    methods: Mapping[str, Mapping[str, Endpoint | None]]
    problems: tuple[Problem, ...]

    def find(self, version: str, name: str) -> Endpoint:
        """The endpoint. Raises 1005, 1006, 1016, 1013 and 1020."""
        methods = self.methods.get(version)
        if methods is None:
            raise _no_version(version, self.versions)
        endpoint = methods.get(name)
        if endpoint is None:
            raise ApiSysExceptions.error_api_config if name in methods else ApiSysExceptions.invalid_method
        if not endpoint.enable:
            raise ApiSysExceptions.api_stop(headers={"Allow": endpoint.allow})
        return endpoint


def _no_version(version: str, versions: Mapping[str, bool]) -> Exception:
    if version in versions:
        return ApiSysExceptions.invalid_version(message="接口版本已停用")
    if version and not is_version(version):
        return ApiSysExceptions.invalid_version()
    return ApiSysExceptions.unsupported_version()


def is_version(name: str) -> bool:
    """Whether this can be a version's name.

    >>> is_version('1.0'), is_version('1 0')
    (True, False)
    """
    return len(name) <= 64 and name.isprintable() and not any(map(str.isspace, name))
