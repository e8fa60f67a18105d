from __future__ import annotations

import pytest

from apizen.exception import ApiSysExceptions
from apizen.servers.body_budget import BodyBudget
from apizen.servers.incoming_body import IncomingBody


def body_of(*chunks, most=100, limit=None, unread=None):
    body = IncomingBody(BodyBudget(), most)
    if limit is not None:
        body.limit(limit)
    if unread is not None:
        body.throw_away(unread)
    for chunk in chunks:
        body.add(chunk)
    return body


@pytest.mark.parametrize(("chunks", "whole"), [([], b""), ([b"one"], b"one"), ([b"one", b"two"], b"onetwo")])
def test_all_of_it(chunks, whole):
    body = body_of(*chunks)
    assert (body.received, body.take(), body.take()) == (len(whole), whole, b"")


def test_the_limit_is_checked_when_it_is_known():
    body_of(b"x" * 200)
    body_of(b"x" * 10, limit=10)
    with pytest.raises(ApiSysExceptions.body_too_large, match="上限为 10 字节"):
        body_of(b"x" * 5, b"x" * 6, limit=10)


def test_what_nobody_reads_is_counted_only():
    body = body_of(b"one", unread=10)
    assert (body.received, body.kept, body.take()) == (3, False, b"")
    with pytest.raises(ApiSysExceptions.body_too_large):
        body.add(b"x" * 8)


@pytest.mark.parametrize("unread", [None, 100])
def test_it_counts_for_the_budget_until_its_end(unread):
    budget = BodyBudget(most=100)
    body = IncomingBody(budget, 100)
    if unread is not None:
        body.throw_away(unread)
    body.add(b"x" * 60)
    body.take()
    assert budget.held == 60
    with pytest.raises(ApiSysExceptions.service_busy):
        IncomingBody(budget, 100).add(b"x" * 50)
    for _ in range(2):
        body.end()
        assert budget.held == 0


def test_a_piece_that_is_too_much_is_given_back_too():
    budget = BodyBudget()
    body = IncomingBody(budget, 100)
    body.limit(5)
    with pytest.raises(ApiSysExceptions.body_too_large):
        body.add(b"x" * 6)
    body.end()
    assert budget.held == 0
