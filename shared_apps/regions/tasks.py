"""Work of the background: new shops are offered, offers lapse, contacts are forgotten."""

from __future__ import annotations

from kameng.db.context import in_main
from kameng.jobs.registry import job, periodic
from kameng.lib import clock
from shared_apps.regions import services
from tenants.signup import CITY_JOB


@job(CITY_JOB, tenant=False)
def offer_shop(*, substation_id: int, **_: object) -> None:
    with in_main():
        services.offer_shop(substation_id=substation_id, now=clock.utc_now())


@job("regions.mail_offer", tenant=False)
def mail_offer(*, lead: str, **_: object) -> None:
    services.mail_offer(public_id=lead)


@periodic("regions.lapse_offers")
def lapse_offers() -> None:
    with in_main():
        services.lapse_due(now=clock.utc_now())


@periodic("regions.forget_leads")
def forget_leads() -> None:
    with in_main():
        services.forget_due(now=clock.utc_now())
