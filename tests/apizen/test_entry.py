from __future__ import annotations

from typing import Any

import pytest

from apizen.entry import Entry, Key, flag
from apizen.settings import Settings


def kept(value: Any) -> Any:
    return value


BODY = Key("max_body", kept, setting="max_body")
RATE = Key("rate", kept, default="none", setting="rate")
VERBS = Key("method", kept, default=["get"], also="methods")


@pytest.mark.parametrize(
    ("written", "settings", "key", "value"),
    [
        ({}, {"max_body": 5}, BODY, 5),
        ({}, {"max_body": 0}, BODY, 0),
        ({"max_body": 0}, {"max_body": 5}, BODY, 0),
        ({"max_body": None}, {"max_body": 5}, BODY, None),
        ({}, {}, RATE, "none"),
        ({}, {"rate": "1/day"}, RATE, "1/day"),
        ({"rate": ""}, {"rate": "1/day"}, RATE, ""),
        ({}, {}, VERBS, ["get"]),
        ({"methods": "put"}, {}, VERBS, "put"),
    ],
)
def test_value(written: dict[str, Any], settings: dict[str, Any], key: Key[Any], value: Any) -> None:
    entry = Entry(written, [BODY, RATE, VERBS], Settings(**settings))
    assert entry[key] == value
    assert entry.has(key) is bool(written)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ({"method": "get", "methods": "get"}, "method is given under both of its spellings"),
        ({"mehtod": "get"}, "unknown key 'mehtod' in its entry, did you mean 'method'?"),
    ],
)
def test_refused(written: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        Entry(written, [VERBS], Settings())[VERBS]
    assert str(caught.value) == reason


def test_a_key_has_one_declaration() -> None:
    Entry({}, [RATE, RATE], Settings())
    with pytest.raises(ValueError, match="the key 'rate' of an entry is declared twice"):
        Entry({}, [RATE, Key("rate", kept)], Settings())


@pytest.mark.parametrize("value", [None, 0, "yes"])
def test_flag(value: Any) -> None:
    assert [flag("enable")(known) for known in (True, False)] == [True, False]
    with pytest.raises(ValueError, match="enable must be True or False, not "):
        flag("enable")(value)
