"""Work of the background: orders that ran out of time, and what their people are told."""

from __future__ import annotations

from kameng.jobs.registry import job, periodic
from kameng.lib import clock
from tenant_apps.orders import notices, services


@periodic("orders.expire_due")
def expire_due() -> None:
    services.expire_due(now=clock.utc_now())


@job("orders.mail_delivered")
def mail_delivered(*, order_number: str, **_: object) -> None:
    notices.mail_buyer(order_number)


@job("orders.notify_queue")
def notify_queue(*, order_number: str, **_: object) -> None:
    notices.mail_staff(order_number)
