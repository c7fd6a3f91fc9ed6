"""Files that only a passphrase opens: AES-256-GCM with a key from scrypt (RFC 7914)."""

import os

from morphoscope.configs import UserError
from morphoscope.runtime.extras import extra_package

_MAGIC = b"morphoscope encrypted 1\n"
_SALT, _NONCE = 16, 12  # bytes
_COST, _BLOCK, _PARALLEL = 2**16, 8, 1  # 64 MB for each guess
_MIN_CHARACTERS = 8


def is_encrypted(data: bytes) -> bool:
    """Whether `encrypt` made this, by its first bytes."""
    return data.startswith(_MAGIC)


def encrypt(data: bytes, passphrase: str) -> bytes:
    """Encrypt with a new salt and nonce; the result also shows if it is changed later.

    Raises:
        UserError: a passphrase of fewer than 8 characters, or the package cryptography is not installed.
    """
    if len(passphrase) < _MIN_CHARACTERS:
        raise UserError(f"passphrase: takes at least {_MIN_CHARACTERS} characters.")
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    header = _MAGIC + salt + nonce
    ciphers = extra_package("cryptography.hazmat.primitives.ciphers.aead", "encryption", "Encryption")
    found: bytes = ciphers.AESGCM(_key(passphrase, salt)).encrypt(nonce, data, header)
    return header + found


def decrypt(data: bytes, passphrase: str, name: str) -> bytes:
    """What was encrypted.

    Args:
        data: from `encrypt`.
        name: of the file, for messages.

    Raises:
        UserError: another passphrase, the data were changed or truncated, or the package cryptography is not
            installed.
    """
    start = len(_MAGIC)
    salt, nonce = data[start : start + _SALT], data[start + _SALT : start + _SALT + _NONCE]
    header, rest = data[: start + _SALT + _NONCE], data[start + _SALT + _NONCE :]
    ciphers = extra_package("cryptography.hazmat.primitives.ciphers.aead", "encryption", "Encryption")
    exceptions = extra_package("cryptography.exceptions", "encryption", "Encryption")
    if len(header) < start + _SALT + _NONCE:
        raise UserError(f"{name}: an encrypted file that is truncated; restore it from a copy.")
    try:
        found: bytes = ciphers.AESGCM(_key(passphrase, salt)).decrypt(nonce, rest, header)
    except exceptions.InvalidTag as error:
        raise UserError(
            f"{name}: the passphrase is wrong, or the file was changed since it was written."
        ) from error
    return found


def _key(passphrase: str, salt: bytes) -> bytes:
    scrypt = extra_package("cryptography.hazmat.primitives.kdf.scrypt", "encryption", "Encryption")
    kdf = scrypt.Scrypt(salt=salt, length=32, n=_COST, r=_BLOCK, p=_PARALLEL)
    key: bytes = kdf.derive(passphrase.encode("utf-8"))
    return key
