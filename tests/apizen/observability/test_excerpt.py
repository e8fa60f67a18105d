from __future__ import annotations

import json
from typing import Any

import pytest

from apizen.observability.excerpt import masked_parameters


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ({}, {}),
        ({"a": 1, "b": 1.5, "c": None, "d": True, "e": "x"}, {"a": 1, "b": 1.5, "c": None, "d": True, "e": "x"}),
        ({"Password": {"a": 1}, "sign": "x"}, {"Password": "***", "sign": "***"}),
        ({"users": [{"name": "jack", "token": "x"}]}, {"users": [{"name": "jack", "token": "***"}]}),
        ({"json": '{"password":"x"}'}, {"json": '{"password":"***"}'}),
        ({"a": "x" * 300}, {"a": "x" * 199 + "…"}),
        ({"a" * 300: "x"}, {"a" * 199 + "…": "***"}),
        ({"a": b"x", "b": {1, 2}}, {"a": "<bytes>", "b": "<set>"}),
        ({"a": 10**400}, {"a": "…"}),
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, {"a": {"b": {"c": {"d": {"…": "1 more"}}}}}),
        ({"a": (1, [[[[2]]]])}, {"a": [1, [[["… 1 more"]]]]}),
        ({"a": list(range(100))}, {"a": [*range(29), "… 71 more"]}),
    ],
)
def test_masked_parameters(parameters, shown):
    assert masked_parameters(parameters) == shown


class Changing(dict):  # type: ignore[type-arg]
    """Is changed by another thread at the worst of moments."""

    def items(self) -> Any:
        for item in super().items():
            self[f"more {len(self)}"] = 1
            yield item


def test_masked_parameters_that_change():
    assert masked_parameters(Changing(a=1, b=2)) == {"…": "they change"}


def test_masked_parameters_are_few():
    shown = masked_parameters({f"name-{number}": "v" * 1000 for number in range(1000)})
    assert len(json.dumps(shown)) < 2500
