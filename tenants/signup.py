"""Self-service signup: apply, prove the mail address, watch the shop being made, land in its panel.

States: VERIFYING → VERIFIED → PROVISIONING → LIVE; PAYING stands before VERIFIED where the plan costs something to open;
FAILED can be tried again; EXPIRED was never verified, or never paid, in time.
The mail code opens the way; the signup's own token (a cookie, or the API's answer) says who may watch and finish it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.utils import translation
from django.utils.translation import gettext as _

from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock, slugs
from kameng.lib.errors import Invalid, Missing, Refused, TooMany
from tenants import addresses, answers, paying, provisioning
from tenants.models import Plan, Signup, Substation
from tenants.states import BillingInterval, SignupState, SubstationState

CODE_LIFE = timedelta(minutes=15)
CODE_TRIES = 5
CODE_SENDS = 4
SIGNUP_LIFE = timedelta(days=1)
MAX_ATTEMPTS = 6
MAKING = (SignupState.VERIFIED, SignupState.PROVISIONING, SignupState.FAILED)
# How long an application keeps its address while nobody pays for it, and no page of it can be paid.
PAYING_LIFE = timedelta(days=3)
# How soon whoever watches the making asks again: at first, and at last.
ASK_SOON_MS, ASK_LATE_MS = 200, 2_000
# Tells whoever holds the shop's city of it (shared_apps.regions); the signup never waits for that.
CITY_JOB = "regions.offer_shop"


class WrongCode(Refused):
    code = "wrong_code"


class CodeExpired(Refused):
    code = "code_expired"


class SignupOver(CodeExpired):
    """Never verified, and swept away after a day: no new code helps."""

    code = "signup_over"


class NotVerified(Refused):
    code = "not_verified"


@dataclass(frozen=True)
class Started:
    """A fresh signup and the secret of whoever began it; the secret is not kept."""

    signup: Signup
    token: str


def begin(
    *,
    name: str,
    slug: str,
    plan_code: str,
    email: str,
    password: str,
    owner_name: str = "",
    preset: str = "",
    region: str = "",
    accent: str = "",
    language: str = "zh-hans",
    interval: str = BillingInterval.MONTH,
    ip: str = "",
    now: datetime | None = None,
) -> Started:
    """Check everything, write the signup, mail a six-digit code. `region`: the city, by code or name, or nothing.

    Raises Invalid with the field's name for what is wrong with a value, AddressTaken for a slug that is gone.
    """
    at = now or clock.utc_now()
    name = answers.checked_name(name)
    slug = slugs.validate(slug)
    email = answers.checked_email(email)
    answers.check_password(password, email, owner_name)
    city = answers.checked_region(region)
    code, token = f"{secrets.randbelow(1_000_000):06d}", secrets.token_urlsafe(24)
    with in_main():
        plan = Plan.objects.filter(code=plan_code, active=True).first()
        if plan is None:
            raise Invalid(_("There is no such plan."), code="unknown_plan", field="plan")
        if addresses.is_taken(slug):
            raise addresses.taken(slug)
        signup = Signup(
            name=name,
            slug=slug,
            plan=plan,
            interval=paying.checked_interval(plan, interval),
            email=email,
            owner_name=owner_name.strip()[:80],
            preset=preset[:20],
            region=city,
            accent=accent[:7],
            language=language,
            password=make_password(password),
            ip=ip,
            token_digest=_digest(token),
            code_expires_at=at + CODE_LIFE,
        )
        signup.code_digest = _code_digest(signup, code)
        signup.save()
        transaction.on_commit(lambda: _mail_code(signup, code))
    return Started(signup, token)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _code_digest(signup: Signup, code: str) -> bytes:
    """Keyed, so that a copy of the table does not give six digits away."""
    return hmac.new(settings.SECRET_KEY.encode(), f"{signup.public_id}:{code}".encode(), hashlib.sha256).digest()


def _mail_code(signup: Signup, code: str) -> None:
    with translation.override(signup.language):
        send_mail(
            _("%(code)s is your Kameng code") % {"code": code},
            _(
                "Your code for opening %(shop)s is\n\n    %(code)s\n\nIt is good for 15 minutes. "
                "If you did not ask for it, do nothing."
            )
            % {"code": code, "shop": signup.name},
            None,
            [signup.email],
        )


def find(public_id: str, token: str) -> Signup:
    """The signup, for whoever has its token. Raises Missing for everybody else."""
    with in_main():
        signup = Signup.objects.select_related("plan", "substation__plan").filter(public_id=public_id).first()
    if signup is None or not hmac.compare_digest(bytes(signup.token_digest), _digest(token)):
        raise Missing(_("There is no such signup, or it was begun in another browser."))
    return signup


def resend(signup: Signup, now: datetime | None = None) -> None:
    """A new code; the old one ends. Raises TooMany after the fourth."""
    at = now or clock.utc_now()
    code = f"{secrets.randbelow(1_000_000):06d}"
    with in_main():
        row = Signup.objects.select_for_update().get(pk=signup.pk)
        if row.state == SignupState.EXPIRED:
            raise SignupOver(_("This signup was not finished within a day and is over. Please begin again."))
        if row.state != SignupState.VERIFYING:
            raise Refused(_("This address is verified already."))
        if row.code_sent_count >= CODE_SENDS:
            raise TooMany(_("Four codes were sent. Look into the spam folder, or begin again."))
        row.code_digest, row.code_expires_at = _code_digest(row, code), at + CODE_LIFE
        row.code_attempts, row.code_sent_count = 0, row.code_sent_count + 1
        row.save()
        transaction.on_commit(lambda: _mail_code(row, code))


def verify(signup: Signup, code: str, now: datetime | None = None) -> Signup:
    """Check the code; then hold the address and start the making in the background.

    Raises WrongCode (five tries), CodeExpired, AddressTaken when somebody else was faster. Repeating it after
    success changes nothing.
    """
    at = now or clock.utc_now()
    problem: Refused | None = None
    with in_main():
        row = Signup.objects.select_for_update().get(pk=signup.pk)
        if row.state in (*addresses.HOLDING, SignupState.LIVE):
            return row
        if row.state == SignupState.EXPIRED:
            raise SignupOver(
                _("This signup was not finished within a day and is over. Please begin again."), field="code"
            )
        if at >= row.code_expires_at:
            raise CodeExpired(_("This code has expired. Ask for a new one."), field="code")
        if row.code_attempts >= CODE_TRIES:
            raise CodeExpired(_("Too many wrong codes. Ask for a new one."), field="code")
        if not hmac.compare_digest(bytes(row.code_digest), _code_digest(row, code.strip())):
            # Counted and committed before it is refused: a wrong try can't be taken back by its own error.
            row.code_attempts += 1
            row.save(update_fields=["code_attempts"])
            left = CODE_TRIES - row.code_attempts
            problem = WrongCode(
                _("That is not the code. %(left)s tries left.") % {"left": left}, field="code", details={"left": left}
            )
        else:
            _hold_address(row)
    if problem is not None:
        raise problem
    return row


def _hold_address(row: Signup) -> None:
    """Keep the address for this signup, and go on: to the payment, where the plan costs something, else to the making.

    Race: two signups for one address verify at once. The partial unique key lets one through."""
    if Substation.objects.filter(slug=row.slug).exists():
        raise addresses.taken(row.slug)
    pays = bool(row.plan.due_at_signup_minor(row.interval))
    row.state = SignupState.PAYING if pays else SignupState.VERIFIED
    try:
        with transaction.atomic():
            row.save(update_fields=["state", "updated_at"])
    except IntegrityError as error:
        raise addresses.taken(row.slug) from error
    if pays:
        _apply(row)
    else:
        jobs.enqueue(kind="tenants.provision", payload={"signup_id": row.pk}, dedupe=str(row.pk))


def _apply(row: Signup) -> None:
    """The substation of an application: it has a row, so that what is paid for it is somebody's, and nothing else yet."""
    if row.substation is None:
        row.substation = _new_substation(row, SubstationState.APPLIED)
        row.save(update_fields=["substation", "updated_at"])


def retry(signup: Signup) -> None:
    """Try a failed making again, from where it stopped."""
    with in_main():
        row = Signup.objects.select_for_update().get(pk=signup.pk)
        if row.state != SignupState.FAILED:
            raise Refused(_("There is nothing to try again."))
        row.state, row.problem, row.attempts = SignupState.VERIFIED, "", 0
        row.save()
        jobs.enqueue(kind="tenants.provision", payload={"signup_id": row.pk}, dedupe=str(row.pk))


def provision(signup_id: int, now: datetime | None = None) -> Substation | None:
    """Make the signup's shop; safe to run again after a kill at any point. Run by a worker.

    A transient failure is raised, so that the job is tried again; after MAX_ATTEMPTS the page says so and
    offers another try.
    """
    at = now or clock.utc_now()
    with in_main():
        row = Signup.objects.select_for_update().select_related("plan").get(pk=signup_id)
        if row.state == SignupState.LIVE:
            return row.substation
        if row.state not in MAKING:
            raise NotVerified(_("The mail address was not verified, or the opening is not paid."))
        row.attempts += 1
        row.state = SignupState.PROVISIONING
        substation = row.substation or _new_substation(row)
        row.substation = substation
        row.save()
    try:
        provisioning.run(substation, row, at)
    except Exception as error:
        _note_failure(row, error)
        raise
    with in_main():
        Signup.objects.filter(pk=row.pk).update(state=SignupState.LIVE, problem="", updated_at=clock.utc_now())
        if row.plan.due_at_signup_minor(row.interval):  # Whoever waited for a payment may have left the page.
            jobs.enqueue(kind="tenants.mail_open", payload={"signup_id": row.pk}, dedupe=str(row.pk))
        if substation.region:
            jobs.enqueue(kind=CITY_JOB, payload={"substation_id": substation.pk}, dedupe=str(substation.pk))
    return substation


def ask_again_ms(signup: Signup, now: datetime) -> int | None:
    """How long whoever watches the making waits before the next look, in ms; None where nothing is being made.

    A shop takes a fifth of a second where nobody else wants one, so the first looks come soon. Who has waited for long
    waits half as long again: with a hundred who wait, their looking would else be most of the work (decision 8).
    """
    if signup.state not in (SignupState.VERIFIED, SignupState.PROVISIONING):
        return None
    waited_ms = (now - signup.updated_at) // timedelta(milliseconds=1)
    return min(max(waited_ms // 2, ASK_SOON_MS), ASK_LATE_MS)


def mail_open(signup_id: int) -> None:
    """Tell the owner of a shop that was paid for that it is open, and where. Run by a worker."""
    with in_main():
        row = Signup.objects.select_related("substation").get(pk=signup_id)
    shop = row.substation
    if shop is None or row.state != SignupState.LIVE:
        return
    with translation.override(row.language):
        words = _(
            "Your shop is paid for and open:\n\n    %(shop)s/\n\nIts panel, with your email and password:\n\n    %(shop)s/panel/"
        )
        send_mail(_("%(name)s is open") % {"name": row.name}, words % {"shop": shop.url}, None, [row.email])


def _new_substation(row: Signup, state: SubstationState = SubstationState.PROVISIONING) -> Substation:
    substation = Substation(
        state=state,
        slug=row.slug,
        name=row.name,
        plan=row.plan,
        preset=row.preset,
        region=row.region,
        language=row.language,
        owner_email=row.email,
        owner_name=row.owner_name,
        currency=settings.CURRENCY,
    )
    substation.schema_name = provisioning.schema_placeholder(substation.public_id)
    substation.save()
    return substation


def _note_failure(row: Signup, error: Exception) -> None:
    with in_main():
        Signup.objects.filter(pk=row.pk).update(
            state=SignupState.FAILED if row.attempts >= MAX_ATTEMPTS else SignupState.PROVISIONING,
            problem=type(error).__name__[:300],
        )


def sweep(now: datetime | None = None) -> int:
    """Expire signups that were never verified or paid, and wake those whose job was lost."""
    at = now or clock.utc_now()
    with in_main():
        _let_unpaid_go(at)
        gone = Signup.objects.filter(state=SignupState.VERIFYING, created_at__lt=at - SIGNUP_LIFE)
        expired = gone.update(state=SignupState.EXPIRED)
        stuck = Signup.objects.filter(
            state__in=(SignupState.VERIFIED, SignupState.PROVISIONING), updated_at__lt=at - timedelta(minutes=2)
        )
        for row in stuck:
            jobs.enqueue(kind="tenants.provision", payload={"signup_id": row.pk}, dedupe=str(row.pk))
    return expired


def _let_unpaid_go(at: datetime) -> None:
    """Give the address of an application free again that nobody paid for. Its row stays, under a name that nobody can
    ask for: what is paid for it all the same is still somebody's, and a person settles it.

    While a page of it can still be paid, it waits. Race: a page is paid at this moment. Whoever takes the money locks the
    signup's row, and finds it given up: it is ended at the channel, and the money kept.
    """
    # Pages are billing's, above this room; they hang on the substation's row.
    payable = Substation.objects.filter(payment_pages__state__in=("ASKED", "OPEN"), payment_pages__expires_at__gt=at)
    for row in (
        Signup.objects.select_for_update(of=("self",), skip_locked=True)
        .filter(state=SignupState.PAYING, updated_at__lt=at - PAYING_LIFE)
        .exclude(substation__in=payable)
    ):
        Signup.objects.filter(pk=row.pk).update(state=SignupState.EXPIRED, updated_at=at)
        for shop in Substation.objects.filter(pk=row.substation_id, state=SubstationState.APPLIED):
            Substation.objects.filter(pk=shop.pk).update(slug=shop.public_id.lower().replace("_", "-")[:30])
