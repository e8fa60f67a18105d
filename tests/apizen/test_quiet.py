import logging

from apizen.quiet import Seldom

logger = logging.getLogger("tests.quiet")


def test_seldom(caplog):
    now = [0.0]
    seldom = Seldom(logger, 60, lambda: now[0])
    logged = []
    for now[0] in (0, 1, 59.9, 60, 200, 201):
        logged.append(seldom.warning("the store fails: %s", now[0]))
    assert logged == [True, False, False, True, True, False]
    assert [record.getMessage() for record in caplog.records] == [
        "the store fails: 0",
        "the store fails: 60 (and 2 times since the last such line)",
        "the store fails: 200",
    ]
