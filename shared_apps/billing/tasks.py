"""Work of the background: renewals, dunning, questions to the channels, mail."""

from __future__ import annotations

from typing import Any

from kameng.jobs.registry import job, periodic
from kameng.lib import clock
from shared_apps.billing import mails, services


@periodic("billing.renew_due")
def renew_due() -> None:
    services.renew_due(now=clock.utc_now())


@periodic("billing.dun")
def dun() -> None:
    services.dun(now=clock.utc_now())
    services.end_closed(now=clock.utc_now())
    services.tell_closings(now=clock.utc_now())
    services.tell_moved(now=clock.utc_now())


@periodic("billing.ask_about_pages")
def ask_about_pages() -> None:
    services.ask_due(now=clock.utc_now())


@periodic("billing.finish_changes")
def finish_changes() -> None:
    services.finish_changes(now=clock.utc_now())


@job("billing.mail", tenant=False)
def mail(*, substation_id: int, what: str, **details: Any) -> None:
    mails.send(substation_id=substation_id, what=what, details=details)


@job("billing.cancel_stray", tenant=False)
def cancel_stray(*, account_id: int, subscription: str, **_: Any) -> None:
    services.cancel_stray(account_id=account_id, subscription=subscription)


@job("billing.expire_page", tenant=False)
def expire_page(*, page_public_id: str, **_: Any) -> None:
    services.expire_page(page_public_id=page_public_id, now=clock.utc_now())
