"""Order numbers, the buyer's secrets, and who may see an order. In the scope of the order's shop."""

from __future__ import annotations

import hashlib
import hmac

from django.conf import settings
from django.utils.crypto import salted_hmac

from kameng.db.context import current_schema
from kameng.lib.ids import random_token

NUMBER_LENGTH = 14  # 70 bits after the K: an order number names an order and tells neither its day nor its rank.
TOKEN_LENGTH = 32  # 160 bits.
LOOKUP_LENGTH = 10  # 50 bits, typed by a person; guessing it is limited by the view as well.
_MAIL_SALT = "tenant_apps.orders.mail"
_SALT = "tenant_apps.orders.lookup"


def new_number() -> str:
    """A fresh order number: `K` and fourteen letters and digits of Crockford's base 32."""
    return f"K{random_token(NUMBER_LENGTH)}"


def new_token() -> str:
    """A fresh secret for the buyer's link."""
    return random_token(TOKEN_LENGTH)


def new_lookup_secret() -> str:
    """A query password for a buyer who gave none."""
    return random_token(LOOKUP_LENGTH)


def clean_number(text: str) -> str:
    """An order number as a person types it: case, spaces and hyphens don't matter; O is zero, I and L are one."""
    bare = "".join(text.split()).replace("-", "").upper()
    return bare[:1] + bare[1:].translate(str.maketrans("OIL", "011"))


def token_digest(token: str) -> bytes:
    """A token has 160 random bits: a plain hash of it can't be reversed by trying."""
    return hashlib.sha256(token.encode()).digest()


def lookup_digest(number: str, secret: str, key: str | None = None) -> bytes:
    """A query password may be short, so its hash is keyed with the server's secret and bound to the order.

    Whoever reads the table alone can't try passwords against it.
    """
    return salted_hmac(_SALT, f"{number}:{_normal(secret)}", secret=key, algorithm="sha256").digest()


def mailed_token(number: str, key: str | None = None) -> str:
    """The secret of the link in the mail: the token itself is kept as a hash only, so this one is made of the shop, the
    number and the server's secret. 160 bits in hex. Without the shop in it, whoever has a shop could have the link to
    another shop's order made, by writing that order's number into one of their own."""
    return salted_hmac(_MAIL_SALT, f"{current_schema()}:{number}", secret=key, algorithm="sha256").hexdigest()[:40]


def opens(digest: bytes, number: str, token: str) -> bool:
    """Whether `token` is the order's own or the one that was mailed; compared in constant time."""
    keys: list[str] = [settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS)]
    mailed = [hmac.compare_digest(mailed_token(number, key).encode(), token.encode()) for key in keys]
    return any([token_matches(digest, token), *mailed])


def token_matches(digest: bytes, token: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(bytes(digest), token_digest(token))


def lookup_matches(digest: bytes, number: str, secret: str) -> bool:
    """Compare in constant time, also with the keys that were in use before the present one."""
    keys: list[str] = [settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS)]
    return any([hmac.compare_digest(bytes(digest), lookup_digest(number, secret, key)) for key in keys])


def contact_hint(contact: str) -> str:
    """The contact for eyes that need not know it: `a***@qq.com`, `138****1234`."""
    name, at, host = contact.partition("@")
    if at:
        return f"{name[:1]}***@{host}"
    return f"{contact[:3]}****{contact[-4:]}" if len(contact) >= 9 else f"{contact[:2]}****{contact[-1:]}"


def _normal(secret: str) -> str:
    return "".join(secret.split()).upper()
