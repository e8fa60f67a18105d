"""What can be had once: the signatures and the nonces of signed calls, claimed by the call that shows them first.

They lie in one file, whether one process serves or several, so a call that was seen before a restart is known
after it, whatever the number of workers was and is.

>>> folder = getfixture('tmp_path')
>>> one = Claims(folder / 'claims', alone=True)
>>> one.claim(['sign:12345678:9f', 'nonce:12345678:f3a8'], now=100, until=700)
True
>>> one.close()
>>> several = Claims(folder / 'claims', alone=False)
>>> several.claim(['nonce:12345678:f3a8'], now=100, until=700)
False
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from apizen.governance.error import CountersError
from apizen.governance.stores.digest_table import DigestTable, MemoryPages, TableFull, digest_of
from apizen.governance.stores.owned_file import CAN_OWN, MirroredFile, OwnedFile, OwnedFileError

__all__ = ["Claims"]

#: 4.6 million places of 12 bytes: 2.5 million claims. A signed call makes two, of its signature and of its nonce,
#: which are remembered for 10 minutes: 2000 such calls a second, for as long as they come.
BUCKETS = 72_000
# Changes with the layout: a file of another one is made anew.
_HEADER = b"apizen claims 2\n"
_TABLE_AT = 4096


class Claims:
    """The claims of a server; without a path they are in memory only.

    ``alone`` is True for the only process of a server. Several must take turns: none may ask while another does.
    The file is made and taken with the first claim. Every question raises `CountersError` where it can't be had.
    """

    def __init__(self, path: Path | None, *, alone: bool) -> None:
        size = _TABLE_AT + DigestTable.size(BUCKETS)
        self._file = (MirroredFile if alone else OwnedFile)(path, _HEADER, size) if path and CAN_OWN else None
        self._table = DigestTable(self._file or MemoryPages(size), BUCKETS, _TABLE_AT)

    def claim(self, keys: Iterable[str], now: float, until: float) -> bool:
        """Claims keys in their order, up to the first that is taken; whether none is. They are free again at the end
        of the second ``until``.
        """
        file, table = self._file, self._table
        try:
            if file is not None:
                file.check()
            for key in keys:
                if not table.claim(digest_of(key), now, until):
                    return False
        except TableFull:
            raise CountersError("too many claims are remembered already") from None
        except (OwnedFileError, OSError) as error:
            raise self._failure(error) from error
        return True

    def has_any(self, keys: Iterable[str], now: float) -> bool:
        """Whether one of some keys is claimed."""
        try:
            if self._file is not None:
                self._file.check()
            return any(self._table.has(digest_of(key), now) for key in keys)
        except (OwnedFileError, OSError) as error:
            raise self._failure(error) from error

    def _failure(self, error: OwnedFileError | OSError) -> CountersError:
        if isinstance(error, OSError) and self._file is not None:
            return CountersError(str(self._file.failed(error)))
        return CountersError(str(error))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
