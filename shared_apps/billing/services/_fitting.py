"""Whether what a shop uses fits into a plan, before it is put on it."""

from __future__ import annotations

from django.db import connection
from django.utils.translation import gettext_lazy as _

from kameng.db.context import SchemaScope, in_substation
from kameng.lib.words import Sentence, worded
from tenants import selectors
from tenants.models import Plan, Substation

_USED = """SELECT (SELECT count(*) FROM listings_listing WHERE on_shelf AND active),
    (SELECT count(*) FROM accounts_user WHERE is_active), (SELECT count(*) FROM accounts_apitoken WHERE revoked_at IS NULL)"""


def exceeded_by(substation: Substation, plan: Plan) -> list[Sentence]:
    """What is in use beyond `plan`, each named with its bound and its cure; empty when everything fits."""
    with in_substation(SchemaScope(substation.schema_name)), connection.cursor() as cursor:
        cursor.execute(_USED)
        listings, staff, tokens = cursor.fetchone()
    domains = 0 if plan.own_domain_allowed else selectors.domains_in_use(substation.pk)
    found: list[Sentence] = []
    if plan.max_listings is not None and listings > plan.max_listings:
        found.append(
            worded(
                _("%(used)s of %(bound)s listings are on the shelf: take %(over)s off."),
                used=listings, bound=plan.max_listings, over=listings - plan.max_listings,
            )
        )  # fmt: skip
    if plan.max_staff is not None and staff > plan.max_staff:
        found.append(
            worded(
                _("%(used)s of %(bound)s people may log in: lock %(over)s out."),
                used=staff, bound=plan.max_staff, over=staff - plan.max_staff,
            )
        )  # fmt: skip
    if not plan.api_allowed and tokens:
        found.append(worded(_("%(used)s API tokens are in use, and the plan has none: revoke them."), used=tokens))
    if domains:
        found.append(
            worded(
                _("The shop has %(used)s domains of its own, and the plan has none: remove them on the Domains page."),
                used=domains,
            )
        )
    return found
