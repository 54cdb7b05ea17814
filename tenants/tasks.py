"""Work of the background that belongs to no substation yet."""

from __future__ import annotations

from django.conf import settings

from kameng.jobs.registry import job, periodic
from tenants import provisioning, signup, spares


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
