"""What of a shop's money has to be settled before it is closed."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from kameng.db.context import in_main
from shared_apps.receipts.models import CaseState, PaymentCase, Refund, RefundState
from tenants.closing import Matter

EXAMPLES = 5
UNFINISHED = (RefundState.ASKED, RefundState.PENDING, RefundState.UNKNOWN)


def open_matters(substation: Any) -> list[Matter]:
    """One of settings.CLOSING_CHECKS: payment cases that wait for a decision, and refunds that have not arrived."""
    with in_main():
        cases = PaymentCase.objects.filter(substation_id=substation.pk).exclude(state=CaseState.SETTLED).order_by("id")
        refunds = Refund.objects.filter(substation_id=substation.pk, state__in=UNFINISHED).order_by("id")
        return [
            Matter(
                "payment_cases", _("Payment cases"), cases.count(), tuple(cases.values_list("public_id", flat=True)[:EXAMPLES])
            ),
            Matter(
                "refunds", _("Refunds under way"), refunds.count(),
                tuple(refunds.values_list("order_number", flat=True)[:EXAMPLES]),
            ),
        ]  # fmt: skip
