"""Prices: the rules of the shop, and one rule with a live look at what it would do before it is saved."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.accounts import catalogue
from kameng.lib import clock, money
from kameng.lib.errors import DomainError, Invalid
from kameng.lib.words import Sentence, worded
from kameng.web.actors import actor
from tenant_apps.listings import selectors as listings
from tenant_apps.listings import services
from tenant_apps.listings.models import ListedProduct, Listing, MarkupRule
from tenant_apps.listings.pricing import StoredRule, as_rule, earnings, explained, stage_sentence
from tenant_apps.listings.states import RuleKind, RuleScope
from tenant_apps.listings.types import CategoryTree, PreviewRow, RulePreview, ShelfCategory
from tenant_apps.panel import words
from tenant_apps.panel.access import may_change, screen
from tenant_apps.panel.forms.pricing import ManyForm, RuleFilters, RuleForm, Target
from tenant_apps.panel.lists import Column, export, local_time, paged, wants_export
from tenant_apps.panel.page import back_to, page, refuse, say
from tenant_apps.panel.selectors import goods
from tenant_apps.panel.selectors import rules as rules_read

SHOWN = 25  # Rows of a preview; its counts are over all.
FIRST_VALUE = Decimal(12)
CURES = 3  # How many refused rows the notice names; the list has them all.
SAVED = gettext_lazy("Saved. Prices changed: %(count)s.")


# -- All rules.


@dataclass(frozen=True)
class CategoryRow:
    """A category in the tree with the rule that prices it: its own, or the one that it takes over."""

    category: ShelfCategory
    depth: int
    rule: MarkupRule | None
    inherited: MarkupRule | None

    @property
    def indent(self) -> str:
        return ("", "k-indent-1", "k-indent-2", "k-indent-3")[min(self.depth, 3)]


@require_GET
@screen(catalogue.GOODS_LOOK, change=catalogue.PRICES_CHANGE)
def index(request: HttpRequest) -> HttpResponseBase:
    """The rule of the shop, the tree of categories, and the rules of single products and SKUs."""
    tree = listings.categories_for_home()
    wide = {
        (rule.scope, rule.target_id): rule
        for rule in MarkupRule.objects.filter(scope__in=(RuleScope.SHOP, RuleScope.CATEGORY))
    }
    filters = RuleFilters(request.GET)
    narrow = rules_read.narrow(filters.query)
    if wants_export(request):
        return export(request, "prices", _COLUMNS, rules_read.exported(wide.values(), narrow, tree))
    shop_rule = wide.get((RuleScope.SHOP, 0))
    shown = paged(request, narrow)
    return page(
        request, "panel/pricing.html", here="pricing", heading=_("Prices"), shop_rule=shop_rule, filters=filters,
        categories=_tree_rows(tree, wide, shop_rule), narrow=shown,
        named=[(row.rule, row.name, reverse("panel:product", args=[row.product_id]) if row.product_id else "")
               for row in rules_read.named(shown.object_list)],
    )  # fmt: skip


_COLUMNS: tuple[Column, ...] = (
    (gettext_lazy("For"), lambda row: row.rule.get_scope_display()),
    (gettext_lazy("Name"), lambda row: row.name),
    (gettext_lazy("SKU code"), lambda row: row.code),
    (gettext_lazy("How the price is made"), lambda row: row.rule.get_kind_display()),
    (gettext_lazy("How much"), lambda row: words.plain(row.rule.value)),
    (gettext_lazy("Rounding"), lambda row: words.rounding_words(row.rule)),
    (gettext_lazy("Set"), lambda row: local_time(row.rule.updated_at)),
    (gettext_lazy("Who"), lambda row: row.rule.updated_by),
)


def _tree_rows(
    tree: CategoryTree, rules: dict[tuple[str, int], MarkupRule], shop: MarkupRule | None
) -> list[CategoryRow]:
    rows: list[CategoryRow] = []

    def walk(parent_id: int | None, depth: int, above: MarkupRule | None) -> None:
        for category in tree.rows:
            if category.parent_id == parent_id and depth < 8:
                own = rules.get((RuleScope.CATEGORY, category.id))
                rows.append(CategoryRow(category, depth, own, None if own else above))
                walk(category.id, depth + 1, own or above)

    walk(None, 0, shop)
    return rows


# -- One rule.


@dataclass(frozen=True)
class Aim:
    """What a rule governs, in words, and the rule that it has now."""

    scope: str
    target_id: int
    name: Sentence
    rule: MarkupRule | None


def _aim(request: HttpRequest) -> Aim:
    """From the address or the form. Raises: TargetUnknown."""
    target = Target(request.POST if request.method == "POST" else request.GET)
    if not target.is_valid():
        raise services.TargetUnknown(_("What this rule should price is not in this shop."))
    scope, pk = target.cleaned_data["scope"], target.cleaned_data["target"]
    name = _target_name(scope, pk)
    if name is None:
        raise services.TargetUnknown(_("What this rule should price is not in this shop."))
    return Aim(scope, pk, name, MarkupRule.objects.filter(scope=scope, target_id=pk).first())


def _target_name(scope: str, pk: int) -> Sentence | None:
    if scope == RuleScope.SHOP:
        return gettext_lazy("The whole shop") if pk == 0 else None
    if scope == RuleScope.CATEGORY:
        category = listings.categories_for_home().by_id.get(pk)
        return category.name if category else None
    if scope == RuleScope.PRODUCT:
        product = ListedProduct.objects.filter(pk=pk).first()
        return goods.product_name(product) if product else None
    return goods.titles([pk]).get(pk)


def _form_of(request: HttpRequest, aim: Aim) -> RuleForm:
    """Bound to what was typed (in the form or in the address), else showing the rule that is in force."""
    typed = request.POST if request.method == "POST" else request.GET
    if "kind" in typed:
        return RuleForm(typed, scope=aim.scope)
    rule = aim.rule
    start = {"kind": RuleKind.PERCENT, "value": words.plain(FIRST_VALUE), "rounding": "TENTH"}
    if rule is not None:
        start = {"kind": rule.kind, "value": words.plain(rule.value), "rounding": rule.rounding}
    return RuleForm(start, scope=aim.scope)


@require_http_methods(["GET", "POST"])
@screen(catalogue.GOODS_LOOK, change=catalogue.PRICES_CHANGE)
def rule(request: HttpRequest) -> HttpResponse:
    """The form of one rule with its preview; htmx takes it into a drawer."""
    aim = _aim(request)
    form = _form_of(request, aim)
    now = clock.utc_now()
    if request.method == "POST" and form.is_valid():
        try:
            saved = services.set_rule(
                scope=aim.scope, target_id=aim.target_id, by=actor(request), now=now, **form.cleaned_data
            )
        except DomainError as error:
            refuse(form, error)
        else:
            say(request, worded(SAVED, count=f"{saved.changed:,}"))
            return redirect(back_to(request, reverse("panel:pricing")))
    context = {
        "aim": aim, "form": form, "next": back_to(request, reverse("panel:pricing")), **_look(aim, form),
    }  # fmt: skip
    if getattr(request, "htmx", False):
        return render(request, "panel/_rule.html", {**context, "drawer": True, "may_change": may_change(request)})
    return page(
        request, "panel/rule.html", here="pricing", heading=aim.name,
        crumbs=((_("Prices"), reverse("panel:pricing")),),
        status=422 if request.method == "POST" else 200, **context,
    )  # fmt: skip


@require_GET
@screen(catalogue.GOODS_LOOK, change=catalogue.PRICES_CHANGE)
def preview(request: HttpRequest) -> HttpResponse:
    """What the form as typed would do: the part of its page that htmx brings at each change."""
    aim = _aim(request)
    form = _form_of(request, aim)
    context = {
        "aim": aim, "form": form, "next": back_to(request, reverse("panel:pricing")),
        "may_change": may_change(request), **_look(aim, form),
    }  # fmt: skip
    return render(request, "panel/_preview.html", context)


def _look(aim: Aim, form: RuleForm) -> dict[str, Any]:
    """The preview's part of the context; empty while the form can't be understood."""
    if not form.is_valid():
        return {"preview": None}
    typed = form.cleaned_data
    try:
        seen = services.preview_rule(
            scope=aim.scope, target_id=aim.target_id, now=clock.utc_now(), limit=SHOWN, **typed
        )
    except DomainError as error:
        refuse(form, error)
        return {"preview": None}
    stored = StoredRule(aim.scope, aim.target_id, typed["kind"], typed["value"], typed["rounding"])
    looked = _named_rows(seen)
    return {**looked, **_sample(looked["shown"], stored)}


@dataclass(frozen=True)
class NamedRow:
    """A row of a preview with the name that people know it by."""

    row: PreviewRow
    title: str

    @property
    def problem_words(self) -> Sentence:
        return words.PROBLEMS.get(self.row.problem, "")


def _named_rows(seen: RulePreview) -> dict[str, Any]:
    """The preview's part of the context; `cures` are the first rows that can't be, each with what would do."""
    titles = goods.titles(row.listing_id for row in seen.rows)
    shown = [NamedRow(row, titles.get(row.listing_id, row.name)) for row in seen.rows]
    return {"preview": seen, "shown": shown, "cures": [named for named in shown if named.row.problem][:CURES]}


def _sample(shown: list[NamedRow], stored: StoredRule) -> dict[str, Any]:
    """The first SKU of a preview stage by stage, and where its money goes."""
    if not shown:
        return {}
    row = shown[0].row
    listing = Listing.objects.get(pk=row.listing_id)
    price = explained(as_rule(stored), listing)
    kept = earnings(price, row.quantity, services.current_terms(now=clock.utc_now()))
    parts = [
        {"label": _("Supply price"), "minor": kept.cost_minor, "tone": "neutral"},
        {"label": _("Channel's fee, the dearest"), "minor": kept.channel_fee_minor},
        {"label": _("Platform fee"), "minor": kept.platform_fee_minor},
        {"label": _("Tax and shares"), "minor": kept.other_minor},
        {"label": pgettext("shop", "You earn"), "minor": kept.net_minor, "tone": "success"},
    ]
    stages = [
        {
            "label": stage_sentence(stage.as_json(), price.currency),
            "value": money.format_unit(stage.amount, price.currency),
        }
        for stage in price.stages
    ]
    return {
        "sample": shown[0], "sample_stages": stages, "sample_total": kept.gross_minor,
        "sample_parts": [part for part in parts if part["minor"]],
    }  # fmt: skip


@require_http_methods(["GET", "POST"])
@screen(catalogue.PRICES_CHANGE)
def remove(request: HttpRequest) -> HttpResponse:
    """What taking a rule away would do, and the deed itself."""
    aim = _aim(request)
    if aim.rule is None:
        raise services.TargetUnknown(_("There is no such rule."))
    now = clock.utc_now()
    refused: DomainError | None = None
    if request.method == "POST":
        try:
            done = services.remove_rule(scope=aim.scope, target_id=aim.target_id, by=actor(request), now=now)
        except DomainError as error:
            refused = error
        else:
            say(
                request, worded(gettext_lazy("The rule is gone. Prices changed: %(count)s."), count=f"{done.changed:,}")
            )
            return redirect(back_to(request, reverse("panel:pricing")))
    seen = services.preview_without_rule(scope=aim.scope, target_id=aim.target_id, now=now, limit=SHOWN)
    return page(
        request, "panel/rule_remove.html", here="pricing", heading=_("Take the rule away"),
        crumbs=((_("Prices"), reverse("panel:pricing")),), aim=aim, refused=refused, **_named_rows(seen),
        next=back_to(request, reverse("panel:pricing")), status=409 if refused else 200,
    )  # fmt: skip


# -- One rule for many.


def begin_many(request: HttpRequest, ids: list[int]) -> HttpResponse:
    """The form for SKUs that were ticked in the list, before anything was typed. Raises: Invalid (too many)."""
    if len(ids) > services.MAX_AT_ONCE:
        message = gettext_lazy("At most %(max)s SKUs are priced at once. Set the rule of a category for more.")
        raise Invalid(worded(message, max=f"{services.MAX_AT_ONCE:,}"), code="too_many_chosen")
    start = {
        "ids": ",".join(map(str, ids)),
        "kind": RuleKind.PERCENT,
        "value": words.plain(FIRST_VALUE),
        "rounding": "TENTH",
    }
    return _many(request, ManyForm(start, scope=RuleScope.SKU), save=False)


@require_POST
@screen(catalogue.PRICES_CHANGE)
def many(request: HttpRequest) -> HttpResponse:
    """Previewed at each change, and saved for all of them at once."""
    return _many(request, ManyForm(request.POST, scope=RuleScope.SKU), save=request.POST.get("deed") == "save")


def _many(request: HttpRequest, form: ManyForm, *, save: bool) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "preview": None, "count": len(str(form.data.get("ids", "")).split(","))}
    if form.is_valid():
        typed = {name: form.cleaned_data[name] for name in ("kind", "value", "rounding")}
        ids = form.cleaned_data["ids"]
        try:
            if save:
                saved = services.set_many(sku_ids=ids, by=actor(request), now=clock.utc_now(), **typed)
                say(request, worded(SAVED, count=f"{saved.changed:,}"))
                return redirect("panel:listings")
            seen = services.preview_many(sku_ids=ids, now=clock.utc_now(), limit=SHOWN, **typed)
            context |= _named_rows(seen)
        except DomainError as error:
            refuse(form, error)
    if getattr(request, "htmx", False):
        return render(request, "panel/_preview.html", {**context, "may_change": True, "many": True})
    return page(
        request, "panel/price_many.html", here="listings", heading=_("Price the chosen goods"), many=True,
        crumbs=((_("Goods"), reverse("panel:listings")),), status=422 if save and form.errors else 200, **context,
    )  # fmt: skip
