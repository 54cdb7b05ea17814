"""Mail to somebody about their own log-in: a new device, a factor that changed, a recovery code that was used.

Mail goes by a job, and jobs stand above this app: panel and console each register the way to theirs (`through`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kameng.accounts import agents
from kameng.accounts.catalogue import Place
from kameng.accounts.models import User, place
from kameng.accounts.types import Actor
from kameng.lib.words import Sentence

Way = Callable[[dict[str, Any]], object]
_ways: dict[Place, Way] = {}

HAPPENED: dict[str, Sentence] = {
    "new_device": gettext_lazy("Somebody logged in with your password on a device that was not seen before."),
    "app_set": gettext_lazy("An authenticator app was set up as your second step."),
    "app_removed": gettext_lazy("The authenticator app was taken off your log-in."),
    "passkey_added": gettext_lazy("A passkey was added to your log-in."),
    "passkey_removed": gettext_lazy("A passkey was taken off your log-in."),
    "codes_made": gettext_lazy("New recovery codes were made for you. The old ones are worth nothing now."),
    "code_used": gettext_lazy("One of your recovery codes was used to confirm that it is you."),
    "reset": gettext_lazy("Your second step was taken off, and you were logged out. Set up a new one at your next log-in."),
}  # fmt: skip


def through(where: Place, way: Way) -> None:
    """Register how a notice of this place becomes a job: called with its payload, in the act's transaction."""
    _ways[where] = way


def tell(user: User, what: str, *, at: datetime, by: Actor, agent: str = "") -> None:
    """Have somebody told by mail, when this transaction commits. `what` is a key of HAPPENED."""
    assert what in HAPPENED, what
    payload = {"user_id": user.pk, "notice": what, "at": at.isoformat(), "ip": by.ip, "who": by.label, "agent": agent}
    _ways[place()](payload)


def letter(
    user: User, where: str, base_url: str, *, what: str, at: str, ip: str, who: str, agent: str
) -> tuple[str, str]:
    """Subject and body, in the language that is active. `where` names the shop or the station."""
    moment = date_format(datetime.fromisoformat(at), "Y-m-d H:i") + " UTC"
    lines = [str(HAPPENED[what]), "", _("When: %(at)s") % {"at": moment}]
    if agent:
        lines.append(_("Device: %(device)s") % {"device": agents.words(agent)})
    if ip:
        lines.append(_("IP address: %(ip)s") % {"ip": ip})
    if what == "reset":
        lines.append(_("By: %(who)s") % {"who": who})
    lines += [
        "",
        _("If it was you, there is nothing to do. If not, change your password now, and log out everywhere else:"),
        f"{base_url}/password/",
        "",
    ]
    return _("%(where)s: your log-in") % {"where": where}, "\n".join(lines)
