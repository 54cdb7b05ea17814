"""Work of the background that belongs to no substation yet."""

from __future__ import annotations

from django.conf import settings

from kameng.jobs.registry import job, periodic
from tenants import signup, spares


@job("tenants.provision", tenant=False)
def provision(*, signup_id: int, **_: object) -> None:
    signup.provision(signup_id)
    fill_spares()


@periodic("tenants.fill_spares")
def fill_spares() -> None:
    spares.fill(settings.SPARE_SCHEMAS)


@periodic("tenants.sweep_signups")
def sweep_signups() -> None:
    signup.sweep()
