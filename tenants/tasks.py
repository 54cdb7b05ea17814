"""Work of the background that belongs to no substation yet."""

from __future__ import annotations

from django.conf import settings

from kameng.accounts.types import SYSTEM
from kameng.jobs.registry import job, periodic
from kameng.lib import clock
from tenants import addresses, closing, domains, erasure, notices, provisioning, signup, spares
from tenants.archive import exports


@job("tenants.provision", tenant=False)
def provision(*, signup_id: int, **_: object) -> None:
    signup.provision(signup_id)
    # In a burst, those who wait come before those who may come: the pool is filled up when it runs low, and by the clock.
    if provisioning.free_spares() * 2 < settings.SPARE_SCHEMAS:
        fill_spares()


@job("tenants.mail_open", tenant=False)
def mail_open(*, signup_id: int, **_: object) -> None:
    signup.mail_open(signup_id)


@periodic("tenants.fill_spares")
def fill_spares() -> None:
    spares.refill(settings.SPARE_SCHEMAS)


@periodic("tenants.sweep_signups")
def sweep_signups() -> None:
    signup.sweep()


@job(exports.JOB, tenant=False)
def export(*, export: str, **_: object) -> None:
    exports.run(public_id=export)


@periodic("tenants.sweep_exports")
def sweep_exports() -> None:
    exports.sweep()


@periodic("tenants.close_due")
def close_due() -> None:
    closing.close_due()
    closing.release_domains()


@periodic("tenants.erase_due")
def erase_due() -> None:
    erasure.go_on()
    addresses.free_due()


@periodic("tenants.check_domains")
def check_domains() -> None:
    domains.check_due()


@job(domains.MAIL_JOB, tenant=False)
def mail_domain(*, claim_id: int, what: str, **_: object) -> None:
    notices.mail_domain(claim_id, what)


@job(domains.CHECK_JOB, tenant=False)
def check_domain(*, claim_id: int, **_: object) -> None:
    try:
        domains.check(claim_id=claim_id, by=SYSTEM, now=clock.utc_now())
    except domains.DomainUnknown:
        return  # Removed before anybody looked.
