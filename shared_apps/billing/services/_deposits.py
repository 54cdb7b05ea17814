"""The deposit: taken by an invoice, held on the substation's own account, given back in part or whole. Main scope."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue
from kameng.accounts.types import Actor
from kameng.lib.ids import public_id
from shared_apps.billing.services._errors import AmountInvalid
from shared_apps.billing.services._invoices import deposit
from shared_apps.ledger import services as ledger
from shared_apps.ledger.models import Transfer
from shared_apps.ledger.states import Kind
from shared_apps.ledger.types import Leg, Posted
from tenants.models import Substation


def return_deposit(
    *, substation_id: int, amount_minor: int, reason: str, by: Actor, now: datetime, key: str = ""
) -> Posted:
    """Give a deposit back, in part or whole, to what the substation may withdraw. `key`: the same key returns once.

    Raises: NotAllowed, AmountInvalid (not positive, or more than is held); nothing is moved.
    """
    by.must(catalogue.INVOICES_MANAGE)
    if amount_minor <= 0:
        raise AmountInvalid(_("Give back more than nothing."), field="amount")
    with transaction.atomic():
        shop = Substation.objects.get(pk=substation_id)
        posting_key = f"deposit.return:{key or public_id('dep')}"
        # Sent twice: it is the same transfer only with the moment of the first.
        before = Transfer.objects.filter(idempotency_key=posting_key).first()
        try:
            posted = ledger.post_transfer(
                key=posting_key, kind=Kind.DEPOSIT_RETURN, currency=shop.currency,
                event_at=before.event_at if before else now, reference_type="substation", reference=shop.public_id,
                substation_id=substation_id,
                legs=[
                    Leg(deposit(substation_id), amount_minor),
                    Leg(f"substation:{substation_id}:available", -amount_minor),
                ],
                memo={"reason": reason[:200]},
            )  # fmt: skip
        except ledger.InsufficientBalance as refusal:
            raise AmountInvalid(
                _("That is more than the deposit that is held. Nothing was moved."), field="amount"
            ) from refusal
        if posted.created:
            audit.record(
                action="billing.deposit.returned", by=by, target=shop.public_id, at=now, amount_minor=amount_minor,
                reason=reason[:200],
            )  # fmt: skip
    return posted
