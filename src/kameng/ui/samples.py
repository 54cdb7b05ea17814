"""What the gallery shows: made-up figures of the trade, long names and empty ones included."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kameng.lib import clock
from kameng.ui.fields import CardLabel

LONG_NAME = (
    "腾讯视频超级影视SSVIP会员 年卡 12个月 电视/投影/手机/电脑通用 官方直充 秒到账 (Tencent Video Super VIP, 12 months)"
)


class SampleForm(forms.Form):
    """Every kind of field; bound with errors it shows the other half of its states."""

    shop_name = forms.CharField(
        label=gettext_lazy("Shop name"),
        max_length=40,
        help_text=gettext_lazy("Buyers see it at the top of every page."),
    )
    slug = forms.SlugField(label=gettext_lazy("Address"))
    email = forms.EmailField(label=gettext_lazy("Email"))
    password = forms.CharField(
        label=gettext_lazy("Password"),
        widget=forms.PasswordInput(attrs={"data-strength": "", "autocomplete": "new-password"}),
        help_text=gettext_lazy("At least 10 characters."),
    )
    markup = forms.DecimalField(label=gettext_lazy("Markup"), required=False)
    category = forms.ChoiceField(
        label=gettext_lazy("Category"),
        choices=[
            ("games", gettext_lazy("Game cards")),
            ("data", gettext_lazy("Phone and data")),
            ("video", gettext_lazy("Video memberships")),
        ],
    )
    notice = forms.CharField(label=gettext_lazy("Notice"), widget=forms.Textarea, required=False)
    plan = forms.ChoiceField(
        label=gettext_lazy("Plan"),
        widget=forms.RadioSelect,
        choices=[
            ("basic", CardLabel(gettext_lazy("Starter"), gettext_lazy("Up to 200 goods, settled the next day"), "¥0")),
            ("pro", CardLabel(gettext_lazy("Professional"), gettext_lazy("Lower supply prices, own domain"), "¥99")),
            (
                "top",
                CardLabel(gettext_lazy("Flagship"), gettext_lazy("Lowest supply prices, settled the same day"), "¥399"),
            ),
        ],
    )
    terms = forms.BooleanField(
        label=gettext_lazy("I have read the terms"), help_text=gettext_lazy("Two pages, in plain words.")
    )
    open_now = forms.BooleanField(
        label=gettext_lazy("Open the shop"),
        required=False,
        help_text=gettext_lazy("Closed, it shows your notice and sells nothing."),
    )
    logo = forms.FileField(
        label=gettext_lazy("Logo"), required=False, help_text=gettext_lazy("PNG or JPEG, up to 1 MB.")
    )


def unbound_form() -> SampleForm:
    """Fields as they are first seen."""
    return SampleForm(
        auto_id="a_%s", initial={"shop_name": "小陈的点卡铺", "markup": "12.50", "open_now": True, "plan": "pro"}
    )


def refused_form() -> SampleForm:
    """Fields as they come back."""
    return SampleForm(
        {"slug": "我的店", "email": "chen@", "markup": "abc", "category": "cars", "shop_name": ""}, auto_id="b_%s"
    )


def navigation() -> list[dict[str, Any]]:
    """The owner's menu, as peers.md has it."""

    def item(label: str, icon: str, **more: Any) -> dict[str, Any]:
        return {"label": label, "url": "#", "icon": icon, "active": False, "badge": "", **more}

    return [
        {"label": "", "items": [item(_("Overview"), "home", active=True, bar=True)]},
        {
            "label": _("Trade"),
            "items": [
                item(_("Goods"), "package", bar=True),
                item(_("Orders"), "receipt", badge="3", bar=True),
                item(_("Members"), "users"),
            ],
        },
        {"label": _("Money"), "items": [item(_("Statement"), "ledger", bar=True), item(_("Withdrawals"), "bank")]},
        {
            "label": _("Shop"),
            "items": [item(_("Shop settings"), "settings"), item(_("Marketing"), "gift"), item(_("Tickets"), "ticket")],
        },
    ]


def rows() -> list[dict[str, Any]]:
    """Listings of a table."""
    return [
        {
            "id": 1,
            "name": "Steam 100 元充值卡",
            "code": "STEAM-CN-100",
            "cost": 962000,
            "price": 1085000,
            "minor": 10850,
            "stock": 1250,
            "state": "ON_SHELF",
            "sold": 318,
        },
        {
            "id": 2,
            "name": LONG_NAME,
            "code": "TX-SVIP-12M",
            "cost": 0,
            "price": 0,
            "minor": 33800,
            "stock": 3,
            "state": "LOW_STOCK",
            "sold": 41,
        },
        {
            "id": 3,
            "name": "移动话费 50 元",
            "code": "CMCC-50",
            "cost": 0,
            "price": 0,
            "minor": 4985,
            "stock": 0,
            "state": "SOLD_OUT",
            "sold": 1204,
        },
        {
            "id": 4,
            "name": "网易云音乐黑胶月卡",
            "code": "NE-VIP-1M",
            "cost": 0,
            "price": 0,
            "minor": 1250,
            "stock": 88,
            "state": "OFF_SHELF",
            "sold": 0,
        },
    ]


def events(now: datetime) -> list[dict[str, Any]]:
    """What happened to an order, newest first."""
    return [
        {
            "at": now - timedelta(seconds=20),
            "by": _("System"),
            "title": _("Code delivered"),
            "text": _("1 code of batch B-0231"),
            "tone": "success",
            "icon": "key",
            "url": "#",
        },
        {
            "at": now - timedelta(minutes=3),
            "by": "alipay",
            "title": _("Payment arrived"),
            "text": "¥108.50",
            "tone": "info",
            "icon": "wallet",
            "url": "",
        },
        {
            "at": now - timedelta(hours=5),
            "by": "chen@example.com",
            "title": _("Price changed"),
            "text": "¥106.00 → ¥108.50",
            "tone": "",
            "icon": "edit",
            "url": "",
        },
        {
            "at": now - timedelta(days=40),
            "by": _("System"),
            "title": _("Order expired"),
            "text": "",
            "tone": "warning",
            "icon": "clock",
            "url": "",
        },
    ]


def context() -> dict[str, Any]:
    """Everything the gallery's page needs."""
    now = clock.utc_now()
    return {
        "nav": navigation(),
        "form": unbound_form(),
        "refused": refused_form(),
        "rows": rows(),
        "goods": rows() * 2,
        "site_nav": [
            {"label": _("Plans"), "url": "#", "active": False},
            {"label": _("How it works"), "url": "#", "active": True},
        ],
        "events": events(now),
        "now": now,
        "long_name": LONG_NAME,
        "hostile": '"><script>alert(1)</script>',
        "crumbs": [{"label": _("Orders"), "url": "#"}, {"label": "ord_8F2K4M", "url": ""}],
        "tabs": [
            {"label": _("All"), "url": "#", "active": True, "count": 312},
            {"label": _("To deliver"), "url": "#", "count": 3},
            {"label": _("Refunds"), "url": "#"},
        ],
        "chips": [
            {"label": _("All"), "url": "#", "active": True},
            {"label": _("Game cards"), "url": "#", "count": 128},
            {"label": _("Video memberships"), "url": "#", "count": 42},
            {"label": _("Phone and data"), "url": "#", "count": 0},
        ],
        "states": ["PAID", "AWAITING_PAYMENT", "DELIVERING", "DELIVERED", "HELD", "FAILED", "EXPIRED"],
        "tones": ["success", "warning", "danger", "info", "neutral", "accent"],
        "page": Paginator(range(312), 20).page(6),
        "spark": [12, 18, 14, 22, 19, 27, 24, 31, 28, 35, 33, 41, 38, 46],
        "parts": [
            {"label": _("Supply cost"), "minor": 9620, "note": _("plan Professional")},
            {"label": _("Platform fee"), "minor": 109, "note": "1%"},
            {"label": _("Channel fee"), "minor": 65, "note": _("Alipay, 0.6%")},
            {"label": _("You earn"), "minor": 1056, "tone": "success", "url": "#"},
        ],
        "stages": [
            {"label": _("Supply price"), "value": "¥96.20", "reason": _("plan Professional")},
            {"label": _("Markup"), "value": "+¥12.51", "reason": _("13% on the category Game cards")},
            {"label": _("Rounding"), "value": "−¥0.21", "reason": _("down to 0.50")},
            {"label": _("Retail price"), "value": "¥108.50"},
        ],
        "steps": [
            {"state": "done", "title": _("Schema made"), "aside": "0.02 s"},
            {"state": "done", "title": _("Accounts opened"), "aside": "0.05 s"},
            {"state": "running", "title": _("Shelves filled"), "text": _("212 of 318 goods")},
            {"state": "pending", "title": _("Shop opened")},
        ],
        "failed_steps": [
            {
                "state": "failed",
                "title": _("Shelves filled"),
                "text": _("The library did not answer. Nothing was kept; try again."),
            }
        ],
        "gone": [_("12 codes that were never sold"), _("their import record")],
        "chart": {
            "xAxis": {"type": "category", "data": [f"11-{day:02d}" for day in range(10, 24)]},
            "yAxis": {"type": "value"},
            "legend": {},
            "series": [
                {"name": _("Orders"), "type": "bar", "data": [12, 18, 14, 22, 19, 27, 24, 31, 28, 35, 33, 41, 38, 46]},
                {
                    "name": _("Earnings"),
                    "type": "line",
                    "smooth": True,
                    "data": [8, 12, 10, 15, 14, 20, 17, 22, 21, 26, 24, 31, 28, 34],
                },
            ],
        },
        "plan_options": [("a", _("Next day")), ("b", _("Same day"))],
        "facts": [
            {"label": _("Order"), "value": "ord_8F2K4M7QX2"},
            {"label": _("Buyer"), "value": "138****2231"},
            {"label": _("Shop"), "value": "小陈的点卡铺", "url": "#"},
        ],
    }
