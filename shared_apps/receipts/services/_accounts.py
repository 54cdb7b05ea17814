"""Merchant accounts: made, and opened for a call to their channel."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue
from kameng.accounts.types import SYSTEM, Actor
from kameng.lib.crypto import Sealed
from kameng.lib.errors import Invalid, Missing
from kameng.lib.ids import public_id
from kameng.testpay import keys as testpay_keys
from shared_apps.receipts.models import MerchantAccount
from shared_apps.receipts.services import _books
from shared_apps.receipts.types import AccountInfo
from shared_apps.stock import keys

TESTPAY_CHANNEL = "testpay"
TESTPAY_ACCOUNT_REF = "tp_main"
_REF = re.compile(r"^[A-Za-z0-9_.:\-]{1,80}$")


class AccountInvalid(Invalid):
    code = "merchant_account_invalid"


class AccountMissing(Missing):
    code = "merchant_account_not_found"

    def __init__(self) -> None:
        super().__init__(_("There is no such merchant account."))


def create_account(
    *,
    channel: str,
    account_ref: str,
    name: str,
    credentials: Mapping[str, str],
    substation_id: int | None = None,
    api_base: str = "",
    by: Actor,
) -> AccountInfo:
    """Keep a merchant account, its credentials sealed, and open the channel's ledger accounts. Main scope.

    Raises: AccountInvalid (the reference can't be used, or is kept already).
    """
    by.must(catalogue.MERCHANTS_MANAGE)
    if not _REF.match(account_ref):
        raise AccountInvalid(_("An account reference has letters, digits and _ . : -"), field="account_ref")
    if MerchantAccount.objects.filter(channel=channel, account_ref=account_ref).exists():
        raise AccountInvalid(_("This account is registered already."), field="account_ref")
    sealed = keys.ring().seal_secret(json.dumps(dict(credentials), sort_keys=True), _aad(channel, account_ref))
    account = MerchantAccount.objects.create(
        public_id=public_id("acc"), channel=channel, account_ref=account_ref, name=name, substation_id=substation_id,
        credentials=sealed.blob, key_version=sealed.key_version, api_base=api_base,
    )  # fmt: skip
    _books.open_channel(channel)
    audit.record(action="receipts.account.created", by=by, target=account.public_id, channel=channel, ref=account_ref)
    return _info(account)


def ensure_testpay_account(*, by: Actor = SYSTEM) -> AccountInfo:
    """The demonstration network's account at the test channel, as the settings name it. Main scope; safe to repeat.

    Raises: AccountInvalid when this installation has no test channel.
    """
    if not settings.TESTPAY_URL or not settings.TESTPAY_SECRET:
        raise AccountInvalid(_("This installation has no test channel."))
    # The channel derives each account's secret from its own, so the account exists there as soon as it is named.
    secret = testpay_keys.merchant_secret(settings.TESTPAY_SECRET, TESTPAY_ACCOUNT_REF)
    kept = MerchantAccount.objects.filter(channel=TESTPAY_CHANNEL, account_ref=TESTPAY_ACCOUNT_REF).first()
    if kept is None:
        return create_account(
            channel=TESTPAY_CHANNEL, account_ref=TESTPAY_ACCOUNT_REF, name="Test channel",
            credentials={"secret": secret},
            api_base=settings.TESTPAY_URL, by=by,
        )  # fmt: skip
    if kept.api_base != settings.TESTPAY_URL:  # `make run` with another port.
        kept.api_base = settings.TESTPAY_URL
        kept.save(update_fields=["api_base"])
    return _info(kept)


def account_with_credentials(*, account_id: int | None = None, account_public_id: str = "") -> AccountInfo:
    """An account with its secrets, for a call to its channel. Main scope. Raises: AccountMissing."""
    found = MerchantAccount.objects.filter(**({"pk": account_id} if account_id else {"public_id": account_public_id}))
    account = found.first()
    if account is None:
        raise AccountMissing()
    sealed = Sealed(account.key_version, bytes(account.credentials))
    secrets = json.loads(keys.ring().open_secret(sealed, _aad(account.channel, account.account_ref)))
    return _info(account, secrets)


def set_enabled(*, account_public_id: str, enabled: bool, by: Actor) -> None:
    """Offer a channel to buyers, or no longer. Callbacks of a disabled account are still taken. Main scope.

    Raises: AccountMissing.
    """
    by.must(catalogue.MERCHANTS_MANAGE)
    if not MerchantAccount.objects.filter(public_id=account_public_id).update(enabled=enabled):
        raise AccountMissing()
    audit.record(action="receipts.account.enabled", by=by, target=account_public_id, enabled=enabled)


def reseal_accounts() -> int:
    """Credentials under the current key again, after a new one was put into the ring; answers how many were not.

    Main scope; safe to repeat. Raises: CodeUnreadable when an account's key is not in the ring (nothing is changed).
    """
    ring = keys.ring()
    old = list(MerchantAccount.objects.select_for_update().exclude(key_version=ring.current).order_by("pk"))
    for account in old:
        kept = Sealed(account.key_version, bytes(account.credentials))
        if kept.blob:  # Of an erased shop's account nothing is left to be opened.
            account.credentials = ring.rotate_secret(kept, _aad(account.channel, account.account_ref)).blob
        account.key_version = ring.current
        account.save(update_fields=["credentials", "key_version"])
    return len(old)


def _aad(channel: str, account_ref: str) -> bytes:
    """Binds the sealed credentials to their account: moved to another row, they don't open."""
    return f"merchant:{channel}:{account_ref}".encode()


def _info(account: MerchantAccount, credentials: Mapping[str, str] | None = None) -> AccountInfo:
    return AccountInfo(
        id=account.pk, public_id=account.public_id, channel=account.channel, account_ref=account.account_ref,
        name=account.name, substation_id=account.substation_id, api_base=account.api_base, enabled=account.enabled,
        credentials=credentials or {},
    )  # fmt: skip
