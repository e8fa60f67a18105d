"""The key that the apps' secrets are encrypted with at rest.

It comes from the setting ``secret_key``, a key of Fernet's or any passphrase, else from the file ``secret.key``
in the data folder, which is made when the first secret is encrypted.

>>> import tempfile
>>> key = SecretKey('a passphrase of the operator', Path(tempfile.gettempdir()))
>>> token = key.encrypt('helloworld')
>>> 'helloworld' in token, key.decrypt(token)
(False, 'helloworld')
"""

from __future__ import annotations

import base64
import os
import tempfile
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from apizen.governance.error import SecretError
from apizen.governance.folder import exists, key_file, make_folder

__all__ = ["SecretKey"]

# A passphrase must give the same key on every machine that shares the database, so the salt is a fixed one.
_SALT = b"apizen secret_key"


class SecretKey:
    """Encrypts and decrypts with the setting ``secret_key``, or with the key file in the folder ``data``."""

    def __init__(self, secret_key: str, data: Path) -> None:
        self._secret_key = secret_key
        self._file = key_file(data)
        self._fernet: Fernet | None = None
        #: Where the key comes from, for messages.
        self.origin = "the setting secret_key" if secret_key else str(self._file)

    def encrypt(self, secret: str) -> str:
        """Encrypts, and makes the key file where there is no key yet. Raises `SecretError`."""
        if not self._secret_key and not exists(self._file):
            _make(self._file)
        return self._loaded().encrypt(secret.encode()).decode()

    def decrypt(self, token: str) -> str:
        """What was encrypted. Raises `SecretError` where that was done with another key."""
        try:
            return self._loaded().decrypt(token.encode()).decode()
        except InvalidToken:
            raise SecretError(f"the secrets were encrypted with another key than the one of {self.origin}") from None

    def _loaded(self) -> Fernet:
        if self._fernet is None:
            self._fernet = _fernet_of(self._secret_key) if self._secret_key else _read(self._file)
        return self._fernet


def _read(file: Path) -> Fernet:
    try:
        return Fernet(file.read_text("ascii").strip())
    except FileNotFoundError:
        raise SecretError(f"there is no key to read the secrets with: {file} is missing") from None
    except OSError as error:
        raise SecretError(f"the key {file} can't be read: {error.strerror}") from error
    except ValueError:
        raise SecretError(f"{file} holds no key, which is 32 bytes in base64 as Fernet makes it") from None


@lru_cache(maxsize=8)
def _fernet_of(secret_key: str) -> Fernet:
    """The key itself, or one derived from a passphrase; that is slow on purpose, so only once."""
    try:
        return Fernet(secret_key)
    except ValueError:
        # Bytes that are no UTF-8 count as they were given.
        passphrase = secret_key.encode("utf-8", "surrogateescape")
        derived = Scrypt(salt=_SALT, length=32, n=2**14, r=8, p=1).derive(passphrase)
        return Fernet(base64.urlsafe_b64encode(derived))


def _make(file: Path) -> None:
    """Makes the key file. Of several processes that do so at once, one makes it and the others leave it alone."""
    make_folder(file.parent)
    try:
        # mkstemp opens with O_EXCL and mode 0600; a link to the complete file can't replace another one.
        descriptor, name = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as new:
                new.write(Fernet.generate_key() + b"\n")
                new.flush()
                os.fsync(descriptor)
            os.link(name, file)
        except FileExistsError:
            pass
        finally:
            Path(name).unlink()
    except OSError as error:
        raise SecretError(f"the key {file} can't be made: {error.strerror}") from error
