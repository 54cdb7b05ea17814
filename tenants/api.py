"""The main station's public endpoints: plans, and a shop of one's own from the challenge to its address."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.urls import path
from django.utils.translation import get_language
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.db.context import in_main
from kameng.lib import clock, pow
from kameng.web.actors import client_ip
from kameng.web.api import TenantAnonThrottle, TenantScopedThrottle, TenantTokenThrottle
from kameng.web.endpoint import ApiView
from kameng.web.idempotency import idempotent
from kameng.web.openapi import described, in_header, in_path
from kameng.web.transactions import own_transactions
from tenants import admission, provisioning
from tenants import signup as signups
from tenants.forms import PRESETS
from tenants.models import Plan, Signup
from tenants.states import BillingInterval, SignupState, StepState

TAG = "Signup"
UNPAID = (SignupState.VERIFYING, SignupState.PAYING)
OPEN: dict[str, str | None] = {"GET": None, "POST": None}
THROTTLES = (TenantAnonThrottle, TenantTokenThrottle, TenantScopedThrottle)
SIGNUP_ID = in_path("public_id", "The signup's id.")
SIGNUP_TOKEN = in_header("X-Signup-Token", "The signup's secret, from the answer that began it.")


class PlanShape(serializers.Serializer[Any]):
    code = serializers.CharField()
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    pitch_zh = serializers.CharField()
    pitch_en = serializers.CharField()
    opening_fee_minor = serializers.IntegerField(help_text="Once, in minor units.")
    monthly_fee_minor = serializers.IntegerField()
    yearly_fee_minor = serializers.IntegerField(help_text="For twelve months at once; 0: only by the month.")
    deposit_minor = serializers.IntegerField(help_text="Held for the shop and given back when it closes.")
    trial_days = serializers.IntegerField(help_text="Free before the first period is due.")
    grace_days = serializers.IntegerField(help_text="Without payment until the panel only shows.")
    max_listings = serializers.IntegerField(allow_null=True, help_text="SKUs on the shelf; null: as many as one likes.")
    max_staff = serializers.IntegerField(allow_null=True)
    max_own_products = serializers.IntegerField(allow_null=True)
    api_allowed = serializers.BooleanField()
    own_domain_allowed = serializers.BooleanField()
    platform_fee_bps = serializers.IntegerField(help_text="Of what a sale leaves, in ten-thousandths.")
    currency = serializers.SerializerMethodField()

    def get_currency(self, row: Plan) -> str:
        return str(settings.CURRENCY)


class ChallengeShape(serializers.Serializer[Any]):
    challenge = serializers.CharField(
        help_text="Find a nonce so that sha256(challenge + ':' + nonce) begins with `bits` zero bits."
    )
    bits = serializers.IntegerField()
    expires_at = serializers.DateTimeField()


class SignupBody(serializers.Serializer[Any]):
    name = serializers.CharField(min_length=2, max_length=40, help_text="What buyers see.")
    slug = serializers.CharField(max_length=63, help_text="3 to 30 small letters, digits and hyphens.")
    plan = serializers.CharField(max_length=20)
    interval = serializers.ChoiceField(
        choices=BillingInterval.choices, required=False, default=BillingInterval.MONTH.value,
        help_text="How long is paid for at once.",
    )  # fmt: skip
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    owner_name = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    preset = serializers.ChoiceField(choices=PRESETS, required=False)
    region = serializers.CharField(
        max_length=120, required=False, allow_blank=True, default="",
        help_text="The shop's city: a code of GB/T 2260 or ISO 3166-2 (440300, DE-BE), or its name.",
    )  # fmt: skip
    accent = serializers.RegexField(r"^#[0-9a-fA-F]{6}$", required=False, help_text="A colour: #1A2B3C.")
    challenge = serializers.CharField(max_length=200)
    nonce = serializers.CharField(max_length=64)


class StepShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=StepState.choices)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class SignupShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    state = serializers.ChoiceField(choices=SignupState.choices)
    name = serializers.CharField()
    slug = serializers.CharField(help_text="The address's label, as in `slug.example.com`.")
    plan = serializers.CharField(source="plan.code")
    interval = serializers.ChoiceField(choices=BillingInterval.choices)
    region = serializers.CharField(help_text="The code of the shop's city; empty where none was named.")
    due_minor = serializers.SerializerMethodField(help_text="What has to be paid before the shop is made.")
    email = serializers.CharField()
    code_expires_at = serializers.DateTimeField(help_text="Until when the mailed code is good.")
    steps = serializers.SerializerMethodField(help_text="The making of the shop, in its order.")
    ask_again_ms = serializers.SerializerMethodField(
        help_text="How long to wait before asking again, in milliseconds; null where nothing is being made."
    )
    shop_url = serializers.SerializerMethodField(help_text="Where the shop is, once it is live.")
    panel_url = serializers.SerializerMethodField(help_text="Where its owner logs in, once it is live.")

    def get_due_minor(self, row: Signup) -> int:
        return row.plan.due_at_signup_minor(row.interval) if row.state in UNPAID else 0

    def get_steps(self, row: Signup) -> StepShape(many=True):  # type: ignore[valid-type]
        done = {step.name: step for step in row.steps.all()}
        waiting = {"state": StepState.PENDING, "started_at": None, "finished_at": None}
        steps = [done.get(name) or {"name": name, **waiting} for name, _step in provisioning.steps()]
        return StepShape(steps, many=True).data

    def get_ask_again_ms(self, row: Signup) -> int | None:
        return signups.ask_again_ms(row, clock.utc_now())

    def get_shop_url(self, row: Signup) -> str | None:
        live = row.state == SignupState.LIVE and row.substation is not None
        return f"{row.substation.url}/" if live and row.substation else None

    def get_panel_url(self, row: Signup) -> str | None:
        address = self.get_shop_url(row)
        return f"{address}panel/" if address else None


class BegunShape(SignupShape):
    token = serializers.CharField(help_text="The signup's secret, for X-Signup-Token. Shown this once.")


class CodeBody(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=20, help_text="The six digits from the mail.")


def signup_of(request: Request, public_id: str) -> Signup:
    """The signup that the token opens. Raises: Missing, for a wrong token as for a wrong id."""
    return signups.find(public_id, request.headers.get("X-Signup-Token", ""))


def _shown(public_id: str, token: str) -> Response:
    """The signup as it is now, read in a transaction of its own where there is none."""
    with in_main():
        return Response(SignupShape(signups.find(public_id, token)).data)


class Plans(ApiView):
    scopes = OPEN

    @described("The plans on offer", tag=TAG, name="plans_list", answer=PlanShape(many=True))
    def get(self, request: Request) -> Response:
        return Response(PlanShape(Plan.objects.filter(active=True), many=True).data)


class Challenge(ApiView):
    scopes = OPEN

    @described(
        "A proof of work to do", tag=TAG, name="signups_challenge", answer=ChallengeShape, fresh=True,
        text="A signup wants one. It is good for one signup and for ten minutes.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        challenge = admission.challenge(now=clock.utc_now())
        shown = {"challenge": challenge, "bits": settings.POW_BITS, "expires_at": pow.expires_at(challenge)}
        return Response(ChallengeShape(shown).data)


class Signups(ApiView):
    scopes = OPEN
    throttle_classes = THROTTLES
    throttle_scope = "signup"

    @described(
        "Begin a signup", tag=TAG, name="signups_create", body=SignupBody, answer=BegunShape, status=201, creates=True,
        text="Mails a six-digit code to the address. The shop is made when the code has been confirmed.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        data, now = self.sent(request, SignupBody), clock.utc_now()
        admission.check_proof(challenge=data["challenge"], nonce=data["nonce"], now=now)
        admission.count_signup(ip=client_ip(request))
        started = signups.begin(
            name=data["name"], slug=data["slug"], plan_code=data["plan"], email=data["email"],
            interval=data["interval"], password=data["password"], owner_name=data["owner_name"], preset=data.get("preset", ""),
            region=data["region"],
            accent=data.get("accent", ""), language=get_language() or settings.LANGUAGE_CODE, ip=client_ip(request),
            now=now,
        )  # fmt: skip
        return Response({**SignupShape(started.signup).data, "token": started.token}, status=201)


class OneSignup(ApiView):
    scopes = OPEN

    @described(
        "How a signup stands", tag=TAG, name="signups_read", answer=SignupShape, errors=(404,),
        extra=(SIGNUP_ID, SIGNUP_TOKEN),
        text="While the shop is being made, ask again after `ask_again_ms`; `shop_url` is there when it is live.",
    )  # fmt: skip
    def get(self, request: Request, public_id: str) -> Response:
        return Response(SignupShape(signup_of(request, public_id)).data)


@own_transactions
class Verify(ApiView):
    """Its own transactions: a wrong try is counted whatever becomes of the request."""

    scopes = OPEN
    throttle_classes = THROTTLES
    throttle_scope = "signup_code"

    @described(
        "Confirm the mailed code", tag=TAG, name="signups_verify", body=CodeBody, answer=SignupShape,
        errors=(404, 409), extra=(SIGNUP_ID, SIGNUP_TOKEN),
        text="Five wrong codes end a code. Repeating it after success changes nothing.",
    )  # fmt: skip
    def post(self, request: Request, public_id: str) -> Response:
        found = signup_of(request, public_id)
        signups.verify(found, self.sent(request, CodeBody)["code"], now=clock.utc_now())
        return _shown(public_id, request.headers.get("X-Signup-Token", ""))


class Resend(ApiView):
    scopes = OPEN
    throttle_classes = THROTTLES
    throttle_scope = "signup_code"

    @described(
        "Mail another code", tag=TAG, name="signups_resend", answer=SignupShape, creates=True, errors=(403, 404),
        extra=(SIGNUP_ID, SIGNUP_TOKEN), text="The code before it ends. Four codes are mailed at most.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, public_id: str) -> Response:
        signups.resend(signup_of(request, public_id), now=clock.utc_now())
        return _shown(public_id, request.headers.get("X-Signup-Token", ""))


class Retry(ApiView):
    scopes: ClassVar[dict[str, str | None]] = OPEN

    @described(
        "Try a failed making again", tag=TAG, name="signups_retry", answer=SignupShape, errors=(403, 404, 409),
        extra=(SIGNUP_ID, SIGNUP_TOKEN),
    )  # fmt: skip
    def post(self, request: Request, public_id: str) -> Response:
        signups.retry(signup_of(request, public_id))
        return _shown(public_id, request.headers.get("X-Signup-Token", ""))


urlpatterns = [
    path("plans/", Plans.as_view()),
    path("signups/challenge/", Challenge.as_view()),
    path("signups/", Signups.as_view()),
    path("signups/<str:public_id>/", OneSignup.as_view()),
    path("signups/<str:public_id>/verify/", Verify.as_view()),
    path("signups/<str:public_id>/resend/", Resend.as_view()),
    path("signups/<str:public_id>/retry/", Retry.as_view()),
]
