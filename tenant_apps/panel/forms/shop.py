"""The shop's face as its owner edits it."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kameng.lib import clock
from kameng.lib.words import Sentence, worded
from kameng.ui.theme import AccentRefused, parse_hex

CUSTOM = "custom"
SWATCHES: tuple[tuple[str, Sentence], ...] = (
    ("#3451d1", pgettext_lazy("colour", "Indigo")),
    ("#0b6bcb", pgettext_lazy("colour", "Blue")),
    ("#0a7f5a", pgettext_lazy("colour", "Green")),
    ("#0f766e", pgettext_lazy("colour", "Teal")),
    ("#b45309", pgettext_lazy("colour", "Amber")),
    ("#c2410c", pgettext_lazy("colour", "Orange")),
    ("#be123c", pgettext_lazy("colour", "Red")),
    ("#a21caf", pgettext_lazy("colour", "Magenta")),
    ("#8a3ffc", pgettext_lazy("colour", "Violet")),
    ("#334155", pgettext_lazy("colour", "Slate")),
)
COMMON_ZONES: dict[str, Sentence] = {
    "Asia/Shanghai": pgettext_lazy("time zone", "Beijing, Shanghai"),
    "Asia/Hong_Kong": pgettext_lazy("time zone", "Hong Kong"),
    "Asia/Taipei": pgettext_lazy("time zone", "Taipei"),
    "Asia/Singapore": pgettext_lazy("time zone", "Singapore"),
    "Asia/Kuala_Lumpur": pgettext_lazy("time zone", "Kuala Lumpur"),
    "Asia/Tokyo": pgettext_lazy("time zone", "Tokyo"),
    "Europe/London": pgettext_lazy("time zone", "London"),
    "America/New_York": pgettext_lazy("time zone", "New York"),
    "America/Los_Angeles": pgettext_lazy("time zone", "Los Angeles"),
    "UTC": pgettext_lazy("time zone", "World time"),
}


def _zones() -> list[tuple[Any, Any]]:
    now = clock.utc_now()

    def offset(zone: str) -> str:
        shown = now.astimezone(zoneinfo.ZoneInfo(zone)).strftime("%z")
        return f"UTC{shown[:3]}:{shown[3:]}"

    rest = sorted(zoneinfo.available_timezones() - set(COMMON_ZONES))
    named = [
        (zone, worded(_("%(place)s (%(offset)s)"), place=place, offset=offset(zone)))
        for zone, place in COMMON_ZONES.items()
    ]
    return [(_("Often used"), named), (_("All others"), [(zone, zone.replace("_", " ")) for zone in rest])]


class ShopForm(forms.Form):
    """All settings of the shop; the limits are those of its service."""

    name = forms.CharField(
        label=_("Shop name"), max_length=60, error_messages={"required": _("Give your shop a name.")}
    )
    tagline = forms.CharField(
        label=_("Line below the name"), required=False, max_length=120, help_text=_("What you sell, in a few words.")
    )
    logo = forms.FileField(
        label=_("Logo"), required=False, widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp,image/gif"}),
        help_text=_("PNG, JPEG, WebP or GIF, at most 2 MB; square looks best."),
    )  # fmt: skip
    remove_logo = forms.BooleanField(label=_("Show the first letter instead"), required=False)
    accent_choice = forms.ChoiceField(
        label=_("Colour"), choices=[*SWATCHES, (CUSTOM, pgettext_lazy("colour", "Another"))], widget=forms.RadioSelect
    )
    accent = forms.CharField(required=False, max_length=7, widget=forms.TextInput(attrs={"type": "color"}))
    notice = forms.CharField(
        label=_("Notice"), required=False, max_length=2_000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Stands at the top of the shop: delivery times, holidays, rules."),
    )  # fmt: skip
    about = forms.CharField(
        label=_("About the shop"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 5})
    )
    contact_qq = forms.CharField(label="QQ", required=False, max_length=40)
    contact_wechat = forms.CharField(label=pgettext_lazy("contact", "WeChat"), required=False, max_length=40)
    contact_email = forms.EmailField(label=_("Email"), required=False, max_length=254)
    service_hours = forms.CharField(
        label=_("Hours of service"), required=False, max_length=80, help_text=_("For instance: daily 9:00–23:00.")
    )
    language = forms.ChoiceField(label=_("Language of the shop"), choices=settings.LANGUAGES)
    time_zone = forms.ChoiceField(
        label=_("Time zone"), choices=_zones, help_text=_("Days and times of the panel and the statement.")
    )
    open = forms.BooleanField(
        label=_("The shop is open"), required=False,
        help_text=_("Closed, it sells nothing; buyers still see what they have bought."),
    )  # fmt: skip
    seo_title = forms.CharField(
        label=_("Title for search engines"), required=False, max_length=120, help_text=_("Blank: the shop's name.")
    )
    seo_description = forms.CharField(
        label=_("Description for search engines"), required=False, max_length=240,
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": 240}), help_text=_("At most 240 characters."),
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("accent_choice") == CUSTOM:
            try:
                red, green, blue = parse_hex(data.get("accent", ""))
            except AccentRefused as refused:
                self.add_error("accent_choice", str(refused))
            else:
                data["accent"] = f"#{red:02x}{green:02x}{blue:02x}"
        else:
            data["accent"] = data.get("accent_choice", "")
        return data


def start_of(shop: Any) -> dict[str, Any]:
    """What the form shows of a `ShopInfo`."""
    names = [name for name in ShopForm.base_fields if name not in ("logo", "remove_logo", "accent_choice")]
    values = {name: getattr(shop, name) for name in names}
    known = {colour for colour, _name in SWATCHES}
    return {**values, "accent_choice": shop.accent if shop.accent in known else CUSTOM}
