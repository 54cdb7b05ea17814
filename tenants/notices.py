"""What a shop's owner is told by mail about their domains."""

from __future__ import annotations

from django.core.mail import send_mail
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from kameng.db.context import in_main
from tenants.domains import GRACE, NOT_IN_PLAN
from tenants.models import DomainClaim

# Why a domain was taken off, where it was not that its records were gone.
_LOST = {
    "handed_over": gettext_noop(
        "Another shop has proved that %(domain)s is its own, and your TXT record was not there any more, so the domain is "
        "that shop's now. Your shop is still at its own address here. If this was not meant to be, look at the records where "
        "you bought the domain. What has to stand there is in your panel:"
    ),
    NOT_IN_PLAN: gettext_noop(
        "The plan of %(shop)s has had no domain of its own for %(days)s days. Your shop is still at its own address here. To "
        "have %(domain)s back, choose a plan that has it and check the domain in your panel:"
    ),
}


def mail_domain(claim_id: int, what: str) -> bool:
    """`failing`: it is about to be taken off, and why; `lost`: it was, and why. Answers whether it was sent.

    The network is used after the reading transaction has ended.
    """
    with in_main():
        claim = DomainClaim.objects.select_related("substation").filter(pk=claim_id).first()
    if claim is None or claim.state != what.upper():  # Removed, or mended since.
        return False
    shop = claim.substation
    with translation.override(shop.language):
        values = {"domain": claim.host, "shop": shop.name, "days": GRACE.days}
        if what == "failing" and claim.problem == NOT_IN_PLAN:
            subject = _("%(domain)s is about to be taken off %(shop)s") % values
            text = _(
                "The plan of %(shop)s has no domain of its own any more. If that is still so in %(days)s days, %(domain)s is "
                "taken off your shop, which stays at its own address here. Your domains and the plans that have them are in "
                "your panel:"
            )
        elif what == "failing":
            subject = _("%(domain)s does not lead to %(shop)s any more") % values
            text = _(
                "We looked for the DNS records of %(domain)s and did not find them. If they are not back within %(days)s days, "
                "the domain is taken off your shop. What has to stand there is in your panel:"
            )
        else:
            subject = _("%(domain)s was taken off %(shop)s") % values
            text = (
                _(_LOST[claim.problem])
                if claim.problem in _LOST
                else _(
                    "The DNS records of %(domain)s were gone for %(days)s days. Your shop is still at its own address here. "
                    "Set the records again and check them in your panel:"
                )
            )
    send_mail(subject, f"{text % values}\n\n{shop.url}/panel/domains/\n", None, [shop.owner_email])
    return True
