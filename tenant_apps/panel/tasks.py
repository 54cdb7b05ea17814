"""Mail to the shop's people."""

from __future__ import annotations

from email.utils import formataddr, parseaddr

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from kameng.accounts import notices, recovery
from kameng.accounts.catalogue import Place
from kameng.accounts.models import User
from kameng.db.context import current_schema, in_main
from kameng.jobs.registry import job
from kameng.jobs.services import enqueue
from tenant_apps.panel.services import INVITATION_JOB
from tenant_apps.shop import selectors as shops
from tenants.models import Substation


@job(INVITATION_JOB)
def mail_invitation(*, user_id: int, base_url: str, **_rest: object) -> None:
    """The link is made here, so that no table ever holds it. Somebody who has a password by now gets nothing."""
    with transaction.atomic():
        user = User.objects.filter(pk=user_id, is_active=True).first()
        shop = shops.read_settings()
    if user is None or user.has_usable_password():
        return
    with translation.override(user.language or shop.language):
        subject = _("%(shop)s: you are invited to its team") % {"shop": shop.name}
        first = _("You can help run %(shop)s. Choose a password here:") % {"shop": shop.name}
        last = _("The link works once and for 24 hours. If you don't know this shop, forget this mail.")
        body = f"{first}\n\n{base_url}{recovery.link_path(user)}\n\n{last}\n"
    sender = formataddr((shop.name, parseaddr(settings.DEFAULT_FROM_EMAIL)[1]))
    EmailMessage(subject, body, sender, [user.email]).send()


NOTICE_JOB = "panel.mail_notice"


@job(NOTICE_JOB)
def mail_notice(*, user_id: int, notice: str, at: str, ip: str, who: str, agent: str, **_rest: object) -> None:
    """Tell one of the shop's people what happened to their log-in (`accounts.notices`)."""
    with transaction.atomic():
        user = User.objects.filter(pk=user_id).first()
        shop = shops.read_settings()
    if user is None:  # Removed meanwhile.
        return
    with translation.override(user.language or shop.language):
        subject, body = notices.letter(user, shop.name, _shop_url(), what=notice, at=at, ip=ip, who=who, agent=agent)
    sender = formataddr((shop.name, parseaddr(settings.DEFAULT_FROM_EMAIL)[1]))
    EmailMessage(subject, body, sender, [user.email]).send()


def _shop_url() -> str:
    schema = current_schema()
    with in_main():
        return str(Substation.objects.get(schema_name=schema).url)


notices.through(Place.SHOP, lambda payload: enqueue(kind=NOTICE_JOB, payload=payload))
