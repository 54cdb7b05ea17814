"""Secrets and signatures of the test channel, shared by the program and by the adapter that speaks to it.

Every merchant account exists as soon as it is named: its secret is derived from the channel's master secret, so a
main station and any number of shops can sell through the test channel without an account being opened first.
"""

from __future__ import annotations

import hashlib
import hmac
import re

REQUEST_WINDOW_S = 60  # How far a signed request's clock may be from the channel's, each way.
CALLBACK_HEADER = "X-Testpay-Signature"
ACCOUNT_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


def merchant_secret(master: str, account_ref: str) -> str:
    """The secret of one merchant account, 64 hex digits. Raises ValueError for a name that can't be an account's."""
    if not ACCOUNT_PATTERN.fullmatch(account_ref):
        raise ValueError(f"not a merchant account's name: {account_ref!r}")
    return _hmac(master, f"kameng.testpay.merchant:{account_ref}".encode())


def dashboard_key(master: str) -> str:
    """What opens the dashboard in a browser. Not the master secret, because it stands in an address once."""
    return _hmac(master, b"kameng.testpay.dashboard")[:40]


def sign_request(secret: str, *, method: str, target: str, timestamp: int, nonce: str, body: bytes) -> str:
    """Signature of a request to the API. `target` is the path with its query, as it stands in the request line."""
    digest = hashlib.sha256(body).hexdigest()
    return _hmac(secret, f"{method}\n{target}\n{timestamp}\n{nonce}\n{digest}".encode())


def sign_callback(secret: str, *, timestamp: int, body: bytes) -> str:
    """The hex part of `X-Testpay-Signature` over "t.body"."""
    return _hmac(secret, str(timestamp).encode() + b"." + body)


def callback_signature(secret: str, *, timestamp: int, body: bytes) -> str:
    """The whole header value: `t=1700000000,v1=…`."""
    return f"t={timestamp},v1={sign_callback(secret, timestamp=timestamp, body=body)}"


def parse_callback_signature(header: str) -> tuple[int, str]:
    """`t=…,v1=…` to (timestamp, signature). Raises ValueError for anything else."""
    match = re.fullmatch(r"t=(\d{1,12}),v1=([0-9a-f]{64})", header)
    if match is None:
        raise ValueError("not a callback signature")
    return int(match[1]), match[2]


def same(left: str, right: str) -> bool:
    """Compare two signatures in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())


def _hmac(key: str, message: bytes) -> str:
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
