"""What people did with roles and log-ins, in words: for the audit trails of panel and console."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from kameng.lib.words import Sentence

ACTIONS: dict[str, Sentence] = {
    "accounts.factor.app_removed": _("Took the authenticator app off"),
    "accounts.factor.app_set": _("Set an authenticator app up"),
    "accounts.factor.code_used": _("Used a recovery code"),
    "accounts.factor.codes_made": _("Made new recovery codes"),
    "accounts.factor.passkey_added": _("Added a passkey"),
    "accounts.factor.passkey_removed": _("Took a passkey off"),
    "accounts.factor.paused": _("Too many wrong codes: a pause"),
    "accounts.factor.reset": _("Took somebody's second step off"),
    "accounts.factor.wrong": _("A wrong code or passkey"),
    "accounts.log_in": _("Logged in"),
    "accounts.log_in.failed": _("A wrong password"),
    "accounts.log_in.locked": _("Too many wrong passwords: a pause"),
    "accounts.log_out": _("Logged out"),
    "accounts.password.changed": _("Changed the password"),
    "accounts.password.set": _("Set a password by mail"),
    "accounts.policy.factor": _("Changed whether everybody needs a second step"),
    "accounts.role.changed": _("Changed what a role may do"),
    "accounts.role.made": _("Made a role"),
    "accounts.role.removed": _("Removed a role"),
    "accounts.session.ended": _("Logged out in another browser"),
    "accounts.sessions.ended": _("Logged out everywhere else"),
    "accounts.token.created": _("Made an API token"),
    "accounts.token.revoked": _("Revoked an API token"),
    "console.person.withdrawn": _("Took an invitation back"),
    "panel.staff.withdrawn": _("Took an invitation back"),
}


def like(actions: Mapping[str, Sentence], query: str) -> list[str]:
    """Those of `actions` whose words, in the reader's language, hold what was typed."""
    text = query.strip().casefold()
    return [action for action, said in actions.items() if text in str(said).casefold()] if text else []
