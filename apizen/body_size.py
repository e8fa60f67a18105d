"""How large bodies may be, and from which size on one is read beside the event loop."""

from __future__ import annotations

from apizen.exception import ApiSysExceptions

__all__ = ["DEFAULT_MAX_BODY", "LARGE_BODY", "check_size"]

#: Bytes of the largest body, where nothing else is said.
DEFAULT_MAX_BODY = 2 * 1024 * 1024
#: Bytes from which on a body is large.
LARGE_BODY = 64 * 1024


def check_size(size: int, most: int) -> None:
    """Raises 1028 for a body of more bytes than it may have."""
    if size > most:
        raise ApiSysExceptions.body_too_large(f"上限为 {most} 字节")
