"""Work of the background: mail to the main station's people, and secrets under a new key."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import translation
from django.utils.translation import gettext as _

from kameng.accounts import notices, recovery
from kameng.accounts.catalogue import Place
from kameng.accounts.models import User
from kameng.db.context import in_main
from kameng.jobs.registry import job
from kameng.jobs.services import enqueue
from shared_apps.console.services import INVITATION_JOB, ROTATION_JOB
from shared_apps.receipts import services as receipts
from shared_apps.stock import services as stock


@job(INVITATION_JOB, tenant=False)
def mail_invitation(*, user_id: int, **_rest: object) -> None:
    """The link is made here, so that no table ever holds it. Somebody who has a password by now gets nothing."""
    with in_main():
        user = User.objects.filter(pk=user_id, is_active=True).first()
        if user is None or user.has_usable_password():
            return
        base = f"{settings.SCHEME}://{settings.BASE_DOMAIN}{settings.AUTHORITY}"
        with translation.override(user.language or settings.LANGUAGE_CODE):
            subject = _("You are invited to Kameng's main station")
            first = _("You can work in the billing console. Choose a password here:")
            last = _("The link works once and for 24 hours. If you don't know Kameng, forget this mail.")
            body = f"{first}\n\n{base}{recovery.link_path(user)}\n\n{last}\n"
    EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [user.email]).send()


@job(ROTATION_JOB, tenant=False)
def rotate_keys(**_rest: object) -> None:
    """Merchant accounts in one transaction, codes in batches; what a sale has locked is left to the next press."""
    with in_main():
        receipts.reseal_accounts()
    stock.rotate()


NOTICE_JOB = "console.mail_notice"


@job(NOTICE_JOB, tenant=False)
def mail_notice(*, user_id: int, notice: str, at: str, ip: str, who: str, agent: str, **_rest: object) -> None:
    """Tell one of the main station's people what happened to their log-in (`accounts.notices`)."""
    with in_main():
        user = User.objects.filter(pk=user_id).first()
    if user is None:  # Removed meanwhile.
        return
    base = f"{settings.SCHEME}://{settings.BASE_DOMAIN}{settings.AUTHORITY}"
    with translation.override(user.language or settings.LANGUAGE_CODE):
        subject, body = notices.letter(user, "Kameng", base, what=notice, at=at, ip=ip, who=who, agent=agent)
    EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [user.email]).send()


notices.through(Place.MAIN, lambda payload: enqueue(kind=NOTICE_JOB, payload=payload))
