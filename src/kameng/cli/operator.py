"""`kameng operator EMAIL`: the first person of a main station, and the way back in when everybody is locked out."""

from __future__ import annotations

import click
from django.conf import settings

from kameng.cli import setup_django


@click.command()
@click.argument("email")
@click.option("--name", default="", help="How pages and the audit trail call them.")
@click.option("--lost-phone", is_flag=True, help="Also take their second factor off: for the only one who could help.")
def operator(email: str, name: str, lost_phone: bool) -> None:
    """Give EMAIL a log-in to the billing console and print the link that sets its password.

    Somebody who has a log-in keeps it: made an operator, let in again, and given a fresh link.
    """
    setup_django()
    from kameng.accounts import factors, people, recovery
    from kameng.accounts.models import Role, User
    from kameng.accounts.types import SYSTEM
    from kameng.db.context import in_main
    from kameng.lib import clock
    from shared_apps.console import services

    now = clock.utc_now()
    with in_main():
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            user = services.invite(email=email, name=name, role=Role.OPERATOR, by=SYSTEM, now=now)
        else:
            people.set_active(user_id=user.pk, active=True, by=SYSTEM, now=now)
            user = people.set_role(user_id=user.pk, role=Role.OPERATOR, by=SYSTEM, now=now)
        if lost_phone and factors.has_any(user):
            factors.reset(user_id=user.pk, by=SYSTEM, now=now)
        link = recovery.link_path(user)
    click.echo(f"{user.email} may use the billing console. This link sets the password, once and within 24 hours:")
    click.echo(f"{settings.SCHEME}://{settings.BASE_DOMAIN}{settings.AUTHORITY}{link}")
