"""The page in a real browser, in front of a stand-in for the stream."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from screenshare.gate import Gate
from screenshare.page import page_rules
from screenshare.picture import ViewerState
from screenshare.source import SourceError
from tests.screenshare.stand_in import StandIn
from tests.screenshare.streaming import Painter, Streaming, streaming
from tests.services import chromium
from tests.support import HOST

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

DESKTOP: dict[str, Any] = {"viewport": {"width": 960, "height": 540}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2,
}  # fmt: skip
PIN = "246810"
FILES = Path(__file__).parents[2] / "screenshare" / "page"

ERROR = {
    "error": "This machine has no screen", "error_zh": "这台机器没有屏幕",
    "advice": "Choose another source", "advice_zh": "请选择其他来源",
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def server() -> Iterator[StandIn]:
    """Admits the browser, which is on this machine, without a PIN."""
    with StandIn(Gate(PIN)) as stand_in:
        yield stand_in


def far_gate(pin: str = PIN) -> Gate:
    """A gate to which the browser seems to be on another machine."""
    return Gate(pin, peer_of=lambda request: "192.0.2.77")


@pytest.fixture
def far_server() -> Iterator[StandIn]:
    with StandIn(far_gate()) as stand_in:
        yield stand_in


class Visitor:
    """Opens the page; notes what the browser complains of and which hosts it asks."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self._contexts: list[Any] = []

    def visit(
        self,
        server: StandIn | Streaming,
        fragment: str = "",
        locale: str = "en-GB",
        clock: bool = False,
        **options: Any,
    ) -> Page:
        """With ``clock``, the page's clock can be put forward."""
        context = self._browser.new_context(locale=locale, **(DESKTOP | options))
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        page = context.new_page()
        if clock:
            page.clock.install()
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))
        page.goto(f"http://{HOST}:{server.port}/screen{fragment}")
        return page

    def _note(self, kind: str, text: str) -> None:
        # What the browser says of a refusal or of a server that is gone can't be kept from it.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        assert self.complaints == []
        assert {urlsplit(address).hostname or "" for address in self.addresses} <= {HOST, ""}  # blob: has none


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    visitor = Visitor(browser)
    yield visitor
    visitor.close()


def eventually(condition: Callable[[], object], seconds: float = 30) -> None:
    """Fails unless the condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


def look(page: Page) -> bytes:
    """What is seen of the picture, between the badge and the bar."""
    return page.screenshot(clip={"x": 0, "y": 120, "width": 390, "height": 360})


def draw(page: Page) -> str:
    """What a canvas gets of the picture, empty without one: a quicker look, which Chromium does right."""
    drawn: str = page.evaluate("""() => {
        const picture = document.querySelector("#stage:not(.stale):not(.covered) img");
        if (!picture?.naturalWidth) return "";
        const canvas = new OffscreenCanvas(48, 1);
        const context = canvas.getContext("2d");
        context.drawImage(picture, 0, 0, 48, 1);
        return context.getImageData(0, 0, 48, 1).data.join();
    }""")
    return drawn


def assert_moves(page: Page, seconds: float = 30) -> None:
    eventually(lambda: draw(page), seconds)
    first = draw(page)
    eventually(lambda: draw(page) not in ("", first), seconds)


def assert_still(page: Page) -> None:
    """The picture comes to rest; what fades may still do so for a moment."""
    eventually(lambda: is_still(page))


def is_still(page: Page) -> bool:
    first = look(page)
    for _ in range(3):
        page.wait_for_timeout(120)
        if look(page) != first:
            return False
    return True


def natural_width(page: Page) -> int:
    """The width of the picture that is in view, 0 without one."""
    width: int = page.evaluate("document.querySelector('#stage img')?.naturalWidth ?? 0")
    return width


def shows(locator: Locator, text: str) -> Callable[[], bool]:
    return lambda: locator.is_visible() and text in locator.inner_text()


def polls(server: StandIn) -> int:
    return sum("/screen/state" in line for line in server.requests)


def facts(page: Page) -> str:
    return " ".join(page.locator("#facts").inner_text().split())


# ---- The picture ----


def test_picture_moves_and_fills_the_window(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server)
    assert_moves(page)
    first = look(page)
    eventually(lambda: look(page) != first)
    assert page.locator("#stage img").bounding_box() == {"x": 0, "y": 0, "width": 960, "height": 540}
    assert page.title() == "Screen share"
    assert len(server.streams) == 1
    eventually(shows(page.locator("#facts"), "34 ms"))
    assert facts(page) == "1 viewer 28 fps 34 ms"


def test_pause_keeps_a_fresh_picture_and_stops_the_stream(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server)
    assert_moves(page)
    page.keyboard.press(" ")
    eventually(lambda: not server.streams)
    assert page.locator("#badge").inner_text() == "Paused"
    assert "GET /screen/snapshot.jpg?quality=medium" in server.requests
    assert natural_width(page) == 640
    assert_still(page)
    page.get_by_role("button", name="Resume (space)").click()
    assert_moves(page)
    assert len(server.streams) == 1
    assert page.locator("#badge").is_hidden()


def test_pause_without_a_picture_says_so(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server)
    assert_moves(page)
    server.state = ERROR
    page.keyboard.press(" ")
    eventually(shows(page.locator("#toast"), "There is no picture at the moment"))
    eventually(lambda: not server.streams)


def test_stream_stops_while_the_tab_is_hidden(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server, clock=True)
    assert_moves(page)
    set_hidden = """hidden => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(set_hidden, True)
    eventually(lambda: not server.streams)
    asked = polls(server)
    page.clock.fast_forward(5000)
    page.wait_for_timeout(300)
    assert polls(server) == asked
    page.evaluate(set_hidden, False)
    assert_moves(page)
    assert len(server.streams) == 1


def test_leaving_the_page_ends_the_stream(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server)
    assert_moves(page)
    page.goto("about:blank")
    eventually(lambda: not server.streams)
    page.go_back()
    assert_moves(page)


# ---- What goes wrong ----


@pytest.mark.parametrize("knows_viewers", [True, False])
def test_reconnects_after_the_server_restarts(visitor: Visitor, knows_viewers: bool) -> None:
    with StandIn(Gate(PIN)) as server:
        server.knows_viewers = knows_viewers
        page = visitor.visit(server, clock=True)
        assert_moves(page)
        eventually(lambda: polls(server) > 1)
    page.clock.fast_forward(3000)
    eventually(shows(page.locator("#badge"), "No connection, trying again · "))
    assert "stale" in str(page.locator("#stage").get_attribute("class"))
    assert natural_width(page) == 640  # the last picture stays
    with StandIn(Gate(PIN), server.port) as restarted:
        restarted.knows_viewers = knows_viewers
        assert_moves(page)
        assert len(restarted.streams) == 1


def test_reconnects_after_the_stream_broke_off(visitor: Visitor) -> None:
    with StandIn(Gate(PIN)) as server:
        server.breaks_off = True
        page = visitor.visit(server)
        assert_moves(page)
    eventually(shows(page.locator("#card"), "No connection to the host"))
    with StandIn(Gate(PIN), server.port):
        assert_moves(page)


def test_reconnects_where_only_the_stream_ended(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server)
    eventually(shows(page.locator("#facts"), "28 fps"))
    first = list(server.streams)
    server.holds_back = True
    server.end_streams()
    assert_still(page)
    server.holds_back = False
    eventually(lambda: len(server.streams) == 1)
    assert list(server.streams) != first
    assert_moves(page)


def test_says_when_the_picture_is_stale(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server, clock=True)
    assert_moves(page)
    server.frozen = True
    for age, stale in ((2.5, False), (3.5, True)):
        server.you = {"age": age}
        asked = polls(server)
        while polls(server) < asked + 2:  # the first of them may have been on its way
            page.clock.fast_forward(4000)
            page.wait_for_timeout(100)
        eventually(lambda stale=stale: page.locator("#badge").is_visible() == stale)
    eventually(shows(page.locator("#badge"), "No new picture · 3 s"))
    assert "warning" in str(page.locator("#badge").get_attribute("class"))
    server.frozen, server.you = False, {}
    eventually(page.locator("#badge").is_hidden)
    assert_moves(page)


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en-US", ["This machine has no screen", "Choose another source", "Trying again by itself."]),
        ("zh-CN", ["这台机器没有屏幕", "请选择其他来源", "正在自动重试。"]),
    ],
)
def test_says_why_there_is_no_picture(server: StandIn, visitor: Visitor, locale: str, words: list[str]) -> None:
    server.state = ERROR
    page = visitor.visit(server, locale=locale)
    card = page.locator("#card")
    eventually(card.is_visible)
    assert card.inner_text().split("\n\n") == words
    assert page.locator("#stage").is_hidden()
    assert page.locator("#badge").is_hidden()
    server.state = {}
    eventually(card.is_hidden)
    assert_moves(page)


def test_waits_for_a_place(server: StandIn, visitor: Visitor) -> None:
    server.max_viewers = 1
    server.streams["another"] = ViewerState(1, "192.0.2.5", 0.0, "low", 7.5, 0, 0.03, False)
    page = visitor.visit(server, clock=True)
    eventually(shows(page.locator("#card"), "All 1 places are taken"))
    server.end_streams()
    page.clock.fast_forward(2000)
    assert_moves(page)
    page.get_by_label("High").check(force=True)  # its stream needs the place that the first one has
    eventually(lambda: page.locator("#stage img").count() == 0)
    page.clock.fast_forward(2000)
    eventually(lambda: natural_width(page) == 960)
    assert len(server.streams) == 1


def test_a_dismissed_viewer_asks_no_more(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server, clock=True)
    assert_moves(page)
    server.gate.dismiss(HOST)
    server.end_streams()
    eventually(shows(page.locator("#card"), "The host has ended your viewing"))
    assert re.search(r"Watch again in \d+ s", page.locator("#card-button").inner_text())
    assert page.locator("#card-button").is_disabled()
    assert natural_width(page) == 0
    asked = polls(server)
    page.clock.fast_forward(61000)
    page.wait_for_timeout(300)
    assert polls(server) == asked
    server.gate._dismissed.clear()
    page.get_by_role("button", name="Watch again").click()
    assert_moves(page)


# ---- What the viewer chooses ----


def test_quality_is_chosen_and_remembered(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server)
    eventually(lambda: natural_width(page) == 640)
    for quality, width in (("Low", 320), ("High", 960)):
        page.locator("#quality").get_by_text(quality).click()
        eventually(lambda width=width: natural_width(page) == width)
        eventually(lambda: len(server.streams) == 1)
    page.reload()
    eventually(lambda: natural_width(page) == 960)
    assert page.get_by_label("High").is_checked()


def test_lower_quality_is_offered_to_the_slow(server: StandIn, visitor: Visitor) -> None:
    server.you = {"slow": True}
    page = visitor.visit(server)
    hint = page.locator("#hint")
    eventually(shows(hint, "Your connection can’t keep up."))
    hint.get_by_role("button", name="Use low quality").click()
    eventually(lambda: natural_width(page) == 320)
    assert hint.is_hidden()  # there is no lower one
    page.locator("#quality").get_by_text("High").click()
    eventually(shows(hint, "Use medium quality"))
    hint.get_by_role("button", name="Close").click()
    asked = polls(server)
    eventually(lambda: polls(server) > asked)
    assert hint.is_hidden()


def test_keys(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server)
    assert_moves(page)
    picture = page.locator("#stage img")
    page.keyboard.press("1")
    box = picture.bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (640, 360)
    page.keyboard.press("0")
    assert picture.bounding_box() == {"x": 0, "y": 0, "width": 960, "height": 540}
    page.keyboard.press("f")
    eventually(lambda: page.evaluate("document.fullscreenElement !== null"))
    eventually(page.get_by_role("button", name="Leave full screen (F)").is_visible)
    page.keyboard.press("f")
    eventually(lambda: page.evaluate("document.fullscreenElement === null"))
    with page.expect_download() as download:
        page.keyboard.press("S")
    assert re.fullmatch(r"screen-\d{4}-\d\d-\d\d-\d{6}\.jpg", download.value.suggested_filename)
    assert Path(download.value.path()).read_bytes() in server.pictures("medium")
    eventually(shows(page.locator("#toast"), f"Saved as {download.value.suggested_filename}"))
    page.keyboard.press("Control+s")  # the browser's own
    assert sum("snapshot" in line for line in server.requests) == 1


def test_actual_size_can_be_dragged(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server, viewport={"width": 400, "height": 300})
    assert_moves(page)
    page.keyboard.press("1")
    page.mouse.move(300, 100)
    page.mouse.down()
    page.mouse.move(200, 80)
    page.mouse.up()
    assert page.evaluate("[stage.scrollLeft, stage.scrollTop]") == [100, 20]
    assert page.locator("#stage").get_attribute("tabindex") == "0"


def test_bar_hides_and_comes_back(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server, clock=True)
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 10"))  # else it goes on, as long as a busy machine takes
    page.mouse.move(300, 300)
    bar = page.locator("#bar")

    def hidden() -> bool:
        return bool(bar.evaluate("bar => getComputedStyle(bar).opacity") == "0")

    page.clock.fast_forward(1000)
    assert not hidden()
    page.clock.fast_forward(2000)
    eventually(hidden)
    page.mouse.move(310, 300)
    eventually(lambda: not hidden())
    page.clock.fast_forward(3000)
    eventually(hidden)
    page.keyboard.press("Tab")
    eventually(lambda: not hidden())
    assert bar.evaluate("bar => bar.contains(document.activeElement)")
    page.clock.fast_forward(3500)
    page.wait_for_timeout(300)
    assert not hidden()  # a control has the focus


def test_hidden_bar_takes_no_touch(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server, clock=True, **PHONE)
    assert_moves(page)
    pause = page.locator("#pause").bounding_box()
    assert pause is not None
    place = (pause["x"] + 20, pause["y"] + 20)
    page.clock.fast_forward(3000)
    eventually(lambda: page.locator("body.idle").count() == 1)
    page.touchscreen.tap(*place)
    eventually(lambda: page.locator("body.idle").count() == 0)
    assert page.locator("#pause").get_attribute("title") == "Pause (space)"
    page.touchscreen.tap(*place)
    eventually(shows(page.locator("#badge"), "Paused"))


# ---- How it looks ----


@pytest.mark.parametrize(
    ("locale", "scheme", "words", "ground"),
    [
        ("en-US", "light", ["Pause (space)", "Low", "viewer", "28 fps"], "rgb(232, 235, 238)"),
        ("zh-CN", "dark", ["暂停（空格）", "低", "人观看", "28 帧/秒"], "rgb(17, 21, 26)"),
        ("zh-TW", "light", ["暂停（空格）", "低", "人观看", "28 帧/秒"], "rgb(232, 235, 238)"),
    ],
)
def test_language_and_colours(
    server: StandIn, visitor: Visitor, locale: str, scheme: str, words: list[str], ground: str
) -> None:
    page = visitor.visit(server, locale=locale, color_scheme=scheme)
    eventually(shows(page.locator("#rate"), words[3]))
    assert page.locator("#pause").get_attribute("title") == words[0]
    assert page.locator("#quality").inner_text().split()[-3] == words[1]
    assert words[2] in page.locator("#viewers").inner_text()
    assert page.locator("html").get_attribute("lang") == ("zh-CN" if locale.startswith("zh") else "en")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_phone(server: StandIn, visitor: Visitor, locale: str) -> None:
    server.you = {"slow": True, "latency": 1.234}
    page = visitor.visit(server, locale=locale, **PHONE)
    eventually(page.locator("#hint").is_visible)
    for width, height in ((390, 844), (844, 390), (320, 568)):
        page.set_viewport_size({"width": width, "height": height})
        assert_usable_by_touch(page, width, height)


def assert_usable_by_touch(page: Page, width: int, height: int) -> None:
    controls = page.locator("#bar button:visible, #hint button:visible, #quality label")
    boxes = controls.evaluate_all("all => all.map(one => one.getBoundingClientRect().toJSON())")
    assert len(boxes) == 9
    for box in boxes:
        assert min(box["width"], box["height"]) >= 44
        assert box["left"] >= 0
        assert box["right"] <= width
        assert box["bottom"] <= height
    for one, first in enumerate(boxes):
        for second in boxes[one + 1 :]:
            assert (
                first["right"] <= second["left"] + 0.5
                or second["right"] <= first["left"] + 0.5
                or first["bottom"] <= second["top"] + 0.5
                or second["bottom"] <= first["top"] + 0.5
            )
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_names_of_controls_and_reduced_motion(server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(server, reduced_motion="reduce", locale="de-DE")
    assert_moves(page)
    assert page.locator("#bar").evaluate("bar => getComputedStyle(bar).transitionDuration") == "0s"
    for control in page.locator("#bar button").all():
        assert control.get_attribute("aria-label") == control.get_attribute("title") != ""
    names = page.locator("#bar").aria_snapshot()
    assert 'group "Controls"' in names
    assert 'radio "Medium" [checked]' in names
    assert 'group "Quality"' in names


# ---- The PIN ----


def enter(page: Page, digits: str) -> None:
    page.locator("#pin").fill(digits)
    page.keyboard.press("Enter")


def test_pin_wrong_then_right(far_server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(far_server)
    assert page.locator("#door form").is_visible()
    assert page.locator("#watch").is_hidden()
    assert page.evaluate("document.activeElement.id") == "pin"
    enter(page, "111111")
    eventually(shows(page.locator("#pin-problem"), "That PIN is wrong."))
    assert page.locator("#pin").get_attribute("aria-invalid") == "true"
    assert not any("video_feed" in address or "state" in address for address in visitor.addresses)
    enter(page, "246 810")
    assert_moves(page)
    page.reload()
    assert_moves(page)
    assert page.context.cookies()[0]["httpOnly"]
    assert not any(PIN in address for address in visitor.addresses)


@pytest.mark.parametrize(
    ("locale", "wrong", "locked"),
    [
        ("en-US", "That PIN is wrong.", r"Too many wrong PINs\. Try again in (\d+) s\."),
        ("zh-CN", "PIN 码错误。", r"PIN 码错误次数过多。 请在 (\d+) 秒后重试。"),
    ],
)
def test_pin_locked(far_server: StandIn, visitor: Visitor, locale: str, wrong: str, locked: str) -> None:
    page = visitor.visit(far_server, locale=locale, clock=True, **PHONE)
    problem = page.locator("#pin-says")
    for tries in range(1, 6):
        send_pin(page, f"00000{tries}")
        assert tries_sent(far_server) == tries
        eventually(shows(problem, wrong))
    enter(page, PIN)
    eventually(lambda: re.fullmatch(locked, problem.inner_text()))
    assert page.locator("#enter").is_disabled()
    page.clock.fast_forward(50000)
    eventually(lambda: 5 <= int((re.fullmatch(locked, problem.inner_text()) or ["", "60"])[1]) <= 10)
    page.clock.fast_forward(12000)
    eventually(page.locator("#enter").is_enabled)
    assert problem.inner_text() == ""


def send_pin(page: Page, digits: str) -> None:
    """Enters a PIN and waits until the page has read the answer: what is entered before that is not sent."""
    with page.expect_response("**/screen/pin") as answered:
        enter(page, digits)
    answered.value.finished()
    page.wait_for_timeout(200)


def tries_sent(server: StandIn) -> int:
    return sum("/screen/pin" in line for line in server.requests)


@pytest.mark.parametrize(
    ("locale", "closed"),
    [
        (
            "en-US",
            r"Too many wrong PINs from many places\. The host’s link and QR code still work\. Try .* (60|59) min\.",
        ),
        ("zh-CN", r"多处输错 PIN 码次数过多。主持人的链接和二维码仍可使用。 请在 (60|59) 分钟后重试。"),
    ],
)
def test_pin_while_a_swarm_tries(far_server: StandIn, visitor: Visitor, locale: str, closed: str) -> None:
    watching = visitor.visit(far_server, f"#key={far_server.gate.key}")
    assert_moves(watching)
    for number in range(100):
        far_server.gate.enter(f"198.51.100.{number}", f"{number:06d}")
    page = visitor.visit(far_server, locale=locale, clock=True)
    problem = page.locator("#pin-says")
    enter(page, PIN)
    eventually(lambda: re.fullmatch(closed, problem.inner_text()))
    assert page.locator("#enter").is_disabled()
    page.clock.fast_forward(3540_000)
    eventually(shows(problem, " s." if locale == "en-US" else " 秒"))
    page.evaluate(f"location.hash = '#key={far_server.gate.key}'")
    assert_moves(page)
    watching.reload()
    assert_moves(watching)


def test_pin_for_who_was_sent_away(far_server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(far_server)
    far_server.gate.dismiss("192.0.2.77")
    enter(page, PIN)
    problem = page.locator("#pin-says")
    sent_away = r"The host has ended your viewing\. Try again in \d+ s\."
    eventually(lambda: re.fullmatch(sent_away, problem.inner_text()))


def test_link_with_the_key(far_server: StandIn, visitor: Visitor) -> None:
    for number in range(5):
        far_server.gate.enter("192.0.2.77", f"{number:06d}")
    page = visitor.visit(far_server, f"#key={far_server.gate.key}")
    assert_moves(page)
    assert page.url == f"http://{HOST}:{far_server.port}/screen"
    assert not any(far_server.gate.key in line for line in far_server.requests)


@pytest.mark.parametrize(
    ("locale", "words"),
    [("en-US", "This link is no longer valid: please enter the PIN."), ("zh-CN", "此链接已失效：请输入 PIN 码。")],
)
def test_link_of_before(far_server: StandIn, visitor: Visitor, locale: str, words: str) -> None:
    page = visitor.visit(far_server, f"#key={Gate(PIN).key}", locale=locale)
    eventually(shows(page.locator("#pin-problem"), words))
    assert "#" not in page.url
    enter(page, PIN)
    assert_moves(page)


def test_link_with_the_pin_is_sent_by_hand(far_server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(far_server, f"#pin={PIN}")
    eventually(lambda: page.evaluate("document.activeElement.id") == "enter")
    assert page.locator("#pin").input_value() == PIN
    assert page.url == f"http://{HOST}:{far_server.port}/screen"
    page.keyboard.press("Enter")
    assert_moves(page)
    assert not any(PIN in line for line in far_server.requests)


def test_links_of_another_site_use_up_no_tries(far_server: StandIn, visitor: Visitor) -> None:
    page = visitor.visit(far_server, "#pin=000000")
    for number in range(1, 8):
        page.evaluate(f"location.hash = '#pin=00000{number}'")
        eventually(lambda number=number: page.locator("#pin").input_value() == f"00000{number}")
    assert tries_sent(far_server) == 0
    page.locator("#enter").click()
    eventually(shows(page.locator("#pin-problem"), "That PIN is wrong."))
    page.evaluate(f"location.hash = '#pin={PIN}'")  # a link opened in the same tab
    page.locator("#enter").click()
    assert_moves(page)
    assert "#" not in page.url


@pytest.mark.parametrize("pin", [PIN, "135791"])
def test_pin_after_a_restart(visitor: Visitor, pin: str) -> None:
    with StandIn(far_gate()) as server:
        page = visitor.visit(server)
        enter(page, PIN)
        assert_moves(page)
    with StandIn(far_gate(pin), server.port) as restarted:
        if pin != PIN:
            eventually(shows(page.locator("#pin-problem"), "The share was started anew: please enter the new PIN."))
            assert page.locator("#stage").is_hidden()
            enter(page, pin)
        assert_moves(page)
        assert tries_sent(restarted) == (1 if pin == PIN else 2)


def test_viewers_of_before_lock_nobody_out(visitor: Visitor) -> None:
    with StandIn(far_gate()) as server:
        pages = [visitor.visit(server) for _ in range(6)]
        for page in pages:
            enter(page, PIN)
        for page in pages:
            assert_moves(page)
    with StandIn(far_gate("135791"), server.port) as restarted:
        for page in pages:
            eventually(shows(page.locator("#pin-problem"), "The share was started anew: please enter the new PIN."))
        enter(pages[0], "135791")
        assert_moves(pages[0])
        assert tries_sent(restarted) == 7


def test_link_after_a_restart(visitor: Visitor) -> None:
    with StandIn(far_gate()) as server:
        page = visitor.visit(server, f"#key={server.gate.key}")
        assert_moves(page)
    with StandIn(far_gate(), server.port) as restarted:
        eventually(shows(page.locator("#pin-problem"), "The share was started anew: please enter the new PIN."))
        assert tries_sent(restarted) == 0


def test_pin_while_the_server_is_gone(visitor: Visitor) -> None:
    with StandIn(far_gate()) as server:
        page = visitor.visit(server)
    enter(page, PIN)
    eventually(shows(page.locator("#pin-problem"), "No connection to the host"))


# ---- With the real stream ----


@contextmanager
def sharing(source: Painter, gate: Gate) -> Iterator[Streaming]:
    """The hub and its handlers with the page, in front of a painted source."""
    with streaming(source, gate=gate) as server:
        server._server.request_callback.add_handlers(".*", page_rules(gate))
        yield server


def test_real_stream_moves_pauses_and_ends(visitor: Visitor) -> None:
    with sharing(Painter(), Gate(PIN)) as server:
        page = visitor.visit(server)
        assert_moves(page)
        eventually(lambda: re.fullmatch(r"1 viewer \d+ fps \d+ ms", facts(page)))
        page.locator("#quality").get_by_text("High").click()
        eventually(lambda: [viewer.preset for viewer in server.hub.viewers] == ["high"])
        assert_moves(page)
        page.keyboard.press(" ")
        eventually(lambda: not server.hub.viewers)
        still = draw(page)
        assert still
        page.wait_for_timeout(200)
        assert draw(page) == still
        page.keyboard.press(" ")
        assert_moves(page)
        page.goto("about:blank")
        eventually(lambda: not server.hub.viewers)


def test_real_stream_shows_the_last_change(visitor: Visitor) -> None:
    painter = Painter(moving=False)
    with sharing(painter, Gate(PIN)) as server:
        page = visitor.visit(server)
        for _ in range(2):
            eventually(lambda: draw(page))
            before = draw(page)
            page.wait_for_timeout(300)
            painter.touch()
            eventually(lambda before=before: draw(page) != before)
        page.wait_for_timeout(3300)
        assert page.locator("#badge").is_hidden()  # still, not stale


def test_real_stream_says_why_there_is_no_picture(visitor: Visitor) -> None:
    painter = Painter()
    with sharing(painter, Gate(PIN)) as server:
        page = visitor.visit(server)
        assert_moves(page)
        painter.fails = SourceError("The screen is gone", "屏幕不见了", "Plug it in", "请接好屏幕")
        eventually(shows(page.locator("#card"), "Plug it in"))
        painter.fails = None
        assert_moves(page)


def test_real_stream_is_ended_by_the_host(visitor: Visitor) -> None:
    with sharing(Painter(), far_gate()) as server:
        page = visitor.visit(server, f"#key={server.gate.key}")
        assert_moves(page)
        server.gate.dismiss("192.0.2.77")
        server.hub.kick(HOST)
        eventually(shows(page.locator("#card"), "The host has ended your viewing"))
        assert server.hub.viewers == ()


# ---- The files ----


def test_page_has_nothing_inline_and_no_other_host() -> None:
    html = (FILES / "index.html").read_text("utf-8")
    assert (
        re.findall(r"<script(?! type=\"module\" src=\"/screen/page\.js\"></script>)|<style|\sstyle=|\son\w+=", html)
        == []
    )
    for file in FILES.iterdir():
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert re.findall(r"https?:|//\w+\.\w|@import|url\(", text) == [], file


def test_both_languages_have_the_same_strings() -> None:
    script = (FILES / "page.js").read_text("utf-8")
    english, chinese = re.findall(r"^  (?:en|zh): \{\n(.*?)^  \},\n", script, re.DOTALL | re.MULTILINE)
    names = [re.findall(r"^    (\w+):", table, re.MULTILINE) for table in (english, chinese)]
    assert names[0] == names[1]
    assert len(names[0]) > 30


def test_every_word_of_the_page_is_in_the_table() -> None:
    html = (FILES / "index.html").read_text("utf-8")
    script = (FILES / "page.js").read_text("utf-8")
    for name in re.findall(r'data-(?:text|title|label)="(\w+)"', html):
        assert script.count(f"\n    {name}: ") == 2, name
