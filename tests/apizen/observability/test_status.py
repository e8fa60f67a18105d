from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from apizen.application import make_app
from apizen.call import Call
from apizen.caller import Caller
from apizen.faces.pages import Pages
from apizen.observability.metrics import Gauge, Metrics
from apizen.observability.status import status_pages
from apizen.request import Request
from apizen.settings import Settings
from tests.support import RunningServer, registry_of, until

stuck = threading.Event()


def wait() -> None:
    stuck.wait(20)


class StatusServer(RunningServer):
    """A server with the status pages; ``reason`` is why it isn't ready."""

    def __init__(self, metrics: bool = True) -> None:
        entries = {f"wait-{number}": {"func": wait} for number in range(4)}
        super().__init__(make_app(Settings(threads=4, access_log="off", metrics=False), registry_of(entries)))
        self.reason = ""
        self.metrics = Metrics([("1.0", "math.add")], [Gauge("apizen_in_flight", "Calls that run", lambda: 3.0)])
        self.logged: list[str] = []
        app, shown = self.app, self.metrics if metrics else None
        pages = status_pages(shown, lambda: app.pipeline.draining, lambda: self.reason)
        self.app = replace(app, faces=(app.gateway, Pages(pages, app.gateway.refuse, self._log)))
        app.observation.log = self._log  # type: ignore[method-assign]

    def _log(self, request: Request, *facts: float) -> None:
        self.logged.append(request.path)


@pytest.fixture
def server() -> Iterator[StatusServer]:
    with StatusServer() as running:
        yield running


def test_health(server):
    answer = server.send("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] is None


def test_health_by_its_whole_address(server):
    assert server.send("GET", "http://x/healthz?a=1").json == {"status": "ok"}


def test_health_while_every_thread_is_stuck(server):
    stuck.clear()
    callers = [threading.Thread(target=server.get, args=(f"v=1.0&method=wait-{number}",)) for number in range(4)]
    try:
        for caller in callers:
            caller.start()
        assert until(lambda: len(server.server.front.in_flight) == 4)
        assert server.send("GET", "/healthz").status == 200
        assert server.send("GET", "/readyz").status == 200
        assert server.send("GET", "/metrics").status == 200
    finally:
        stuck.set()
        for caller in callers:
            caller.join(10)


def test_ready(server):
    answer = server.send("GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"status": "ready"})


def test_not_ready(server):
    server.reason = "the apps could not be read yet"
    answer = server.send("GET", "/readyz")
    assert (answer.status, answer.json) == (
        503, {"status": "not ready", "reason": "the apps could not be read yet"},
    )  # fmt: skip
    server.reason = ""
    assert server.send("GET", "/readyz").status == 200


def test_not_ready_while_draining(server):
    server.app.pipeline.draining = True
    answer = server.send("GET", "/readyz")
    assert (answer.status, answer.json) == (503, {"status": "not ready", "reason": "shutting down"})
    assert server.send("GET", "/healthz").status == 200


def test_metrics(server):
    call = Call(Caller("192.0.2.7", "order-17"))
    call.version, call.method, call.code = "1.0", "math.add", 1000
    server.metrics.observe(call, "GET", 200, 0, 120, 0.001)
    answer = server.send("GET", "/metrics")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = answer.body.decode().splitlines()
    assert 'apizen_calls_total{code="1000",method="math.add",version="1.0"} 1.0' in lines
    assert "apizen_in_flight 3.0" in lines


def test_metrics_in_openmetrics(server):
    answer = server.send("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")


def test_metrics_can_be_off():
    with StatusServer(metrics=False) as server:
        answer = server.send("GET", "/metrics")
        assert (answer.status, answer.meta) == (404, (1035, "不存在的路径"))
        assert server.send("GET", "/healthz").status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_verbs(server, path):
    head = server.send("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    answer = server.send("POST", path, b"")
    assert (answer.status, answer.meta) == (405, (1019, "不支持的http请求方式"))


def test_status_is_not_logged(server):
    for path in ("/healthz", "/readyz", "/metrics"):
        server.send("GET", path)
    server.send("GET", "/nowhere")
    assert until(lambda: server.logged)
    assert server.logged == ["/nowhere"]


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_body_is_thrown_away(server, verb):
    answers = [server.send(verb, "/healthz", body) for body in (b"x" * 200_000, None)]
    assert answers[0].status == answers[1].status
    assert answers[0].body == answers[1].body
    assert server.server.front.budget.held == 0
