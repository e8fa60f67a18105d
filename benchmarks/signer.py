"""Signed requests, no two of them alike: the server answers a copy with 1032."""

from __future__ import annotations

import itertools
import secrets
import time
from pathlib import Path
from urllib.parse import parse_qsl

from apizen.governance.signature import DEFAULT_METHOD, signature, string_to_sign

__all__ = ["Signer"]


class Signer:
    """Signs calls of one target for one app, with the parameters that `apizen.client` sends."""

    def __init__(self, target: str, app_key: str, secret: str) -> None:
        self._target = target
        self._pairs = parse_qsl(target.partition("?")[2], keep_blank_values=True)
        self._app_key = app_key
        self._secret = secret
        self._run = secrets.token_hex(8)
        self._numbers = itertools.count()

    def target(self) -> str:
        """The path and query of one call, with a timestamp of now."""
        own = (
            ("app_key", self._app_key),
            ("timestamp", str(int(time.time() * 1000))),
            ("nonce", f"{self._run}{next(self._numbers):016x}"),
            ("sign_method", DEFAULT_METHOD),
        )
        sign = signature(DEFAULT_METHOD, self._secret, string_to_sign([*self._pairs, *own]))
        return "&".join([self._target, *(f"{name}={value}" for name, value in own), f"sign={sign}"])

    def write(self, path: Path, count: int) -> None:
        """Writes so many targets, each on a line."""
        path.write_text("".join(f"{self.target()}\n" for _ in range(count)), "ascii")
