"""Work of the background: orders that ran out of time, and what their people are told."""

from __future__ import annotations

from kameng.jobs.registry import job, periodic
from kameng.lib import clock
from tenant_apps.orders import closing, notices, services
from tenants.closing import TELL_BUYERS_JOB


@periodic("orders.expire_due")
def expire_due() -> None:
    services.expire_due(now=clock.utc_now())


@job("orders.mail_delivered")
def mail_delivered(*, order_number: str, **_: object) -> None:
    notices.mail_buyer(order_number)


@job("orders.notify_queue")
def notify_queue(*, order_number: str, **_: object) -> None:
    notices.mail_staff(order_number)


@job(TELL_BUYERS_JOB)
def tell_closing(**_: object) -> None:
    closing.tell_buyers()


@job(closing.MAIL_JOB)
def mail_closing(*, order_number: str, **_: object) -> None:
    notices.mail_closing(order_number)
