"""Once more, who are you: before what would do most harm in the wrong hands.

The password again, and a six-digit code that goes to the person's mailbox. THE SECOND FACTOR PLUGS IN HERE: once a person has
TOTP or a passkey (issue 3, part 8), `check` asks for that in place of the mailed code, and `send` is for those who have none.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from email.utils import formataddr, parseaddr
from functools import partial

from django.conf import settings
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kameng.accounts.models import User
from kameng.lib.errors import Invalid, TooMany
from tenant_apps.shop import selectors as shops

LIFE_S = 10 * 60
TRIES = 5
SENDS_AN_HOUR = 5
HOUR_S = 3600


class StepUpRefused(Invalid):
    """Password or code is wrong, or the code is too old; `field` says which of the two to look at."""

    code = "step_up_refused"


def send(user: User, purpose: str) -> None:
    """Mail a fresh code; the one before is worth nothing. In the shop's scope; the mail goes out after the commit.

    Raises: TooMany.
    """
    if _count(f"{_key(user, purpose)}:sent") > SENDS_AN_HOUR:
        raise TooMany(
            gettext_lazy("Many codes were mailed in the last hour. Try again later."), details={"retry_after_s": HOUR_S}
        )
    code = f"{secrets.randbelow(1_000_000):06d}"
    cache.set(_key(user, purpose), _digest(user, purpose, code), LIFE_S)
    cache.delete(f"{_key(user, purpose)}:tries")
    shop = shops.read_settings()
    subject = _("%(code)s is your code for %(shop)s") % {"code": code, "shop": shop.name}
    text = _(
        "Your code is\n\n    %(code)s\n\nIt is good for 10 minutes. If it was not you who asked, change your password."
    )
    sender = formataddr((shop.name, parseaddr(settings.DEFAULT_FROM_EMAIL)[1]))
    mail = EmailMessage(subject, text % {"code": code}, sender, [user.email])
    transaction.on_commit(partial(mail.send))


def is_waiting(user: User, purpose: str) -> bool:
    """Whether a code was mailed that is still good."""
    return cache.get(_key(user, purpose)) is not None


def check(user: User, purpose: str, *, password: str, code: str) -> None:
    """Use up the code. Raises: StepUpRefused; after five tries the code is worth nothing."""
    kept = cache.get(_key(user, purpose))
    if kept is None:
        raise StepUpRefused(gettext_lazy("This code is too old. Have a new one mailed to you."), field="code")
    # Counted before it is compared, in the cache, which no rollback takes back.
    if _count(f"{_key(user, purpose)}:tries") > TRIES:
        cache.delete(_key(user, purpose))
        raise StepUpRefused(gettext_lazy("Too many wrong tries. Have a new code mailed to you."), field="code")
    if not user.check_password(password):
        raise StepUpRefused(gettext_lazy("This is not your password."), field="password")
    if not hmac.compare_digest(kept, _digest(user, purpose, "".join(code.split()))):
        raise StepUpRefused(gettext_lazy("That is not the code."), field="code")
    cache.delete(_key(user, purpose))


def _key(user: User, purpose: str) -> str:
    return f"step_up:{purpose}:{user.pk}"


def _digest(user: User, purpose: str, code: str) -> str:
    words = f"{user.pk}:{purpose}:{user.password}:{code}"  # A new password makes an old code worth nothing.
    return hmac.new(settings.SECRET_KEY.encode(), words.encode(), hashlib.sha256).hexdigest()


def _count(key: str) -> int:
    cache.add(key, 0, HOUR_S)
    try:
        return int(cache.incr(key))
    except ValueError:  # It ran out between the two.
        cache.set(key, 1, HOUR_S)
        return 1
