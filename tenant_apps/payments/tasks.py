"""Work of the background: the inbox, the cases, the refunds, and the questions nobody answered."""

from __future__ import annotations

from kameng.db.context import MAIN, current_schema, in_main, pointed_at
from kameng.jobs.registry import JobNotRetryable, job, periodic
from kameng.lib import clock
from shared_apps.receipts import services as receipts
from tenant_apps.payments import services
from tenants.models import Substation


@job("payments.handle_event", tenant=False)
def handle_event(*, event_id: int, **_: object) -> None:
    services.handle_event(event_id=event_id, now=clock.utc_now())


@job("payments.carry_out_case", tenant=False)
def carry_out_case(*, case_public_id: str, **_: object) -> None:
    services.carry_out_case(case_public_id=case_public_id, now=clock.utc_now())


@job("payments.run_refund", tenant=False)
def run_refund(*, refund_public_id: str, **_: object) -> None:
    services.run_refund(refund_public_id=refund_public_id, now=clock.utc_now())


@job("payments.ask_soon")
def ask_soon(*, order_number: str, **_: object) -> None:
    """An order ended unpaid: ask once whether its buyer was faster."""
    schema = current_schema()
    with in_main():
        substation_id = Substation.objects.values_list("pk", flat=True).get(schema_name=schema)
        receipts.ask_soon(substation_id=substation_id, order_number=order_number, now=clock.utc_now())


@job("payments.refund_order")
def refund_order(*, order_number: str, reason: str, **_: object) -> None:
    """A shop that is being closed gives an order's money back."""
    schema = current_schema()
    try:
        with pointed_at(MAIN):
            services.refund_undelivered(
                schema_name=schema, order_number=str(order_number), reason=str(reason)[:200], now=clock.utc_now()
            )
    except (services.OrderNotRefundable, receipts.RefundRefused) as refusal:
        raise JobNotRetryable(str(refusal)) from refusal


@periodic("payments.ask_about_unknown")
def ask_about_unknown() -> None:
    services.ask_about_unknown(now=clock.utc_now())


@periodic("payments.handle_waiting")
def handle_waiting() -> None:
    services.handle_waiting(now=clock.utc_now())
