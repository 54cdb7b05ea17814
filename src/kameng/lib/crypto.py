"""Codes and merchant credentials at rest: AES-256-GCM under a versioned key, and a keyed index to find duplicates.

The ring is one JSON text, kept outside the database:
`{"current": "k1", "keys": {"k1": "<base64, 32 bytes>", …}, "index": "<base64, 32 bytes>"}`.
A key is never used directly: each purpose has its own subkey by HKDF, so that a credential's blob can't be passed off
as a code.
A blob is nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes). Nonces are random; NIST SP 800-38D 8.3 allows 2³² of them
under one key, four thousand times the largest stock planned.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hmac
import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Invalid, Refused

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
INDEX_BYTES = 16  # 128 bits: among 10^9 codes, a false duplicate is less likely than a disk error.
CODES = b"kameng.codes.v1"
SECRETS = b"kameng.secrets.v1"
NONCES_PER_READ = 4096  # One call of the operating system for this many nonces.

# A card number and its password are one code with this between; imports join the two columns with it.
CARD_PASSWORD_SEPARATOR = "----"
BULLETS = "••••"
# Word processors and Chinese keyboards put these for the hyphen of a code.
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u30fc", "-"))


class KeyRingBroken(ValueError):
    """The ring's text is not one: a mistake of the installation. The message never holds key material."""


class CodeUnreadable(Refused):
    """A blob was changed, belongs to another row, or its key is not in the ring."""

    code = "code_unreadable"


class CodeUnwritable(Invalid):
    """The text holds half a character (a lone surrogate), which no encoding can store."""

    code = "code_unwritable"


class Sealed(NamedTuple):
    """A ciphertext and the name of the key it was made with."""

    key_version: str
    blob: bytes


@dataclass(frozen=True, repr=False)
class KeyRing:
    """Keys by version; the current one encrypts, all of them decrypt. Safe to share between threads."""

    current: str
    _keys: Mapping[str, bytes]
    _index_key: bytes

    def __repr__(self) -> str:  # Without this, a traceback with locals would print the keys.
        return f"<KeyRing current={self.current} versions={sorted(self._keys)}>"

    @classmethod
    def from_json(cls, text: str) -> KeyRing:
        """Raises KeyRingBroken, naming the part that is wrong."""
        try:
            raw = json.loads(text)
        except ValueError:
            raise KeyRingBroken("the key ring is not JSON") from None  # The cause would quote the text.
        if not isinstance(raw, dict) or not isinstance(raw.get("keys"), dict) or not raw["keys"]:
            raise KeyRingBroken('the key ring needs "current", "keys" and "index"')
        keys = {str(version): _key(f'keys["{version}"]', value) for version, value in raw["keys"].items()}
        if raw.get("current") not in keys:
            raise KeyRingBroken('"current" names no key of the ring')
        index_key = _key("index", raw.get("index"))
        if index_key in keys.values() or len(set(keys.values())) != len(keys):
            raise KeyRingBroken("two entries of the key ring are the same key")
        return cls(current=raw["current"], _keys=keys, _index_key=index_key)

    @property
    def versions(self) -> frozenset[str]:
        """The names of all keys of the ring, never the keys."""
        return frozenset(self._keys)

    # Codes -----------------------------------------------------------------------------------------------------

    def encrypt(self, plaintext: str, aad: bytes) -> Sealed:
        """`aad` binds the blob to its place (the SKU's code, say): the same bytes are needed to decrypt.

        Raises: CodeUnwritable.
        """
        return self._seal(CODES, plaintext, aad)

    def encrypt_many(self, plaintexts: Iterable[str], aad: bytes) -> Iterator[Sealed]:
        """`encrypt` for a stream: one cipher, nonces read in blocks. Order is kept. Raises: CodeUnwritable."""
        cipher, version = self._cipher(CODES, self.current), self.current
        nonces = _nonces()
        for plaintext in plaintexts:
            nonce = next(nonces)
            yield Sealed(version, nonce + cipher.encrypt(nonce, _to_bytes(plaintext), aad))

    def decrypt(self, sealed: Sealed, aad: bytes) -> str:
        """Raises: CodeUnreadable."""
        return self._open(CODES, sealed, aad)

    def needs_rotation(self, sealed: Sealed) -> bool:
        """True when it was made with another key than the current one."""
        return sealed.key_version != self.current

    def rotate(self, sealed: Sealed, aad: bytes) -> Sealed:
        """The same plaintext under the current key; the same object when it is so already. Raises: CodeUnreadable."""
        return self.encrypt(self.decrypt(sealed, aad), aad) if self.needs_rotation(sealed) else sealed

    def blind_index(self, plaintext: str) -> bytes:
        """16 bytes that are equal for the same code re-typed, and tell nothing without the index key.

        The index key is not versioned: changing it means computing every index again. Raises: CodeUnwritable.
        """
        return hmac.digest(self._index_key, _to_bytes(normalised(plaintext)), "sha256")[:INDEX_BYTES]

    # Merchant credentials --------------------------------------------------------------------------------------

    def seal_secret(self, secret: str, aad: bytes) -> Sealed:
        """As `encrypt`, with the subkey for credentials. Raises: CodeUnwritable."""
        return self._seal(SECRETS, secret, aad)

    def open_secret(self, sealed: Sealed, aad: bytes) -> str:
        """Raises: CodeUnreadable."""
        return self._open(SECRETS, sealed, aad)

    def rotate_secret(self, sealed: Sealed, aad: bytes) -> Sealed:
        """As `rotate`, for credentials. Raises: CodeUnreadable."""
        return self.seal_secret(self.open_secret(sealed, aad), aad) if self.needs_rotation(sealed) else sealed

    # -----------------------------------------------------------------------------------------------------------

    def _cipher(self, purpose: bytes, version: str) -> AESGCM:
        try:
            return _derived_cipher(self._keys[version], purpose)
        except KeyError:
            raise _unreadable(version) from None

    def _seal(self, purpose: bytes, plaintext: str, aad: bytes) -> Sealed:
        nonce = os.urandom(NONCE_BYTES)
        return Sealed(
            self.current, nonce + self._cipher(purpose, self.current).encrypt(nonce, _to_bytes(plaintext), aad)
        )

    def _open(self, purpose: bytes, sealed: Sealed, aad: bytes) -> str:
        blob = bytes(sealed.blob)  # Postgres hands out memoryviews.
        cipher = self._cipher(purpose, sealed.key_version)
        if len(blob) < NONCE_BYTES + TAG_BYTES:
            raise _unreadable(sealed.key_version)
        try:
            return cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], aad).decode()
        except InvalidTag:
            raise _unreadable(sealed.key_version) from None


def fresh_ring_json() -> str:
    """A new ring with one key, for the first start of an installation."""
    return json.dumps({"current": "k1", "keys": {"k1": _random_key()}, "index": _random_key()}, indent=2)


def ring_json_with_new_key(text: str) -> str:
    """The ring's text with one more key, which is current; the old ones stay for reading. Raises: KeyRingBroken."""
    KeyRing.from_json(text)
    raw = json.loads(text)
    number = len(raw["keys"]) + 1
    while f"k{number}" in raw["keys"]:
        number += 1
    raw["keys"][f"k{number}"] = _random_key()
    raw["current"] = f"k{number}"
    return json.dumps(raw, indent=2)


def normalised(code: str) -> str:
    """The form under which two codes count as the same one.

    Evened out is only what re-typing, copying and office programs change by themselves: outer and repeated white space,
    invisible characters, full-width letters and digits (NFKC), kinds of dash. Kept is all that tells real codes apart:
    case (Steam wallet codes ignore it, licence keys and passwords do not) and hyphens (1-23 is not 12-3).
    """
    if not code.isascii():
        folded = unicodedata.normalize("NFKC", code).translate(_DASHES)
        code = "".join(char for char in folded if unicodedata.category(char) != "Cf")
    return " ".join(code.split())


def mask(code: str) -> str:
    """A code as staff may see it: bullets and its last four characters, fewer of a short one, nothing of a password.

    The number of bullets is fixed, so that the length does not show. A third of the code is shown at most.
    """
    card, separator, _password = code.partition(CARD_PASSWORD_SEPARATOR)
    shown = min(4, len(card) // 3)
    tail = card[len(card) - shown :]
    return f"{BULLETS}{tail}{CARD_PASSWORD_SEPARATOR}{BULLETS}" if separator else f"{BULLETS}{tail}"


@functools.lru_cache(maxsize=64)
def _derived_cipher(key: bytes, purpose: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key))


def _nonces() -> Iterator[bytes]:
    while True:
        block = os.urandom(NONCE_BYTES * NONCES_PER_READ)
        for start in range(0, len(block), NONCE_BYTES):
            yield block[start : start + NONCE_BYTES]


def _to_bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # The cause would quote the code.
        raise CodeUnwritable(_("This text holds a broken character and can't be stored. Paste it again.")) from None


def _unreadable(version: str) -> CodeUnreadable:
    message = _(
        "This entry can't be opened with the keys of this server. It was left as it is; please contact support."
    )
    return CodeUnreadable(message, details={"key_version": version})


def _key(name: str, value: object) -> bytes:
    try:
        key = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyRingBroken(f"{name} is not {KEY_BYTES} bytes in base64") from None
    return key


def _random_key() -> str:
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()
