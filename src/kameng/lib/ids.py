"""Public ids: they carry their kind and nothing else (`ord_8F2K…`), and can't be guessed or counted."""

from __future__ import annotations

import base64
import secrets

# Crockford's base 32: no I, L, O, U, so that an id read out over the phone survives.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TO_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())


def public_id(kind: str, length: int = 20) -> str:
    """A fresh `kind_XXXXXXXX…`: five bits a character, 100 bits by default."""
    return f"{kind}_{random_token(length)}"


def random_token(length: int) -> str:
    """`length` characters of Crockford base 32 from the operating system's randomness."""
    raw = secrets.token_bytes(-(-length * 5 // 8))
    return base64.b32encode(raw)[:length].translate(_TO_CROCKFORD).decode()


def schema_name(serial: int) -> str:
    """The opaque Postgres schema and role of a substation: never its name or address."""
    return f"s_{serial:07d}"
