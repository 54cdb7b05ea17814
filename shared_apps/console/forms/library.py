"""Categories, brands, products, SKUs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kameng.lib import money
from shared_apps.console.forms.fields import UnitField
from shared_apps.console.lists import Filters, any_of
from shared_apps.library import selectors as library
from shared_apps.library.models import Delivery, Kind, Sku, StockPolicy
from tenants.states import SupplyLevel

FORM_ID = "product-form"
INDENT = "\u3000"
FIELD_KINDS = [("text", _("Text")), ("phone", _("Phone number")), ("email", _("Mail address")), ("choice", _("Choice"))]
_PARTS = re.compile(r"[;；,，\n]+")
SLUG_HELP = _("Small letters, digits and hyphens; it stands in addresses.")


def category_choices(without: int | None = None) -> list[tuple[int, str]]:
    """All categories, indented by their depth."""
    return [
        (node.category.pk, f"{INDENT * node.depth}{node.category.name}")
        for node in library.category_tree()
        if node.category.pk != without
    ]


def parted(text: str) -> list[str]:
    """A list as typed: parted by commas, semicolons or lines, without repeats."""
    return list(dict.fromkeys(part.strip() for part in _PARTS.split(text) if part.strip()))


class ProductFilters(Filters):
    q = forms.CharField(required=False)
    category = forms.TypedChoiceField(label=_("Category"), required=False, coerce=int, empty_value=None)
    brand = forms.TypedChoiceField(label=_("Brand"), required=False, coerce=int, empty_value=None)
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=any_of(Kind.choices))
    state = forms.ChoiceField(
        label=_("State"), required=False, choices=any_of([("on", _("Supplied")), ("off", _("Not supplied"))])
    )
    q_hint = _("Name, brand, address…")
    chip_field = "state"

    def __init__(self, data: QueryDict, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        category: Any = self.fields["category"]
        category.choices = any_of(category_choices())
        brand: Any = self.fields["brand"]
        brand.choices = any_of([(brand.pk, brand.name) for brand in library.brands().order_by("slug")])


class PlainSearch(Filters):
    q = forms.CharField(required=False)
    q_hint = _("Search…")


class CategoryForm(forms.Form):
    name_zh = forms.CharField(label=_("Name (Chinese)"), max_length=120)
    name_en = forms.CharField(label=_("Name (English)"), max_length=120, required=False)
    slug = forms.CharField(label=_("Address"), max_length=60, help_text=SLUG_HELP)
    parent_id = forms.TypedChoiceField(label=_("Below"), required=False, coerce=int, empty_value=None)
    icon = forms.CharField(label=_("Icon"), max_length=40, required=False, help_text=_("Its name in the gallery."))
    sort = forms.IntegerField(label=_("Position"), initial=0, help_text=_("Smaller comes first."))
    active = forms.BooleanField(
        label=_("Shown in the shops"), required=False, initial=True,
        help_text=_("Switched off, it takes those below it along."),
    )  # fmt: skip

    def __init__(self, *args: Any, without: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        parent: Any = self.fields["parent_id"]
        parent.choices = any_of(category_choices(without), _("The top"))


class BrandForm(forms.Form):
    name_zh = forms.CharField(label=_("Name (Chinese)"), max_length=120)
    name_en = forms.CharField(label=_("Name (English)"), max_length=120, required=False)
    slug = forms.CharField(label=_("Address"), max_length=60, help_text=SLUG_HELP)
    colour = forms.CharField(label=_("Colour"), max_length=7, required=False, help_text=_("Like #1A2B3C."))


class ProductForm(forms.Form):
    name_zh = forms.CharField(label=_("Name (Chinese)"), max_length=120)
    name_en = forms.CharField(label=_("Name (English)"), max_length=120, required=False)
    slug = forms.CharField(label=_("Address"), max_length=80, help_text=SLUG_HELP)
    category_id = forms.TypedChoiceField(label=_("Category"), coerce=int)
    brand_id = forms.TypedChoiceField(label=_("Brand"), required=False, coerce=int, empty_value=None)
    kind = forms.ChoiceField(label=_("Kind"), choices=Kind.choices)
    delivery = forms.ChoiceField(label=_("Delivery"), choices=Delivery.choices)
    summary_zh = forms.CharField(label=_("In a sentence (Chinese)"), max_length=240, required=False)
    summary_en = forms.CharField(label=_("In a sentence (English)"), max_length=240, required=False)
    description_zh = forms.CharField(label=_("Description (Chinese)"), required=False, widget=forms.Textarea)
    description_en = forms.CharField(label=_("Description (English)"), required=False, widget=forms.Textarea)
    usage_zh = forms.CharField(label=_("How to use it (Chinese)"), required=False, widget=forms.Textarea)
    usage_en = forms.CharField(label=_("How to use it (English)"), required=False, widget=forms.Textarea)
    tags = forms.CharField(label=_("Tags"), required=False, help_text=_("Parted by commas."))
    sort = forms.IntegerField(label=_("Position"), initial=0, help_text=_("Smaller comes first."))
    active = forms.BooleanField(
        label=_("Supplied to the shops"), required=False, initial=True,
        help_text=_("Switched off, it leaves every shop's shelf within seconds."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        category: Any = self.fields["category_id"]
        category.choices = category_choices()
        brand: Any = self.fields["brand_id"]
        brand.choices = any_of([(row.pk, row.name) for row in library.brands().order_by("slug")], _("None"))

    def clean_tags(self) -> list[str]:
        return parted(self.cleaned_data["tags"])


class BuyerFieldForm(forms.Form):
    """One thing that the buyer must fill in; an empty row is left out."""

    key = forms.CharField(label=_("Key"), max_length=30, required=False)
    label_zh = forms.CharField(label=_("Label (Chinese)"), max_length=60, required=False)
    label_en = forms.CharField(label=_("Label (English)"), max_length=60, required=False)
    kind = forms.ChoiceField(label=_("Kind"), choices=FIELD_KINDS, required=False)
    required = forms.BooleanField(label=_("Required"), required=False, initial=True)
    choices = forms.CharField(label=_("Choices"), required=False)

    @property
    def asked(self) -> dict[str, Any] | None:
        """As the library keeps it, or None for an empty row."""
        data = self.cleaned_data
        if not any(data.get(name) for name in ("key", "label_zh", "label_en", "choices")):
            return None
        return {**data, "kind": data["kind"] or "text", "choices": parted(data["choices"])}


BuyerFields = forms.formset_factory(BuyerFieldForm, extra=1, max_num=10, validate_max=True)


def buyer_fields_initial(fields: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the library keeps, as the form's rows."""
    rows = []
    for field in fields:
        choices = [str(one.get("label_zh", "")) if isinstance(one, dict) else str(one) for one in field["choices"]]
        rows.append({**field, "choices": "; ".join(choices)})
    return rows


class PricesForm(forms.Form):
    """The prices of one SKU in its product's table; empty supply prices take it out of that level's shops."""

    supply_basic = UnitField(label=_("Basic"), required=False)
    supply_pro = UnitField(label=_("Professional"), required=False)
    supply_flagship = UnitField(label=_("Flagship"), required=False)
    floor = UnitField(label=_("Floor"), required=False)
    suggested = UnitField(label=_("Suggested"))
    ceiling = UnitField(label=_("Ceiling"), required=False)
    active = forms.BooleanField(label=_("Supplied"), required=False)

    def __init__(self, data: QueryDict | None, *, sku: Sku) -> None:
        self.sku = sku
        supply = {f"supply_{price.level.lower()}": price.unit for price in sku.supply_prices.all()}
        initial = {
            **{name: supply.get(name) for name in ("supply_basic", "supply_pro", "supply_flagship")},
            "floor": sku.floor, "suggested": sku.suggested, "ceiling": sku.ceiling, "active": sku.active,
        }  # fmt: skip
        super().__init__(data, prefix=f"sku{sku.pk}", initial=initial)
        for name, field in self.fields.items():
            if name != "active":
                field.widget.attrs["class"] = "k-input k-num"
            else:
                field.widget.attrs["class"] = "k-check"
            # The table stands outside the form's element, which is too narrow for it.
            field.widget.attrs.update({"form": FORM_ID, "aria-label": f"{sku.code} {field.label}"})

    @property
    def prices(self) -> list[Any]:
        return [self[name] for name in self.fields if name != "active"]

    def changed(self, *, supply: bool) -> dict[str, Any]:
        """What differs from what is stored: supply prices by level, or the SKU's own fields."""
        names = [name for name in self.changed_data if name.startswith("supply_") == supply]
        if supply:
            return {name.removeprefix("supply_").upper(): self.cleaned_data[name] for name in names}
        return {name: self.cleaned_data[name] for name in names}


class SkuForm(forms.Form):
    code = forms.CharField(
        label=pgettext_lazy("identifier", "Code"), max_length=60, help_text=_("Capital letters, digits and hyphens.")
    )
    name_zh = forms.CharField(
        label=_("Name (Chinese)"), max_length=120, help_text=_("What sets it apart: a face value, a length, a size.")
    )
    name_en = forms.CharField(label=_("Name (English)"), max_length=120, required=False)
    face_value = UnitField(label=_("Face value"), required=False)
    currency = forms.ChoiceField(label=_("Currency"), choices=[(code, code) for code in money.EXPONENTS])
    stock_policy = forms.ChoiceField(label=_("Stock"), choices=StockPolicy.choices)
    low_stock_at = forms.IntegerField(
        label=_("Low at"), min_value=0, initial=10, help_text=_("At so many or fewer it is shown as low.")
    )
    supply_basic = UnitField(label=_("Supply price, Basic"), required=False)
    supply_pro = UnitField(label=_("Supply price, Professional"), required=False)
    supply_flagship = UnitField(label=_("Supply price, Flagship"), required=False)
    floor = UnitField(label=_("Floor"), required=False, help_text=_("No shop may sell for less."))
    suggested = UnitField(label=_("Suggested price"))
    ceiling = UnitField(label=_("Ceiling"), required=False, help_text=_("No shop may sell for more."))
    sort = forms.IntegerField(label=_("Position"), initial=0)
    active = forms.BooleanField(label=_("Supplied to the shops"), required=False, initial=True)

    @property
    def supply(self) -> dict[str, Any]:
        return {level: self.cleaned_data[f"supply_{level.lower()}"] for level in SupplyLevel.values}

    @property
    def own(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if not name.startswith("supply_")}


class PictureForm(forms.Form):
    picture = forms.FileField(label=_("Picture"), help_text=_("PNG, JPEG or WebP, up to 10 MB."))
