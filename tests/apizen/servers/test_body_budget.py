from __future__ import annotations

import pytest

from apizen.body_size import LARGE_BODY
from apizen.exception import ApiSysExceptions
from apizen.servers.body_budget import BodyBudget


def test_a_quarter_is_kept_for_small_bodies() -> None:
    budget = BodyBudget(most=4 * LARGE_BODY)
    for came in range(1, 4):
        budget.take(LARGE_BODY, of=came * LARGE_BODY)
    with pytest.raises(ApiSysExceptions.service_busy) as caught:
        budget.take(1, of=LARGE_BODY + 1)
    assert str(caught.value) == "服务繁忙，请求体占用的内存已达上限"
    assert caught.value.headers == {"Retry-After": "1"}
    budget.take(LARGE_BODY, of=LARGE_BODY)
    with pytest.raises(ApiSysExceptions.service_busy):
        budget.take(1, of=1)
    assert budget.held == 4 * LARGE_BODY
    budget.give_back(1)
    budget.take(1, of=1)
