"""Which form an Accept header asks for, and how long it may think about that."""

from __future__ import annotations

import time

import pytest

from apizen.faces.negotiation import accepts_xml

CHOICES = {
    "": False,
    "*/*": False,
    "application/json": False,
    "application/xml": True,
    "text/xml": True,
    "text/*": True,
    "application/*": False,
    "application/json;q=0.5, application/xml": True,
    "application/json, application/xml;q=0.5": False,
    "application/json;q=0, application/xml;q=0": None,
    "image/png": None,
    "text/html, application/xml;q=0.9, */*;q=0.8": False,
    "application/xml;q=nonsense": True,
    "image/png," * 99 + "application/xml": True,
    "image/png," * 100 + "application/xml": None,
}


@pytest.mark.parametrize("accept", CHOICES, ids=lambda accept: accept[:40])
def test_choice(accept: str) -> None:
    assert accepts_xml(accept) is CHOICES[accept]


def seconds(accept: str) -> float:
    def once() -> float:
        accepts_xml.cache_clear()
        started = time.perf_counter()
        accepts_xml(accept)
        return time.perf_counter() - started

    return min(once() for _ in range(5))


@pytest.mark.parametrize("item", [",", "a/b,", "a/b;q=1,", "*/*;q=0.5;a=b,"])
def test_a_long_header_takes_no_longer(item: str) -> None:
    assert seconds(item * (60_000 // len(item))) < 4 * seconds(item * 100)
