"""What goods are called in the panel: a SKU's own name ("50 元") says nothing without its product's."""

from __future__ import annotations

from collections.abc import Iterable

from tenant_apps.listings.models import ListedProduct, Listing


def product_name(product: ListedProduct) -> str:
    """As the shop calls it, else as the library does."""
    return product.own_name or str(product.name)


def title(product: ListedProduct | None, listing: Listing) -> str:
    """ "Steam wallet · ¥50"; the SKU's name alone where its product is not there yet or has the same name."""
    name = str(listing.name)
    whole = product_name(product) if product else ""
    return name if whole in ("", name) else f"{whole} · {name}"


def titles(listing_ids: Iterable[int]) -> dict[int, str]:
    """Titles by the listing's id, in two statements; unknown ids are left out."""
    found = Listing.objects.in_bulk(set(listing_ids))
    products = ListedProduct.objects.in_bulk({row.product_id for row in found.values()})
    return {pk: title(products.get(row.product_id), row) for pk, row in found.items()}


def picture_url(name: str) -> str:
    """The address of a library picture on this host, or empty."""
    return f"/files/library/{name}" if name else ""
