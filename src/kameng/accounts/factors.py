"""Second factors: an authenticator app (TOTP), passkeys, recovery codes. What proves that it is this person.

A code is good once: the step of a TOTP code and the use of a recovery code are guarded updates, so that of two requests
with one code one gets through. Wrong tries are counted beside the sessions, and after five there is a pause. Secrets are
sealed under the key ring and bound to their person and schema; recovery codes are kept as keyed digests.
"""

from __future__ import annotations

import functools
import secrets
from dataclasses import dataclass
from datetime import datetime

import pyotp
from django.conf import settings
from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue, notices, sessions
from kameng.accounts.models import Authenticator, Passkey, RecoveryCode, User
from kameng.accounts.types import Actor
from kameng.db.context import current_schema
from kameng.lib.crypto import KeyRing, Sealed
from kameng.lib.errors import Invalid, Missing, Refused, TooMany
from kameng.web.counting import count, forget

STEP_S = 30  # RFC 6238; what every app uses.
DRIFT_STEPS = 1  # A phone's clock may be half a minute wrong, either way.
TRIES, PAUSE_S = 5, 15 * 60
RECOVERY_CODES = 10
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # Nothing that reads like another; 16 of them are 79 bits.
RECOVERY_LETTERS = 16


class CodeWrong(Invalid):
    """Neither the app's present code nor an unused recovery code."""

    code = "second_factor_wrong"

    def __init__(self) -> None:
        super().__init__(
            _(
                "This code is not right. Enter the one that your app shows now, or a recovery code that is still unused."
            ),
            field="code",
        )


class CodeUsed(Invalid):
    """The app's code was used a moment ago; each is good once."""

    code = "second_factor_used"

    def __init__(self) -> None:
        super().__init__(_("This code was used already. Wait for the next one, half a minute at most."), field="code")


class TooManyTries(TooMany):
    """Five wrong codes: a pause."""

    code = "second_factor_paused"

    def __init__(self) -> None:
        super().__init__(
            _("Too many wrong codes. Codes are not taken for 15 minutes; nothing else changed."),
            details={"retry_after_s": PAUSE_S},
        )


class FactorRefused(Refused):
    """The change of somebody's factors can't be made as things are."""

    code = "second_factor_refused"


@dataclass(frozen=True)
class Factors:
    """What somebody has. `recovery`: recovery codes that are still good."""

    app: bool
    passkeys: int
    recovery: int

    @property
    def any(self) -> bool:
        return self.app or self.passkeys > 0


def of(user: User) -> Factors:
    """One person's factors; three small queries."""
    return Factors(
        Authenticator.objects.filter(user_id=user.pk).exists(),
        Passkey.objects.filter(user_id=user.pk).count(),
        RecoveryCode.objects.filter(user_id=user.pk, used_at__isnull=True).count(),
    )


def has_any(user: User) -> bool:
    return (
        Authenticator.objects.filter(user_id=user.pk).exists() or Passkey.objects.filter(user_id=user.pk).exists()
    )  # fmt: skip


def people_with_one() -> set[int]:
    """Everybody of the place who has a second factor, by id; one query."""
    apps = Authenticator.objects.order_by().values_list("user_id", flat=True)
    return set(apps.union(Passkey.objects.order_by().values_list("user_id", flat=True)))


# -- The authenticator app.


def new_secret() -> str:
    """160 random bits in base32, as apps take it."""
    return str(pyotp.random_base32())


def app_uri(user: User, secret: str, issuer: str) -> str:
    """What the QR code says to the app."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=issuer))


def set_up_app(*, user: User, secret: str, code: str, by: Actor, now: datetime) -> list[str]:
    """Keep a secret whose first code was typed right. Answers recovery codes, when the person had none yet.

    Raises: CodeWrong, TooManyTries, FactorRefused (an app is set up already).
    """
    tried = begin_try(user)
    step = _step_of(secret, code, now)
    if step is None:
        note_wrong(user=user, tried=tried, by=by, now=now)
        raise CodeWrong()
    with transaction.atomic():
        # Race: two windows of one person finish at once. The second waits for the person's row, and finds the app.
        User.objects.select_for_update().get(pk=user.pk)
        if Authenticator.objects.filter(user_id=user.pk).exists():
            raise FactorRefused(_("An app is set up for you already. Take it off first; nothing was changed."))
        sealed = ring().seal_secret(secret, _bound_to(user))
        Authenticator.objects.create(
            user_id=user.pk, key_version=sealed.key_version, secret=sealed.blob, last_step=step
        )
        audit.record(action="accounts.factor.app_set", by=by, target=user.email, at=now)
        notices.tell(user, "app_set", at=now, by=by)
        codes = first_codes(user)
    forget_tries(user)
    return codes


def remove_app(*, user: User, by: Actor, now: datetime) -> None:
    """Take one's own app off. Raises: Missing."""
    with transaction.atomic():
        gone, _by_model = Authenticator.objects.filter(user_id=user.pk).delete()
        if not gone:
            raise Missing(_("No app is set up for you."))
        drop_codes_of_nobody(user)
        audit.record(action="accounts.factor.app_removed", by=by, target=user.email, at=now)
        notices.tell(user, "app_removed", at=now, by=by)


# -- Recovery codes.


def fresh_codes(*, user: User, by: Actor, now: datetime) -> list[str]:
    """Ten new recovery codes, shown once; the old ones are worth nothing from now on. Raises: FactorRefused."""
    with transaction.atomic():
        if not has_any(user):
            raise FactorRefused(_("Recovery codes stand in for an app or a passkey. Set one up first."))
        codes = _fresh_codes(user)
        audit.record(action="accounts.factor.codes_made", by=by, target=user.email, at=now)
        notices.tell(user, "codes_made", at=now, by=by)
    return codes


def first_codes(user: User) -> list[str]:
    """Recovery codes for who has none that is still good; otherwise none are made."""
    return [] if RecoveryCode.objects.filter(user_id=user.pk, used_at__isnull=True).exists() else _fresh_codes(user)


def _fresh_codes(user: User) -> list[str]:
    RecoveryCode.objects.filter(user_id=user.pk).delete()
    codes = ["".join(secrets.choice(_LETTERS) for _n in range(RECOVERY_LETTERS)) for _m in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(user_id=user.pk, digest=_digest(user, code)) for code in codes)
    return ["-".join(code[n : n + 4] for n in range(0, RECOVERY_LETTERS, 4)) for code in codes]


def drop_codes_of_nobody(user: User) -> None:
    """Recovery codes go with the last factor that they stand in for."""
    if not has_any(user):
        RecoveryCode.objects.filter(user_id=user.pk).delete()


def _digest(user: User, code: str) -> bytes:
    """Keyed with the server's secret: who reads the table can't try codes against it."""
    return salted_hmac("kameng.accounts.recovery_code", f"{user.pk}:{code}", algorithm="sha256").digest()


# -- Checking.


def check_code(*, user: User, code: str, by: Actor, now: datetime) -> None:
    """Take the app's code or a recovery code, once. Raises: CodeWrong, CodeUsed, TooManyTries.

    A wrong one is counted and recorded: let the refusal come back in a form, or the record is rolled back with it.
    """
    tried = begin_try(user)
    typed = "".join(char for char in code.upper() if char.isalnum())
    if len(typed) == RECOVERY_LETTERS:
        good = _take_recovery(user, typed, by, now)
    else:
        good = _take_app_code(user, typed, now)
    if not good:
        note_wrong(user=user, tried=tried, by=by, now=now)
        raise CodeWrong()
    forget_tries(user)


def _take_app_code(user: User, code: str, now: datetime) -> bool:
    row = Authenticator.objects.filter(user_id=user.pk).first()
    if row is None:
        return False
    sealed = Sealed(row.key_version, bytes(row.secret))
    secret = ring().open_secret(sealed, _bound_to(user))
    step = _step_of(secret, code, now)
    if step is None:
        return False
    # Race: one code in two requests. The row is updated by the one that finds an older step in it.
    if Authenticator.objects.filter(pk=row.pk, last_step__lt=step).update(last_step=step) != 1:
        raise CodeUsed()
    fresh = ring().rotate_secret(sealed, _bound_to(user))
    if fresh is not sealed:  # The key ring has a newer key.
        Authenticator.objects.filter(pk=row.pk).update(key_version=fresh.key_version, secret=fresh.blob)
    return True


def _take_recovery(user: User, code: str, by: Actor, now: datetime) -> bool:
    # Race: one code in two requests. The row is updated by the one that finds it unused.
    taken = RecoveryCode.objects.filter(user_id=user.pk, digest=_digest(user, code), used_at__isnull=True).update(
        used_at=now
    )
    if taken == 1:
        audit.record(action="accounts.factor.code_used", by=by, target=user.email, at=now)
        notices.tell(user, "code_used", at=now, by=by)
    return taken == 1


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """The step that `code` is of, the newest first; None when it is of none."""
    present = int(now.timestamp()) // STEP_S
    found = None
    for step in range(present - DRIFT_STEPS, present + DRIFT_STEPS + 1):  # All of them, for the time it takes.
        if constant_time_compare(pyotp.TOTP(secret).generate_otp(step), code):
            found = step
    return found


def begin_try(user: User) -> int:
    """Count one try, before it is judged, so that guesses at the same moment don't slip through together.

    Answers which one it is. Raises: TooManyTries, also for a right code: five wrong ones are a pause.
    """
    tried = count(_tries_key(user), PAUSE_S)
    if tried > TRIES:
        raise TooManyTries()
    return tried


def note_wrong(*, user: User, tried: int, by: Actor, now: datetime) -> None:
    """The try was wrong: a code, a passkey, or the password beside them. `tried` is what `begin_try` answered."""
    action = "accounts.factor.paused" if tried >= TRIES else "accounts.factor.wrong"
    audit.record(action=action, by=by, target=user.email, at=now)


def forget_tries(user: User) -> None:
    """The try was right."""
    forget(_tries_key(user))


def _tries_key(user: User) -> str:
    return f"accounts:factor:tries:{user.pk}"


# -- By somebody else.


def reset(*, user_id: int, by: Actor, now: datetime) -> User:
    """Take all factors off somebody who lost them, and end their sessions: by another person who may manage people.

    The person is told by mail, whoever did it. Raises: NotAllowed, Missing, FactorRefused.
    """
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        # Locked without their role, as in `people`: given another one meanwhile, they would have none.
        user = User.objects.select_for_update().filter(pk=user_id).first()
        if user is None:
            raise Missing(_("There is no such person here."))
        if by.id == user.pk:
            raise FactorRefused(
                _("You can't take your own second step off here. Ask somebody else who manages people.")
            )
        if not by.may_give(user.permissions):
            raise FactorRefused(
                _("This person may do more than you. Only somebody with the same rights can help them.")
            )
        if not has_any(user):
            raise FactorRefused(_("This person has no second step. Nothing was changed."))
        Authenticator.objects.filter(user_id=user.pk).delete()
        Passkey.objects.filter(user_id=user.pk).delete()
        RecoveryCode.objects.filter(user_id=user.pk).delete()
        sessions.end_all(user=user, now=now)
        audit.record(action="accounts.factor.reset", by=by, target=user.email, at=now)
        notices.tell(user, "reset", at=now, by=by)
    return user


# -- Keys.


@functools.lru_cache(maxsize=2)
def _ring(text: str) -> KeyRing:
    return KeyRing.from_json(text)


def ring() -> KeyRing:
    return _ring(settings.CODE_KEYS)


def _bound_to(user: User) -> bytes:
    return f"accounts.authenticator:{current_schema()}:{user.pk}".encode()


def seal_pending(user: User, secret: str) -> list[str]:
    """A secret on its way into the app, as it waits in the session: the cache reads no secret either."""
    sealed = ring().seal_secret(secret, _bound_to(user))
    return [sealed.key_version, sealed.blob.hex()]


def open_pending(user: User, kept: list[str]) -> str:
    return ring().open_secret(Sealed(kept[0], bytes.fromhex(kept[1])), _bound_to(user))
