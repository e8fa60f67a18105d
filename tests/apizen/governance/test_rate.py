import asyncio
import re
import time

import limits
import pytest

from apizen.call import Call
from apizen.call_plan import CallPlan
from apizen.caller import Caller
from apizen.entry import Entry
from apizen.exception import ApiException
from apizen.governance.auth import AUTH
from apizen.governance.error import CountersError
from apizen.governance.limit import parse_rate
from apizen.governance.rate import RateGuards, Rates
from apizen.governance.stores.base import outcome_of
from apizen.governance.stores.memory import MemoryCounters
from apizen.governance.stores.redis import RedisCounters
from apizen.settings import Settings
from tests.services import redis
from tests.worst import seconds_of


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


class Broken(MemoryCounters):
    """A store that fails."""

    def hit(self, hits, group=None):
        raise CountersError("no such host")


def asking(address="192.0.2.7", app="", rate="", method="m"):
    made = Call(Caller(address))
    made.caller.app, made.caller.rate, made.method = app, rate, method
    return made


def rates_of(default="", total="", counters=None, fail_open=True):
    return Rates(counters or MemoryCounters(), default=default, total=total, fail_open=fail_open)


def call(guard, **whose):
    """What a call gets: its error, or None, and its headers."""
    asked = asking(**whose)
    try:
        asyncio.run(outcome_of(guard.check(asked)))
    except ApiException as error:
        return error, dict(asked.headers)
    return None, dict(asked.headers)


def passed(guard, times, **whose):
    return sum(call(guard, **whose)[0] is None for _ in range(times))


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [
        ("100/minute", 100, 60), ("1/second", 1, 1), ("5 per 10 seconds", 5, 10), ("20 / 2 HOURS", 20, 7200),
        ("1000000/day", 1_000_000, 86_400),
    ],
)  # fmt: skip
def test_parse_rate(text, amount, seconds):
    limit = parse_rate(text)
    assert (limit.amount, limit.get_expiry()) == (amount, seconds)


@pytest.mark.parametrize(
    "text", ["", "100", "x/minute", "100/fortnight", "1/second; 5/minute", "-1/minute", "1.5/minute"]
)
def test_parse_rate_what_is_none(text):
    with pytest.raises(ValueError) as caught:
        parse_rate(text)
    assert str(caught.value) == (
        f"a rate is written as 100/minute or 5/10 seconds, with second, minute, hour or day, not {text!r}"
    )


@pytest.mark.parametrize("text", ["0/minute", "1000000001/minute", "1/2 years", "5/0 seconds"])
def test_parse_rate_out_of_range(text):
    with pytest.raises(ValueError) as caught:
        parse_rate(text)
    assert str(caught.value) == f"a rate must be of 1 to 1000000000 calls in 1 second to 366 days, not {text!r}"


@pytest.mark.parametrize("wrong", [{"default": "often"}, {"total": "often"}])
def test_rates_wrong_setting(wrong):
    with pytest.raises(ValueError, match="not 'often'"):
        rates_of(**wrong)


@pytest.mark.parametrize("rate", ["often", 100, 0, False, ["1/minute"]])
def test_entry_with_a_wrong_rate(rate):
    maker = RateGuards(rates_of, every=False)
    entry = Entry({"rate": rate}, maker.keys, Settings())
    with pytest.raises(ValueError, match=re.escape(f"not {rate!r}")):
        maker.guard(entry, CallPlan.of(lambda: None))


@pytest.mark.parametrize(
    ("entry", "settings", "there"),
    [
        ({}, {}, False), ({"rate": "1/minute"}, {}, True), ({"rate": None}, {"rate": "1/minute"}, False),
        ({}, {"rate": "1/minute"}, True), ({}, {"rate_total": "1/minute"}, True), ({"rate": ""}, {}, False),
        ({"auth": "sign"}, {}, True), ({}, {"auth": "sign"}, True), ({"auth": None}, {"auth": "sign"}, False),
    ],
)  # fmt: skip
def test_which_methods_have_a_guard(entry, settings, there):
    chosen = Settings(**settings)
    rates = rates_of(chosen.rate, chosen.rate_total)
    maker = RateGuards(lambda: rates, every=bool(chosen.rate or chosen.rate_total))
    found = maker.guard(Entry(entry, (AUTH, *maker.keys), chosen), CallPlan.of(lambda: None))
    assert (found is not None) is there


@pytest.mark.parametrize(
    ("total", "rate", "signed", "there"),
    [
        ("", "", False, False), ("", "", True, True), ("9/minute", "", False, True), ("", "9/minute", False, True),
        ("9/minute", None, True, False), ("", None, False, False),
    ],
)  # fmt: skip
def test_guard_where_nothing_limits(total, rate, signed, there):
    assert (rates_of(total=total).guard(rate, signed=signed) is not None) is there


def test_headers():
    clock = Clock()
    guard = rates_of(total="1000/minute", counters=MemoryCounters(clock=clock)).guard("2/minute")
    found = []
    for clock.now in (100.0, 100.5, 130.2, 160.0):
        error, headers = call(guard)
        found.append((error and error.err_code, headers["RateLimit"]))
        assert headers["RateLimit-Policy"] == '"method";q=2;w=60, "total";q=1000;w=60'
    assert found == [
        (None, '"method";r=1;t=60, "total";r=999;t=60'),
        (None, '"method";r=0;t=60, "total";r=998;t=60'),
        (1027, '"method";r=0;t=30, "total";r=998;t=30'),
        (None, '"method";r=0;t=1, "total";r=998;t=1'),
    ]


@pytest.mark.parametrize(
    ("default", "total", "whose", "message"),
    [
        ("1/minute", "", {}, "请求过于频繁，该方法每 60 秒最多调用 1 次，请在 48 秒后重试"),
        ("", "1/10 minutes", {}, "请求过于频繁，所有方法合计每 600 秒最多调用 1 次，请在 588 秒后重试"),
        (
            "",
            "",
            {"app": "1", "rate": "1/hour"},
            "请求过于频繁，该应用每 3600 秒最多调用 1 次，请在 3588 秒后重试",
        ),
        ("1/minute", "1/hour", {}, "请求过于频繁，所有方法合计每 3600 秒最多调用 1 次，请在 3588 秒后重试"),
    ],
)
def test_refused(default, total, whose, message):
    clock = Clock()
    guard = rates_of(default, total, MemoryCounters(clock=clock)).guard(default)
    assert call(guard, **whose)[0] is None
    clock.now += 12.3
    error, _ = call(guard, **whose)
    assert (error.err_code, error.status_code, error.message) == (1027, 429, message)
    assert error.headers == {"Retry-After": message.split("请在 ")[1].split(" ")[0]}


def test_refused_retry_after_is_at_least_a_second():
    clock = Clock()
    guard = rates_of(counters=MemoryCounters(clock=clock)).guard("1/second")
    call(guard)
    clock.now += 0.999
    assert call(guard)[0].headers == {"Retry-After": "1"}
    clock.now += 0.001
    assert call(guard)[0] is None


def test_who_is_counted():
    guard = rates_of("3/minute").guard("3/minute")
    assert passed(guard, 5, address="192.0.2.1") == 3
    assert passed(guard, 5, address="192.0.2.2") == 3
    assert passed(guard, 5, address="192.0.2.1", app="1") == 3
    assert passed(guard, 5, address="192.0.2.2", app="1") == 0
    assert passed(guard, 5, address="2001:db8::1") == 3
    assert passed(guard, 5, address="2001:db8::2") == 0


def test_methods_are_counted_apart_and_their_versions_together():
    rates = rates_of()
    one, two = rates.guard("3/minute"), rates.guard("3/minute")
    assert passed(one, 2) == 2  # of one version
    assert passed(two, 5) == 1  # of another one
    assert passed(two, 5, method="other") == 3


def test_total_is_over_all_methods():
    rates = rates_of(total="4/minute")
    guard, without = rates.guard("3/minute"), rates.guard("")
    assert passed(guard, 5) == 3
    assert passed(without, 5, method="other") == 1
    assert passed(without, 5, method="other", address="192.0.2.8") == 4


def test_refused_call_counts_nowhere_else():
    rates = rates_of(total="5/minute")
    assert passed(rates.guard("3/minute"), 20) == 3
    assert passed(rates.guard(""), 20, method="other") == 2
    assert "r=0" in call(rates.guard("9/hour"), method="third")[1]["RateLimit"].split(",")[1]
    assert passed(rates.guard("9/hour"), 20, method="third") == 0


def test_app_rate_replaces_the_total():
    rates = rates_of(total="2/minute")
    guard = rates.guard("")
    assert passed(guard, 9, app="1", rate="5/minute") == 5
    assert passed(guard, 9, app="2") == 2
    limited = rates.guard("3/minute")
    error, headers = call(limited, app="3", rate="5/minute")
    assert error is None
    assert headers["RateLimit-Policy"] == '"method";q=3;w=60, "app";q=5;w=60'
    assert passed(limited, 9, app="3", rate="5/minute") == 2


def test_app_rate_that_is_none(caplog):
    guard = rates_of(total="2/minute").guard("")
    assert passed(guard, 9, app="1", rate="often") == 2
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        "an app's rate is ignored: a rate is written as 100/minute or 5/10 seconds"
    ]


def test_call_without_a_limit_has_no_headers():
    assert call(rates_of().guard("")) == (None, {})


@pytest.mark.parametrize(
    ("fail_open", "code", "then"), [(True, None, "calls pass unlimited"), (False, 1030, "calls are refused")]
)
def test_store_fails(caplog, fail_open, code, then):
    guard = rates_of("3/minute", counters=Broken(), fail_open=fail_open).guard("3/minute")
    for _ in range(20):
        error, headers = call(guard)
        assert (error and error.err_code, headers) == (code, {})
    if error:
        assert (error.status_code, error.headers) == (503, {"Retry-After": "1"})
    assert [record.getMessage() for record in caplog.records] == [
        f"the store of rate limits fails, {then}: no such host"
    ]


def test_redis_killed_and_back(caplog):
    async def codes(guard, times):
        found = await asyncio.gather(*(guard.check(asking()) for _ in range(times)), return_exceptions=True)
        return sorted(getattr(error, "err_code", 1000) for error in found)

    async def run():
        counters = RedisCounters(server.url)
        limited = rates_of("3/hour", counters=counters).guard("3/hour")
        closed = rates_of("3/hour", counters=counters, fail_open=False).guard("3/hour")
        assert await codes(limited, 5) == [1000] * 3 + [1027] * 2
        server.kill()
        assert await codes(limited, 5) == [1000] * 5
        assert await codes(closed, 5) == [1030] * 5
        server.start()
        deadline = time.monotonic() + 20
        while 1030 in (found := await codes(closed, 1)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert found + await codes(limited, 4) == [1000] * 3 + [1027] * 2
        await counters.close()

    with redis() as server:
        asyncio.run(run())
    assert len(caplog.records) == 2


def test_guard_costs_little_beside_its_counters():
    guard = rates_of("1000000/minute", "2000000/minute").guard("1000000/minute")
    counters, limit = MemoryCounters(), limits.parse("1000000/minute")
    hits = seconds_of(lambda: [counters.hit([(limit, "a")]) for _ in range(1000)])
    assert seconds_of(lambda: [guard.check(asking()) for _ in range(1000)]) < 15 * hits
