"""Paying to open a shop, over the API: where to send the payer."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.urls import path
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.errors import Invalid, Refused
from kameng.lib.words import in_english
from kameng.web.actors import actor, client_ip
from kameng.web.endpoint import ApiView
from kameng.web.openapi import described
from kameng.web.transactions import own_transactions
from shared_apps.billing import selectors, services
from tenants.api import OPEN, SIGNUP_ID, SIGNUP_TOKEN, TAG, THROTTLES, signup_of
from tenants.states import SignupState


class PayBody(serializers.Serializer[Any]):
    return_url = serializers.CharField(max_length=500, help_text="Where the page sends the payer; http or https.")


class PageShape(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="Of the payment.")
    url = serializers.CharField(help_text="The hosted page.")
    amount_minor = serializers.IntegerField(help_text="What is missing, in minor units.")


@own_transactions
class Pay(ApiView):
    """Its own transactions: the page is written down before the channel is asked."""

    scopes = OPEN
    throttle_classes = THROTTLES
    throttle_scope = "signup"

    @described(
        "Pay what opening costs", tag=TAG, name="signups_pay", body=PayBody, answer=PageShape,
        errors=(404, 409, 503), extra=(SIGNUP_ID, SIGNUP_TOKEN),
        text="For a signup whose state is PAYING. The answer is the same while its page is open. The shop is made as soon "
        "as the money is there: read the signup.",
    )  # fmt: skip
    def post(self, request: Request, public_id: str) -> Response:
        found = signup_of(request, public_id)
        back = _web_address(self.sent(request, PayBody)["return_url"])
        if found.state != SignupState.PAYING or found.substation_id is None:
            raise Refused(_("This signup does not wait for payment."), code="nothing_to_pay")
        with in_main():
            due = found.plan.due_at_signup_minor(found.interval)
            missing = due - selectors.balance_or_nothing(found.substation_id, "prepaid")
            covered = missing <= 0 and services.open_if_covered(substation_id=found.substation_id, now=clock.utc_now())
            ways = [way for way in selectors.ways_to_pay() if not way.renews]
        if covered:  # Only now: a refusal within the transaction would take the opening back.
            raise Refused(_("This signup does not wait for payment."), code="nothing_to_pay")
        if not ways:
            raise services.NoWayToPay(_("The main station has no way to pay set up yet."))
        opened = services.open_signup_page(
            signup=found, account_id=ways[0].account_id, by_card=False, missing_minor=missing, return_url=back,
            cancel_url=back, notify_base=f"{request.scheme}://{request.get_host()}",
            locale="en" if in_english() else "zh", payer_ip=client_ip(request),
            by=actor(request), now=clock.utc_now(),
        )  # fmt: skip
        return Response(PageShape({"id": opened.public_id, "url": opened.url, "amount_minor": missing}).data)


def _web_address(text: str) -> str:
    """Raises: Invalid, for anything that a browser would not open as a page."""
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Invalid(_("Give an address that begins with http:// or https://."), field="return_url")
    return text


urlpatterns = [path("signups/<str:public_id>/pay/", Pay.as_view())]
