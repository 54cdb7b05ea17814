"""What only the panel writes: the people of a shop, and looks at a buyer's page."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue, roles, tokens
from kameng.accounts.models import ApiToken, Role, StaffRole, User
from kameng.accounts.types import Actor
from kameng.jobs.services import enqueue
from kameng.lib import mailboxes
from kameng.lib.errors import Invalid, Missing, Refused
from kameng.lib.words import worded
from tenant_apps.orders import identity
from tenant_apps.orders import selectors as orders
from tenant_apps.orders import services as order_services
from tenant_apps.panel.selectors import people
from tenants import limits

INVITATION_JOB = "panel.mail_invitation"


class StaffInvalid(Invalid):
    """A field of an invitation can't be used; nobody was invited."""

    code = "staff_invalid"


class StaffUnknown(Missing):
    """No such person in this shop."""

    code = "staff_unknown"


class LastOwner(Refused):
    """The shop would be left without an owner who can log in. Nothing was changed."""

    code = "last_owner"

    def __init__(self) -> None:
        super().__init__(
            _("This is the shop's last owner. Make somebody else an owner first; nothing was changed."), field="role"
        )


class ReasonMissing(Invalid):
    """A look at a buyer's page needs a reason."""

    code = "reason_missing"


class RefundNotNow(Refused):
    """Only what is paid and not delivered, of a shop that is being closed."""

    code = "refund_not_now"


def invite(*, email: str, name: str, role: str, base_url: str, by: Actor, now: datetime) -> User:
    """Make a log-in without a password and mail its owner a link to set one: good once, for a day.

    `base_url` is the shop's address, for the link. Raises: StaffInvalid, LimitReached (the plan has no room).
    """
    by.must(catalogue.PEOPLE_MANAGE)
    address = email.strip().lower()
    if not mailboxes.is_one(address):
        raise StaffInvalid(_("This email address can't be used."), field="email")
    try:
        with transaction.atomic():
            limits.claim(limits.Countable.STAFF, count=people.may_log_in, adding=1)
            built_in, own, permissions = _role(role)
            if not by.may_give(permissions):
                raise roles.MoreThanYours()
            user = User.objects.create_user(
                address, None, name=name.strip()[:80], role=built_in, own_role=own, invited_at=now
            )
            audit.record(action="panel.staff.invited", by=by, target=address, at=now, role=_said(user))
            _mail(user, base_url)
    except IntegrityError:
        message = worded(_("%(email)s is in this shop already."), email=address)
        raise StaffInvalid(message, field="email") from None
    return user


def invite_again(*, user_id: int, base_url: str, by: Actor, now: datetime) -> User:
    """Mail another link to somebody who has not set a password yet. Raises: StaffUnknown, StaffInvalid."""
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        user = _found(user_id)
        if user.has_usable_password() or not user.is_active:
            raise StaffInvalid(_("This person has a password already; they can have a new one mailed at log-in."))
        user.invited_at = now
        user.save(update_fields=["invited_at"])
        audit.record(action="panel.staff.invited", by=by, target=user.email, at=now, again=True)
        _mail(user, base_url)
    return user


def withdraw(*, user_id: int, by: Actor, now: datetime) -> str:
    """Take an invitation back that nobody has followed; answers its address. The link in the mail opens nothing then.

    Raises: StaffUnknown, StaffInvalid (they have come in already; lock them out).
    """
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        # Race: they choose their password at this moment. Both want the row; the second finds it changed, or gone.
        user = _found(user_id)
        if user.has_usable_password() or user.last_login is not None:
            raise StaffInvalid(_("This person has come in already. Lock them out instead; nothing was changed."))
        if not by.may_give(user.permissions):
            raise roles.MoreThanYours()
        email = user.email
        user.delete()
        audit.record(action="panel.staff.withdrawn", by=by, target=email, at=now)
    return email


def set_role(*, user_id: int, role: str, by: Actor, now: datetime) -> User:
    """Raises: StaffUnknown, StaffInvalid, LastOwner."""
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        owners = _locked_owners()
        user = _found(user_id)
        built_in, own, permissions = _role(role)
        if (user.role, user.own_role_id) == (built_in, own.pk if own else None):
            return user
        if not by.may_give(permissions | user.permissions):
            raise roles.MoreThanYours()
        if built_in != Role.OWNER:
            _keep_an_owner(owners, user)
        before = _said(user)
        user.role, user.own_role = built_in, own
        del user.permissions  # Of the role before.
        user.save(update_fields=["role", "own_role"])
        audit.record(action="panel.staff.role", by=by, target=user.email, at=now, before=before, role=_said(user))
    return user


def set_active(*, user_id: int, active: bool, by: Actor, now: datetime) -> User:
    """Lock somebody out at once, their API tokens with them, or let them in again.

    Raises: StaffUnknown, LastOwner, LimitReached (letting in: the plan has no room).
    """
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        if active:  # Before the people's rows are locked, as `invite` does it.
            inside = User.objects.filter(pk=user_id, is_active=True).exists()
            limits.claim(limits.Countable.STAFF, count=people.may_log_in, adding=0 if inside else 1)
        owners = _locked_owners()
        user = _found(user_id)
        if user.is_active == active:
            return user
        if not by.may_give(user.permissions):
            raise roles.MoreThanYours()
        if not active:
            _keep_an_owner(owners, user)
        user.is_active = active
        user.save(update_fields=["is_active"])
        action = "panel.staff.activated" if active else "panel.staff.deactivated"
        audit.record(action=action, by=by, target=user.email, at=now)
    return user


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
    if not reason.strip():
        raise ReasonMissing(_("Say why you open the buyer's page. It was not opened."), field="reason")
    with transaction.atomic():
        order = orders.order_for_staff(number)
        audit.record(action="panel.order.link", by=by, target=order.number, at=now, reason=reason.strip()[:200])
    return order.number, identity.mailed_token(order.number)


def refund_while_closing(*, number: str, state: str, reason: str, by: Actor, now: datetime) -> None:
    """Have a paid order's money given back by a worker, once, while the shop is being closed and nothing of the order
    was delivered. The worker looks at all of it again.

    Raises: NotAllowed, OrderMissing, RefundNotNow.
    """
    by.must(catalogue.ORDERS_REFUND)
    with transaction.atomic():
        order = orders.order_for_staff(number)
        if state != "CLOSING" or not order_services.is_undelivered(number=order.number):
            raise RefundNotNow(_("This order can't be given back here now. Nothing was changed."))
        enqueue(
            kind="payments.refund_order",
            payload={"order_number": order.number, "reason": reason[:200]},
            dedupe=order.number,
        )
        audit.record(action="panel.order.refund_asked", by=by, target=order.number, at=now, reason=reason[:200])


def _mail(user: User, base_url: str) -> None:
    enqueue(kind=INVITATION_JOB, payload={"user_id": user.pk, "base_url": base_url}, dedupe=str(user.pk))


def _role(value: str) -> tuple[Role, StaffRole | None, frozenset[str]]:
    try:
        return roles.find(value)
    except roles.RoleUnknown as error:
        raise StaffInvalid(error.message, field="role") from None


def _said(user: User) -> str:
    """The role as the audit trail keeps it: an own one by the name that it had."""
    return user.own_role.name if user.own_role is not None else user.role


def _found(user_id: int) -> User:
    user = User.objects.select_related("own_role").select_for_update(of=("self",)).filter(pk=user_id).first()
    if user is None:
        raise StaffUnknown(_("There is no such person in this shop."))
    return user


def _locked_owners() -> set[int]:
    """Active owners who can log in, their rows locked. Race: two owners who demote each other at once wait here."""
    rows = User.objects.select_for_update().filter(role=Role.OWNER, is_active=True).order_by("pk")
    return {row.pk for row in rows if row.has_usable_password()}


def _keep_an_owner(owners: set[int], user: User) -> None:
    """One of the owners may go when another one stays who can log in; somebody who was only invited can't, yet."""
    if user.role == Role.OWNER and user.is_active and not owners - {user.pk}:
        raise LastOwner()
