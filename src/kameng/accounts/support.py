"""The main station's support in a shop's panel: with a reason, for half an hour, looking and changing nothing.

An operator has no log-in in any shop. The console makes a pass: signed, for one shop's schema, good once and for a minute.
The shop turns it into a session of its own host, which is nobody of the shop's: it may look as a viewer may, and every
rule that keeps a viewer from changing things keeps it, too. Coming and going stand in the audit trails of both sides under
the person's own name; the shop's trail can't be changed, and its owner sees from it who is there and who was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.core import signing
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.models import AuditRecord, Role, User
from kameng.accounts.types import Actor, ActorKind
from kameng.db.context import current_schema, in_main, require_tenant
from kameng.lib import reasons
from kameng.lib.errors import Forbidden
from kameng.lib.ids import public_id

STAY = timedelta(minutes=30)
PASS_LIFE_S = 60
AT_ONCE = 50  # Of the latest visits, how many are looked at for who is there: more within half an hour there are not.
TARGET = "support"  # What every record of a visit in the shop's trail is about: found by the trail's index.
ENTERED, LEFT = "support.entered", "support.left"
_SALT = "kameng.accounts.support"
_KEY = "support"


class SupportRefused(Forbidden):
    """A pass that was used, is too old, is for another shop or was never ours: the answer is the same."""

    code = "support_pass_refused"

    def __init__(self) -> None:
        super().__init__(_("This way in was used or is too old. Open the shop's page in the console and begin again."))


class NotForSupport(Forbidden):
    """Support has no account here, and so none to change."""

    code = "not_for_support"

    def __init__(self) -> None:
        super().__init__(_("You are here as the main station's support, and have no account in this shop."))


@dataclass(frozen=True)
class Visit:
    """One stay of one person. `until` is when it ends by itself, `left_at` when it ended before."""

    access: str
    who: str
    reason: str
    since: datetime
    until: datetime
    left_at: datetime | None = None

    def lasts(self, now: datetime) -> bool:
        return self.left_at is None and now < self.until


class SupportUser:
    """Who asks while support is in: a viewer, and none of the shop's own people."""

    pk = id = None
    role = Role.VIEWER
    is_authenticated = is_active = True
    is_anonymous = may_change = False
    is_support = True

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.name = self.email = visit.who

    def __str__(self) -> str:
        return self.name

    def get_username(self) -> str:
        return self.email

    def get_role_display(self) -> str:
        return str(_("Support"))


# -- At the main station.


def make_pass(*, schema: str, substation: str, reason: str, by: Actor, now: datetime) -> str:
    """A pass into one shop's panel, noted in the main station's trail. Main scope.

    `substation` is its public id. Raises: ReasonMissing.
    """
    why = reasons.required(reason, refusal=reasons.THE_OWNER_READS_IT, least=5)
    access = public_id("vis")
    audit.record(action="support.asked", by=by, target=substation, at=now, access=access, reason=why)
    claim = {
        "schema": schema,
        "substation": substation,
        "access": access,
        "who": by.label,
        "user": by.id,
        "reason": why,
    }
    return signing.dumps(claim, salt=_SALT)


# -- In the shop.


def enter(request: HttpRequest, entry: str, *, now: datetime) -> Visit:
    """Turn a pass into a session of this host; whoever was logged in in this browser is not any more.

    Raises: SupportRefused.
    """
    try:
        claim: dict[str, Any] = signing.loads(entry, salt=_SALT, max_age=PASS_LIFE_S)
    except signing.BadSignature as error:
        raise SupportRefused() from error
    # `add` writes only where nothing is: of two browsers with one pass, one comes in.
    if claim["schema"] != require_tenant() or not cache.add(f"support:used:{claim['access']}", 1, PASS_LIFE_S * 2):
        raise SupportRefused()
    visit = Visit(claim["access"], claim["who"], claim["reason"], now, now + STAY)
    request.session.flush()  # A new key: none that somebody laid into this browser becomes a visit.
    request.session[_KEY] = {
        "schema": current_schema(), "substation": claim["substation"], "user": claim["user"], "access": visit.access,
        "who": visit.who, "reason": visit.reason, "since": now.isoformat(), "until": visit.until.isoformat(),
    }  # fmt: skip
    request.session.set_expiry(int(STAY.total_seconds()))
    _note(ENTERED, request.session[_KEY], visit, request, now)
    return visit


def visit_of(request: HttpRequest, *, now: datetime) -> Visit | None:
    """The visit that this request belongs to, while it lasts; a session that carries one beyond its end is ended."""
    kept = request.session.get(_KEY)
    if kept is None:
        return None
    if SESSION_KEY in request.session:  # Somebody logged in over it: it is a person's of the shop now.
        del request.session[_KEY]
        return None
    visit = _from_session(kept)
    over = kept["schema"] != current_schema() or not visit.lasts(now) or cache.get(_ended_key(visit.access))
    if over or not _still_works_here(kept["user"]):
        request.session.flush()
        return None
    return visit


def _still_works_here(user_id: int) -> bool:
    """Whether the main station has not locked its person out meanwhile."""
    with in_main():
        return User.objects.filter(pk=user_id, is_active=True).exists()


def leave(request: HttpRequest, *, now: datetime) -> str:
    """End the visit of this browser; answers the substation's public id."""
    kept = request.session[_KEY]
    visit = _from_session(kept)
    _note(LEFT, kept, visit, request, now)
    end(visit.access)
    request.session.flush()
    return str(kept["substation"])


def show_out(access: str, *, by: Actor, now: datetime) -> None:
    """The owner ends a visit of somebody else's browser, at once. Of the shop's scope."""
    audit.record(action=LEFT, by=by, target=TARGET, at=now, access=access)
    end(access)


def end(access: str) -> None:
    """From the next request on, the session of this visit is nobody's. Kept where sessions are: lost with them."""
    cache.set(_ended_key(access), 1, int(STAY.total_seconds()))


def visits(limit: int) -> list[Visit]:
    """The last visits to this shop, the newest first, as its trail has them."""
    rows = AuditRecord.objects.filter(target=TARGET, action__in=(ENTERED, LEFT)).order_by("-pk")[: 2 * limit]
    left = {str(row.details.get("access")): row.at for row in rows if row.action == LEFT}
    return [
        Visit(
            str(row.details["access"]), row.actor_label, str(row.details["reason"]), row.at, row.at + STAY,
            left.get(str(row.details["access"])),
        )
        for row in rows
        if row.action == ENTERED
    ][:limit]  # fmt: skip


def present(now: datetime) -> list[Visit]:
    """Who is in this shop now, or may be: nothing tells us of a browser that was closed."""
    return [visit for visit in visits(AT_ONCE) if visit.lasts(now)]


def _note(action: str, kept: dict[str, Any], visit: Visit, request: HttpRequest, now: datetime) -> None:
    """In both trails, under the person's own name."""
    ip, request_id = str(request.META.get("REMOTE_ADDR", ""))[:45], str(getattr(request, "request_id", ""))
    details = {"access": visit.access, "reason": visit.reason}
    there = Actor(ActorKind.SUPPORT, visit.who, None, ip, request_id)
    audit.record(action=action, by=there, target=TARGET, at=now, **details)
    here = Actor(ActorKind.USER, visit.who, kept["user"], ip, request_id)
    with in_main():
        audit.record(action=action, by=here, target=kept["substation"], at=now, **details)


def _from_session(kept: dict[str, Any]) -> Visit:
    since, until = (datetime.fromisoformat(kept[name]) for name in ("since", "until"))
    return Visit(kept["access"], kept["who"], kept["reason"], since, until)


def _ended_key(access: str) -> str:
    return f"support:ended:{access}"
