import logging

from apizen.throttled_log import ThrottledLog

logger = logging.getLogger("tests.quiet")


def test_throttled_log(caplog):
    now = [0.0]
    throttled_log = ThrottledLog(logger, 60, lambda: now[0])
    logged = []
    for now[0] in (0, 1, 59.9, 60, 200, 201):
        logged.append(throttled_log.warning("the store fails: %s", now[0]))
    assert logged == [True, False, False, True, True, False]
    assert [record.getMessage() for record in caplog.records] == [
        "the store fails: 0",
        "the store fails: 60 (and 2 times since the last such line)",
        "the store fails: 200",
    ]
