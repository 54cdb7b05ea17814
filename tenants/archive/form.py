"""What an archive looks like: its paths, its manifest's version, its seal, and what never goes in or never comes back."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.utils.crypto import salted_hmac

FORMAT = "kameng-substation"
VERSION = 1  # Of this layout. What reads it refuses a higher one.
MANIFEST, SEAL, SHOP, README = "manifest.json", "manifest.seal", "shop.json", "README.txt"
# Every path that an archive may hold. No separator but these, no dot in front, so none leads out of its folder.
PATH = re.compile(
    r"manifest\.json|manifest\.seal|shop\.json|README\.txt|codes\.csv"
    r"|tables/[a-z][a-z0-9_]{0,62}\.(?:csv|jsonl)"
    r"|statements/[a-z][a-z0-9_]{0,40}\.csv"
    r"|files/[a-z0-9_-]{1,40}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}"
)
_SALT = "tenants.archive.seal"

# Tables that stay behind, and why; the manifest repeats it.
LEFT_OUT = {
    "accounts_apitoken": "Keys of programs open this shop and no other; make new ones.",
    "accounts_authenticator": "A second factor of this installation and host, sealed with its keys; each person sets up a new one.",
    "accounts_passkey": "A passkey signs for one host; each person adds a new one.",
    "accounts_recoverycode": "They belong to the second factor that stays behind.",
    "accounts_staffsession": "Who was logged in where, on this host.",
    "accounts_idempotencyrecord": "Answers that are kept for a day, sealed with this installation's keys.",
}
# Written, and never loaded: the ledger is the truth, and a file must not bring money into a shop.
NOT_LOADED = {"finance_statementline": "A copy of the ledger. The new shop's own ledger begins empty."}
# Columns whose value stays behind: what stands in its place, as SQL.
MASKED = {("accounts_user", "password"): "'!'"}  # No password opens it; its person has a new one mailed.
# Public ids that are unique in the whole network: made anew, with this prefix, for the shop they came from may live.
RENEWED = {("payments_payment", "public_id"): "pay"}


@dataclass(frozen=True)
class Table:
    """A table of a tenant's schema as an archive holds it: in the order of its key, so that its digest is its content's."""

    name: str
    key: str
    columns: tuple[str, ...]

    @property
    def select(self) -> str:
        """The rows as they are written."""
        parts = [
            f'{MASKED[self.name, column]} AS "{column}"' if (self.name, column) in MASKED else f'"{column}"'
            for column in self.columns
        ]
        return f'SELECT {", ".join(parts)} FROM "{self.name}" ORDER BY "{self.key}"'

    @property
    def as_csv(self) -> str:
        """Postgres' own CSV: NULL is nothing, an empty text is `""`."""
        return f"COPY ({self.select}) TO STDOUT WITH (FORMAT csv, HEADER true)"

    @property
    def as_json(self) -> str:
        """One object a line. JSON escapes every control character, so with such quotes the CSV form adds nothing to it."""
        return (
            f"COPY (SELECT row_to_json(t) FROM ({self.select}) t) TO STDOUT "
            "WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
        )

    def insert(self, schema: str, columns: list[str]) -> str:
        """What loads it; `columns` in the file's order, each known to be one of ours."""
        names = ", ".join(f'"{column}"' for column in columns)
        return f'COPY "{schema}"."{self.name}" ({names}) FROM STDIN WITH (FORMAT csv, HEADER match)'


def tenant_tables() -> dict[str, str]:
    """Name → key column of every table of a tenant's schema, as the models say."""
    found = {}
    for name in settings.TENANT_APPS:
        for model in apps.get_app_config(name.rsplit(".", 1)[-1]).get_models(include_auto_created=True):
            key = model._meta.pk
            assert key is not None
            found[model._meta.db_table] = str(key.column)
    return dict(sorted(found.items()))


def seal_of(manifest: bytes, key: str | None = None) -> str:
    """The mark that says who wrote a manifest: this installation, with its secret key."""
    digest = hashlib.sha256(manifest).hexdigest()
    return salted_hmac(_SALT, digest, secret=key, algorithm="sha256").hexdigest()


def is_sealed(manifest: bytes, seal: str) -> bool:
    """Whether the mark is ours, also by a key that was in use before the present one."""
    keys: list[str] = [settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS)]
    return any([hmac.compare_digest(seal_of(manifest, key), seal) for key in keys])


def shop_facts(substation: Any) -> dict[str, Any]:
    """What the main station knows of a shop, as `shop.json` holds it."""
    return {
        "public_id": substation.public_id, "name": substation.name, "address": substation.slug, "host": substation.host,
        "plan": substation.plan.code, "state": substation.state, "currency": substation.currency,
        "language": substation.language, "preset": substation.preset, "owner_email": substation.owner_email,
        "owner_name": substation.owner_name, "created_at": substation.created_at.isoformat(),
        "live_at": substation.live_at.isoformat() if substation.live_at else None,
        "domains": sorted(substation.domain_claims.values_list("domain", flat=True)),
    }  # fmt: skip
