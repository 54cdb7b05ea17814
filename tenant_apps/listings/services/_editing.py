"""The shop's own columns: what is on the shelf, and its own words."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.lib.errors import Invalid, Missing
from kameng.lib.words import worded
from tenant_apps.listings import selectors
from tenant_apps.listings.models import ListedCategory, ListedProduct, Listing
from tenants import limits

MAX_BULK = 200_000
OWN_TEXTS = {"own_name": 120, "own_description": 20_000, "seo_title": 120, "seo_description": 240}


class ListingUnknown(Missing):
    """One of the listings is not in this shop."""

    code = "listing_unknown"


class ProductUnknown(Missing):
    """No such product in this shop."""

    code = "product_unknown"


class TextInvalid(Invalid):
    """An own text that can't be kept; `field` names it."""

    code = "text_invalid"


def set_on_shelf(*, listing_ids: Collection[int], on: bool, by: Actor, now: datetime) -> int:
    """Put SKUs on the shelf or take them off, all or none; answers how many changed.

    Raises: ListingUnknown, LimitReached (the plan has no room for them).
    """
    wanted = set(listing_ids)
    if len(wanted) > MAX_BULK:
        raise Invalid(worded(_("At most %(max)s at once."), max=f"{MAX_BULK:,}"))
    with transaction.atomic():
        known = Listing.objects.filter(pk__in=wanted).count()
        if known != len(wanted):
            raise ListingUnknown(_("Some of these SKUs are not in this shop. Nothing was changed."))
        if on:
            adding = Listing.objects.filter(pk__in=wanted, on_shelf=False, active=True).count()
            limits.claim(limits.Countable.LISTINGS, count=selectors.for_sale_count, adding=adding)
        changed = Listing.objects.filter(pk__in=wanted).exclude(on_shelf=on).update(on_shelf=on)
        if changed:
            named = sorted(wanted)[:100]
            audit.record(action="listings.shelf.set", by=by, at=now, on=on, changed=changed, first=named)
    return changed


def fill_room() -> int:
    """Put as many of the SKUs that wait for it on the shelf as the plan has room for, in the shop's own order, and
    leave the others beside it; answers how many.

    For goods that the library brought: whoever chooses for themselves uses `set_on_shelf`, which takes all or none.
    Race: two runners. The second waits for the substation's row and finds nothing that waits.
    """
    if not Listing.objects.filter(waits_for_room=True).exists():
        return 0
    with transaction.atomic():
        room = limits.room(limits.Countable.LISTINGS, count=selectors.for_sale_count)
        waiting = Listing.objects.filter(waits_for_room=True, active=True)
        rows = list(waiting.values_list("product_id", "sort", "pk"))
        products = ListedProduct.objects.filter(pk__in={product for product, _sort, _pk in rows})
        places = {pk: place for place, pk in enumerate(products.values_list("pk", flat=True))}
        rows.sort(key=lambda row: (places.get(row[0], len(places)), *row[1:]))
        fitting = [pk for _product, _sort, pk in rows[:room]]
        filled: int = Listing.objects.filter(pk__in=fitting).update(on_shelf=True, waits_for_room=False)
        Listing.objects.filter(waits_for_room=True).update(waits_for_room=False)
        return filled


def edit_product(*, product_id: int, by: Actor, now: datetime, **own: Any) -> ListedProduct:
    """Set the shop's own name, description, place and search-engine texts of a product; a blank one goes back to the
    library's. Raises: ProductUnknown, TextInvalid."""
    assert set(own) <= {*OWN_TEXTS, "own_sort"}, own
    clean = {name: _checked(name, value) for name, value in own.items()}
    with transaction.atomic():
        product = ListedProduct.objects.select_for_update().filter(pk=product_id).first()
        if product is None:
            raise ProductUnknown(_("This product is not in the shop."))
        changed = {name: value for name, value in clean.items() if getattr(product, name) != value}
        if changed:
            for name, value in changed.items():
                setattr(product, name, value)
            product.save(update_fields=list(changed))
            audit.record(action="listings.product.edit", by=by, target=product.slug, at=now, changed=changed)
    return product


def hide_category(*, category_id: int, hidden: bool, by: Actor, now: datetime) -> None:
    """Leave a category and all below it out of the shop, or take it in again. Raises: ProductUnknown."""
    with transaction.atomic():
        if not ListedCategory.objects.filter(pk=category_id).update(hidden=hidden):
            raise ProductUnknown(_("This category is not in the shop."))
        audit.record(action="listings.category.hide", by=by, target=str(category_id), at=now, hidden=hidden)


def _checked(name: str, value: Any) -> Any:
    if name == "own_sort":
        if not isinstance(value, int) or abs(value) > 1_000_000:
            raise TextInvalid(_("The place is a whole number between −1,000,000 and 1,000,000."), field=name)
        return value
    text = str(value).strip()
    if len(text) > OWN_TEXTS[name]:
        message = worded(_("The text is too long; the most is %(max)s characters."), max=OWN_TEXTS[name])
        raise TextInvalid(message, field=name)
    if "\x00" in text:
        raise TextInvalid(_("The text has an invisible control character."), field=name)
    return text
