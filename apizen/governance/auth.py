"""What an entry says of who may call: its key ``auth``, and the guard that it gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apizen.call_plan import CallPlan
from apizen.entry import Entry, Key, flag
from apizen.governance.signature_guard import SignatureGuard
from apizen.guard import Guard

__all__ = ["AUTH", "SignatureGuards"]


def _auth(auth: Any) -> str | None:
    if auth not in (None, "sign"):
        raise ValueError(f"auth must be 'sign' or None, not {auth!r}")
    found: str | None = auth
    return found


AUTH = Key("auth", _auth, setting="auth")
EXTRA = Key("extra", flag("extra"), default=False)


class SignatureGuards:
    """Makes the guard of a method that takes signed calls only. ``made`` gives what all of them are made of."""

    keys = (AUTH, EXTRA)

    def __init__(self, made: Callable[[], SignatureGuard]) -> None:
        self._made = made

    def guard(self, entry: Entry, plan: CallPlan) -> Guard | None:
        takes_all = entry[EXTRA] or plan.takes_any
        return self._made().accepting(None if takes_all else plan.accepted) if entry[AUTH] else None
