from __future__ import annotations

from typing import Any

import pytest

from screenshare.share import ScreenShare

LOCAL, LAN = "http://127.0.0.1:8010", "http://192.0.2.7:8010"
PIN = "246810"


def lines_of(origins: list[str], **settings: Any) -> tuple[list[str], list[str], str]:
    """What is announced: the lines, the QR codes, and the key."""
    share = ScreenShare(source="test", **settings)
    told = share.announce(origins)
    lines = [line for line in told if "\n" not in line]
    return lines, [line for line in told if "\n" in line], share.gate.key


def test_a_link_with_the_key_is_printed_for_other_machines() -> None:
    lines, codes, key = lines_of([LOCAL, LAN], pin=PIN)
    assert lines == [f"  {LOCAL}/screen", f"  {LAN}/screen", f"  PIN {PIN}", f"  {LAN}/screen#key={key}"]
    assert len(codes) == 1
    assert len(codes[0].splitlines()) <= 24  # a terminal's height


def test_the_qr_code_is_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screenshare.share._qr_code", lambda text: f"{text}\n")
    _, codes, key = lines_of([LOCAL, LAN], pin=PIN)
    assert codes == [f"{LAN}/screen#key={key}\n"]
    assert lines_of([LOCAL, LAN], open_to_all=True)[1] == [f"{LAN}/screen\n"]


def test_this_machine_needs_no_link() -> None:
    assert lines_of([LOCAL], pin=PIN)[:2] == ([f"  {LOCAL}/screen", f"  PIN {PIN}"], [])


def test_this_machine_gets_a_link_where_it_is_asked_for_the_pin() -> None:
    lines, codes, key = lines_of([LOCAL], pin=PIN, pin_local=True)
    assert lines == [f"  {LOCAL}/screen", f"  PIN {PIN}", f"  {LOCAL}/screen#key={key}"]
    assert codes == []


def test_an_open_share_has_no_key() -> None:
    lines, codes, _ = lines_of([LOCAL, LAN], open_to_all=True)
    assert lines == [f"  {LOCAL}/screen", f"  {LAN}/screen", "  anybody may watch, 任何人都可以观看"]
    assert len(codes) == 1


def test_a_new_pin_and_a_new_key_at_each_start() -> None:
    told = [lines_of([LOCAL]) for _ in range(5)]
    assert len({key for *_, key in told}) == 5
    assert len({lines[1] for lines, *_ in told}) > 1
