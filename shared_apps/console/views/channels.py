"""Merchant accounts at the payment channels, and the versions of the split rule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import allowed
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.money import share_bps_minor
from kameng.web.actors import actor
from shared_apps.console import lists, words
from shared_apps.console.forms.channels import MerchantFilters, RuleForm, StripeAccountForm
from shared_apps.console.page import page, posted, refuse
from shared_apps.console.selectors import books, channels, system, trade
from shared_apps.console.views.system import tell_record
from shared_apps.receipts import selectors as receipts
from shared_apps.receipts import services
from shared_apps.splits import services as splits
from shared_apps.splits.arithmetic import NegativeMargin, Shares, channel_fee_minor, split_sale
from shared_apps.splits.models import SplitRule
from tenants import selectors as tenants

LATELY = timedelta(days=30)
STRIPE = "https://api.stripe.com"
LATEST = 10
MERCHANT_SORTS = {"name": "name", "channel": "channel", "since": "created_at"}
RULE_SORTS = {"version": "version", "effective": "effective_at"}


@require_GET
@allowed(catalogue.MERCHANTS_LOOK, change=catalogue.MERCHANTS_MANAGE)
def merchants(request: HttpRequest) -> HttpResponseBase:
    filters = MerchantFilters(request.GET, channels=_channels())
    rows = channels.merchants(query=filters.query, channel=filters.value("channel"), state=filters.value("state"))
    rows = lists.ordered(request, rows, MERCHANT_SORTS, "name")
    shops = tenants.shop_names()
    if lists.wants_export(request):
        return lists.export(request, "merchant-accounts", _merchant_columns(shops), rows)
    shown = lists.paged(request, rows)
    _tell_merchants(shown, shops)
    return page(
        request, "console/merchants.html", here="merchants", heading=_("Merchant accounts"), filters=filters,
        chips=filters.chips(), rows=shown,
    )  # fmt: skip


def _channels() -> list[str]:
    return sorted(set(receipts.merchant_accounts().values_list("channel", flat=True)))


def _merchant_columns(shops: dict[int, tenants.ShopName]) -> list[lists.Column]:
    return [
        (gettext_lazy("Id"), lambda row: row.public_id),
        (gettext_lazy("Name"), lambda row: row.name),
        (gettext_lazy("Channel"), lambda row: words.channel_words(row.channel)),
        (gettext_lazy("Reference"), lambda row: row.account_ref),
        (gettext_lazy("Used by"), lambda row: shops[row.substation_id].name if row.substation_id in shops else ""),
        (gettext_lazy("Offered to buyers"), lambda row: row.enabled),
        (gettext_lazy("Since"), lambda row: row.created_at),
    ]


def _tell_merchants(rows: Any, shops: dict[int, tenants.ShopName]) -> None:
    taken, failed, owed = (
        channels.taken_since(clock.utc_now() - LATELY),
        channels.failed_events(),
        books.clearing_balances(),
    )
    for row in rows:
        row.channel_words = words.channel_words(row.channel)
        row.shop = shops.get(row.substation_id)
        row.taken = taken.get(row.pk, [])
        row.failed = failed.get(row.pk, 0)
        row.owed = owed.get(row.channel)


def _merchant(public_id: str) -> Any:
    row = channels.merchant(public_id)
    if row is None:
        raise Http404(public_id)
    return row


@require_GET
@allowed(catalogue.MERCHANTS_LOOK, change=catalogue.MERCHANTS_MANAGE)
def merchant(request: HttpRequest, public_id: str) -> HttpResponse:
    row = _merchant(public_id)
    _tell_merchants([row], tenants.shop_names([row.substation_id]) if row.substation_id else {})
    changes: list[Any] = system.trail_of(public_id, LATEST)
    for record in changes:
        tell_record(record)
    events = trade.events().filter(account_id=row.pk).order_by("-pk")[:LATEST]
    return page(
        request, "console/merchant.html", here="merchants", heading=row.name, row=row, changes=changes, events=events,
        callback_url=_callback_url(row), crumbs=((_("Merchant accounts"), reverse("console:merchants")),),
    )  # fmt: skip


def _callback_url(row: Any) -> str:
    """What is entered at the channel as the address of its callbacks."""
    path = reverse("payments:callback", args=[row.channel, row.public_id])
    return f"{settings.SCHEME}://{settings.BASE_DOMAIN}{settings.AUTHORITY}{path}"


@allowed(catalogue.MERCHANTS_MANAGE)
def merchant_new(request: HttpRequest) -> HttpResponse:
    """An account at Stripe; its secrets are sealed and never shown again."""
    form = StripeAccountForm(posted(request))
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            with transaction.atomic():
                made = services.create_account(
                    channel="stripe", account_ref=data["account_ref"], name=data["name"],
                    credentials={"api_key": data["api_key"], "webhook_secret": data["webhook_secret"]},
                    substation_id=form.substation_id, api_base=settings.STRIPE_API_URL or STRIPE, by=actor(request),
                )  # fmt: skip
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("Kept. Enter the callback address below at Stripe, then take a small payment."))
            return redirect("console:merchant", made.public_id)
    response = page(
        request, "console/merchant_form.html", here="merchants", heading=_("New Stripe account"), form=form,
        crumbs=((_("Merchant accounts"), reverse("console:merchants")),), status=422 if form.is_bound else 200,
    )  # fmt: skip
    response["Cache-Control"] = "no-store"  # What was typed comes back with its errors, secrets too.
    return response


@require_POST
@allowed(catalogue.MERCHANTS_MANAGE)
def merchant_switch(request: HttpRequest, public_id: str) -> HttpResponse:
    enabled = request.POST.get("enabled") == "1"
    with transaction.atomic():
        services.set_enabled(account_public_id=public_id, enabled=enabled, by=actor(request))
    messages.success(
        request,
        _("Buyers are offered it from now on.") if enabled
        else _("Buyers are not offered it any more. Payments under way still arrive."),
    )  # fmt: skip
    return redirect("console:merchant", public_id)


# -- The rules by which sales are split.


@require_GET
@allowed(catalogue.SPLITS_LOOK, change=catalogue.SPLITS_MANAGE)
def rules(request: HttpRequest) -> HttpResponseBase:
    rows = lists.ordered(request, books.rules(), RULE_SORTS, "-effective")
    if lists.wants_export(request):
        return lists.export(request, "split-rules", RULE_EXPORT, rows)
    shown = lists.paged(request, rows)
    _tell_rules(shown)
    return page(
        request, "console/rules.html", here="rules", heading=_("Split rules"), rows=shown, filters=None,
    )  # fmt: skip


def _tell_rules(rows: Any) -> None:
    now = clock.utc_now()
    in_force = books.rule_in_force(now)
    names = {plan.code: plan_words(plan) for plan in tenants.plans()}
    for row in rows:
        row.state = "FUTURE" if row.effective_at > now else "IN_FORCE" if row == in_force else "PAST"
        row.channels = [(words.channel_words(name), fee) for name, fee in sorted(row.channel_fees.items())]
        row.plans = [(names.get(code, code), bps) for code, bps in row.plan_fees.items()]


def plan_words(plan: Any) -> str:
    return str(plan.name_zh if words.chinese() else plan.name_en)


def _fees_text(fees: dict[str, Any]) -> str:
    return "; ".join(f"{name} {fee.get('bps', 0) / 100:g}% + {fee.get('fixed_minor', 0)}" for name, fee in fees.items())


RULE_EXPORT: list[lists.Column] = [
    (gettext_lazy("Version"), lambda row: row.version),
    (gettext_lazy("In force from"), lambda row: row.effective_at),
    (gettext_lazy("Platform fee, by plan (bps)"), lambda row: row.plan_fees),
    (gettext_lazy("Channel fees (share + minor units)"), lambda row: _fees_text(row.channel_fees)),
    (gettext_lazy("Tax (bps)"), lambda row: row.tax_bps),
    (gettext_lazy("Note"), lambda row: row.note),
    (gettext_lazy("Written at"), lambda row: row.created_at),
]


@require_GET
@allowed(catalogue.SPLITS_LOOK, change=catalogue.SPLITS_MANAGE)
def rule(request: HttpRequest, version: int) -> HttpResponse:
    row: Any = books.rule(version)
    if row is None:
        raise Http404(str(version))
    _tell_rules([row])
    changes: list[Any] = system.trail_of(str(row), LATEST)
    for record in changes:
        tell_record(record)
    return page(
        request, "console/rule.html", here="rules", heading=_("Split rule %(version)s") % {"version": row}, row=row,
        changes=changes, crumbs=((_("Split rules"), reverse("console:rules")),),
    )  # fmt: skip


@allowed(catalogue.SPLITS_MANAGE)
def rule_new(request: HttpRequest) -> HttpResponse:
    """New terms: tried on a sale as often as one likes, then made. A version is never changed afterwards."""
    now = clock.utc_now()
    present = books.rule_in_force(now)
    names = sorted({*_channels(), *(present.channel_fees if present else {})})
    form = RuleForm(posted(request), now_in_force=present, channels=names)
    sample: list[dict[str, Any]] = []
    if request.method == "POST" and form.is_valid():
        if request.POST.get("deed") == "make":
            try:
                with transaction.atomic():
                    made = splits.create_rule(
                        effective_at=form.cleaned_data["effective_at"] or now,
                        platform_fee_bps=present.platform_fee_bps if present else splits.DEFAULT_PLATFORM_BPS,
                        plan_fees=form.plan_fees, channel_fees=form.channel_fees, by=actor(request), now=now,
                        note=form.cleaned_data["note"], **_carried(present),
                    )  # fmt: skip
            except DomainError as error:
                refuse(form, error)
            else:
                messages.success(request, _("Written. Sales from its beginning on go by it."))
                return redirect("console:rule", made.version)
        else:
            sample = _sample(form, present)
    tried = bool(sample) and form.is_valid()
    return page(
        request, "console/rule_form.html", here="rules", heading=_("New split rule"), form=form, sample=sample,
        present=present, crumbs=((_("Split rules"), reverse("console:rules")),),
        status=422 if form.is_bound and not tried else 200,
    )  # fmt: skip


def _sample(form: RuleForm, present: SplitRule | None) -> list[dict[str, Any]]:
    """The sale of the form under the present and the new terms, by plan and channel."""
    data, carried = form.cleaned_data, _carried(present)
    rows = []
    for plan in tenants.plans():
        for name in form.channel_names:
            fees = present.channel_fees if present else {}
            own = present.plan_fees if present else {}
            old = _parts(data, own.get(plan.code, plan.platform_fee_bps), fees.get(name, {}), carried)
            new = _parts(data, form.plan_fees.get(plan.code, plan.platform_fee_bps), form.channel_fees[name], carried)
            rows.append({"plan": plan_words(plan), "channel": words.channel_words(name), "old": old, "new": new})
    return rows


def _carried(present: SplitRule | None) -> dict[str, int]:
    """The shares that this page does not offer yet: partners, outlet, agent and tax have no accounts to go to."""
    names = ("partner_bps", "outlet_bps", "agent_bps", "tax_bps")
    return {name: getattr(present, name) if present else 0 for name in names}


def _parts(data: dict[str, Any], platform_bps: int, fee: dict[str, int], carried: dict[str, int]) -> Any:
    """The parts of one sale; None where the price does not cover cost and fees."""
    gross = data["price"]
    shares = Shares(platform_bps, carried["partner_bps"], carried["outlet_bps"], carried["agent_bps"])
    try:
        return split_sale(
            gross_minor=gross, supply_minor=data["cost"], tax_minor=share_bps_minor(gross, carried["tax_bps"]),
            channel_fee_minor=channel_fee_minor(gross, fee), shares=shares,
        )  # fmt: skip
    except NegativeMargin:
        return None
