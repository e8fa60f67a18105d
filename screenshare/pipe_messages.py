"""Messages on a pipe, between the server and the process that captures: a JSON object and some bytes.

4 bytes  length of the object
4 bytes  length of the bytes
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO, NamedTuple

from screenshare.failure import Failure
from screenshare.picture import Frame
from screenshare.source_status import Report

__all__ = ["Message", "frame_of", "pack", "pack_frame", "read", "report_of"]

_LENGTHS = struct.Struct("!II")


class Message(NamedTuple):
    head: dict[str, Any]
    body: bytes


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """One piece, so that it is one write: the reader is woken once."""
    text = json.dumps(head).encode()
    return b"".join((_LENGTHS.pack(len(text), len(body)), text, body))


def read(file: BinaryIO) -> Message | None:
    """The next message. None: the other side has gone, also where that was amid a message."""
    lengths = file.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    text_length, body_length = _LENGTHS.unpack(lengths)
    text = file.read(text_length)
    body = file.read(body_length) if body_length else b""
    if len(text) < text_length or len(body) < body_length:
        return None
    return Message(json.loads(text), body)


def pack_frame(head: dict[str, Any], frame: Frame) -> bytes:
    """A message with a frame: its JPEG is the bytes, the rest joins the object. `frame_of` is the way back."""
    number, jpeg, *rest = frame
    return pack({**head, "frame": [number, *rest]}, jpeg)


def frame_of(message: Message, base: int) -> Frame:
    """The frame of a message; ``base`` is added to its number."""
    number, *rest = message.head["frame"]
    return Frame(base + number, message.body, *rest)


def report_of(values: list[Any]) -> Report:
    """The report whose values these are, as JSON gives them back."""
    name, size, version, taken, looked_at, failure = values
    return Report(name, tuple(size), version, tuple(taken), looked_at, Failure(*failure) if failure else None)
