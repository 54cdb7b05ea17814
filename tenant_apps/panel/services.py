"""What only the panel writes: the people of a shop, and looks at a buyer's page."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue, tokens
from kameng.accounts import people as people_services
from kameng.accounts.models import ApiToken, User
from kameng.accounts.types import Actor
from kameng.jobs.services import enqueue
from kameng.lib import reasons
from kameng.lib.errors import Refused
from tenant_apps.orders import identity
from tenant_apps.orders import selectors as orders
from tenant_apps.orders import services as order_services
from tenant_apps.panel.selectors import people
from tenants import limits

INVITATION_JOB = "panel.mail_invitation"


class RefundNotNow(Refused):
    """Only what is paid and not delivered, of a shop that is being closed."""

    code = "refund_not_now"


def invite(*, email: str, name: str, role: str, base_url: str, by: Actor, now: datetime) -> User:
    """See `accounts.people.invite`. `base_url` is the shop's address, for the link.

    Raises: NotAllowed, LimitReached (the plan has no room), PersonInvalid, MoreThanYours.
    """
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        limits.claim(limits.Countable.STAFF, count=people.may_log_in, adding=1)
        return people_services.invite(email=email, name=name, role=role, mail=_mail_from(base_url), by=by, now=now)


def invite_again(*, user_id: int, base_url: str, by: Actor, now: datetime) -> User:
    """See `accounts.people.invite_again`. Raises: NotAllowed, PersonUnknown, PersonInvalid."""
    return people_services.invite_again(user_id=user_id, mail=_mail_from(base_url), by=by, now=now)


def set_active(*, user_id: int, active: bool, by: Actor, now: datetime) -> User:
    """See `accounts.people.set_active`. Raises: NotAllowed, PersonUnknown, MoreThanYours, LastOfAll, LimitReached (letting in: the
    plan has no room)."""
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        if active:  # Before the people's rows are locked, as `invite` does it.
            inside = User.objects.filter(pk=user_id, is_active=True).exists()
            limits.claim(limits.Countable.STAFF, count=people.may_log_in, adding=0 if inside else 1)
        return people_services.set_active(user_id=user_id, active=active, by=by, now=now)


def make_token(
    *, user: User, name: str, scopes: list[str], expires_at: datetime | None, by: Actor, now: datetime
) -> tuple[ApiToken, str]:
    """A token of a program, and its secret. Raises: NotInPlan (the plan has no API), Invalid."""
    with transaction.atomic():
        limits.require(limits.Switch.API)
        return tokens.create(user=user, name=name, scopes=scopes, expires_at=expires_at, by=by, now=now)


def buyer_page_key(*, number: str, reason: str, by: Actor, now: datetime) -> tuple[str, str]:
    """Number and key of the buyer's own page of an order. It shows codes, so the look is recorded with its reason.

    Raises: OrderMissing, ReasonMissing.
    """
    by.must(catalogue.CODES_REVEAL)
    why = reasons.required(reason, refusal=_("Say why you open the buyer's page. It was not opened."), least=1)
    with transaction.atomic():
        order = orders.order_for_staff(number)
        audit.record(action="panel.order.link", by=by, target=order.number, at=now, reason=why)
    return order.number, identity.mailed_token(order.number)


def refund_while_closing(*, number: str, state: str, reason: str, by: Actor, now: datetime) -> None:
    """Have a paid order's money given back by a worker, once, while the shop is being closed and nothing of the order
    was delivered. The worker looks at all of it again.

    Raises: NotAllowed, OrderMissing, RefundNotNow.
    """
    by.must(catalogue.ORDERS_REFUND)
    why = reasons.tidy(reason)
    with transaction.atomic():
        order = orders.order_for_staff(number)
        if state != "CLOSING" or not order_services.is_undelivered(number=order.number):
            raise RefundNotNow(_("This order can't be given back here now. Nothing was changed."))
        enqueue(
            kind="payments.refund_order",
            payload={"order_number": order.number, "reason": why},
            dedupe=order.number,
        )
        audit.record(action="panel.order.refund_asked", by=by, target=order.number, at=now, reason=why)


def _mail_from(base_url: str) -> people_services.Mail:
    """How an invitation's link is sent: to the shop's address."""

    def mail(user: User) -> None:
        enqueue(kind=INVITATION_JOB, payload={"user_id": user.pk, "base_url": base_url}, dedupe=str(user.pk))

    return mail
