"""From settings and entries to guards and doors."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import limits
import pytest

from apizen.application import make_app
from apizen.governance.error import CountersFull
from apizen.governance.stores.base import COUNTED_CALLERS, Group, places_of
from apizen.settings import Settings, SettingsError
from tests.support import registry_of, serving

MINUTE = limits.parse("3/minute")
RATE = "a rate is written as 100/minute or 5/10 seconds, with second, minute, hour or day"


def one() -> int:
    return 1


def app_of(entry: dict[str, Any], **settings: Any) -> Any:
    options = {"access_log": "off", "metrics": False, **settings}
    return make_app(Settings(**options), registry_of({"m": {"func": one, **entry}}))


@pytest.mark.parametrize(
    ("entry", "settings", "guards"),
    [
        ({}, {}, []),
        ({"auth": None, "rate": None}, {}, []),
        ({"auth": "sign"}, {}, ["SignatureGuard", "_RateGuard"]),
        ({}, {"auth": "sign"}, ["SignatureGuard", "_RateGuard"]),
        ({"auth": None}, {"auth": "sign"}, []),
        ({"auth": "sign", "rate": None}, {}, ["SignatureGuard"]),
        ({"rate": "1/minute"}, {}, ["_RateGuard"]),
        ({}, {"rate": "1/minute"}, ["_RateGuard"]),
        ({}, {"rate_total": "1/minute"}, ["_RateGuard"]),
        ({"rate": None}, {"rate": "1/minute", "rate_total": "1/minute"}, []),
    ],
)
def test_guards_of_an_entry(entry: dict[str, Any], settings: dict[str, Any], guards: list[str]) -> None:
    endpoint = app_of(entry, **settings).catalogue.find("1.0", "m")
    assert [type(guard).__name__ for guard in endpoint.guards] == guards


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"auth": "token"}, "auth must be 'sign' or None, not 'token'"),
        ({"auth": True}, "auth must be 'sign' or None, not True"),
        ({"rate": 5}, "rate must be a text, as '100/minute', or None, not 5"),
        ({"rate": "often"}, f"{RATE}, not 'often'"),
        ({"rate": "0/minute"}, "a rate must be of 1 to 1000000000 calls in 1 second to 366 days, not '0/minute'"),
    ],
)  # fmt: skip
def test_entry_with_a_problem(entry: dict[str, Any], reason: str) -> None:
    [problem] = app_of(entry).catalogue.problems
    assert problem.reason.startswith(f"{reason}; registered in ")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"auth": "token"}, r"auth must be sign or empty, not 'token'"),
        ({"rate": "often"}, r"a rate is written as .*, not 'often'"),
        ({"rate_total": "often"}, r"a rate is written as .*, not 'often'"),
        ({"lockout": "often"}, r"a rate is written as .*, not 'often'"),
        ({"lockout_seconds": 0}, r"lockout_seconds must be at least 1, not 0"),
        ({"sign_methods": ("sha1",)}, r"there is no sign_method 'sha1'"),
        ({"sign_methods": ()}, r"sign_methods must name some of"),
        ({"time_zone": "Peking"}, r"Peking"),
        ({"store": "http://127.0.0.1"}, r"Redis URL must specify"),
        ({"trusted_proxies": ("office",)}, r"'office' is no address and no network"),
        ({"fail_open": ("rat",)}, r"fail_open: 'rat' has no store, did you mean 'rate'\?"),
        ({"access_log": "../log"}, r"access_log must be stdout, off or the name of a file, not '\.\./log'"),
        ({"access_log": ".."}, r"access_log must be stdout, off or the name of a file, not '\.\.'"),
        *(
            (
                {"access_log": name},
                f"access_log can't be '{name}', which is the name of another file in the data folder",
            )
            for name in ("secret.key", "apizen.db", "apizen.db-wal", "counters", "claims")
        ),
        ({"access_log": ""}, r"access_log must be stdout, off or the name of a file, not ''"),
        ({"data": ""}, r"data must be the name of a folder"),
        ({"workers": 0}, r"workers must be at least 1, not 0"),
        ({"counted_callers": 1023}, r"counted_callers must be at least 1024, not 1023"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        app_of({"auth": "sign"}, **settings)


@pytest.mark.parametrize("workers", [1, 2])
def test_counters_have_as_many_places_as_the_setting_says(tmp_path: Path, workers: int) -> None:
    app = app_of({"auth": "sign"}, data=str(tmp_path), workers=workers, counted_callers=1024)
    [governance] = [service for service in app.services if type(service).__name__ == "Governance"]
    counters = governance._counters
    assert governance.times_full() == 0
    for group in Group:
        counted = 0
        with contextlib.suppress(CountersFull):
            while counted <= places_of(1024)[group]:
                counters.hit([(MINUTE, str(counted))], group)
                counted += 1
        assert places_of(1024)[group] / 2 < counted <= places_of(1024)[group]
    assert governance.times_full() == len(Group)
    counters.close()
    assert Settings().counted_callers == COUNTED_CALLERS


def test_what_is_off_costs_nothing(tmp_path: Path) -> None:
    """Neither counters nor lock-outs are made, and nothing is written."""
    app = app_of({}, data=str(tmp_path / "data"))
    [governance] = [service for service in app.services if type(service).__name__ == "Governance"]
    assert (governance._state._counters, governance._lockout) == (None, None)
    governance.occupy()
    assert len(governance.doors) == 2
    with serving({"m": {"func": one}}, data=str(tmp_path / "data")) as server:
        assert server.get("v=1.0&method=m").response == 1
    assert not (tmp_path / "data").exists()


def test_bans_that_were_never_read(tmp_path: Path) -> None:
    """A database that can't be read: the default is closed."""
    (tmp_path / "apizen.db").write_bytes(b"no database at all" * 100)
    with serving({"m": {"func": one}}, data=str(tmp_path)) as server:
        refused = server.get("v=1.0&method=m")
        assert (refused.status, refused.meta[0], refused.headers["Retry-After"]) == (503, 1030, "5")
        assert server.send("GET", "/healthz").status == 200
        ready = server.send("GET", "/readyz")
        assert (ready.status, ready.json["reason"]) == (503, "the database of apps and bans could not be read")
    with serving({"m": {"func": one}}, data=str(tmp_path), fail_open=("ban", "rate")) as server:
        assert server.get("v=1.0&method=m").response == 1
