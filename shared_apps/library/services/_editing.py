"""Write single rows of the library. Each write leaves an audit record and nudges the shops' sync."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.jobs import services as jobs
from kameng.lib import money
from kameng.lib.errors import Invalid, Missing
from kameng.lib.tabular import cells
from kameng.lib.words import Sentence, worded
from shared_apps.library import fields
from shared_apps.library.models import Brand, Category, Product, Sku, SupplyPrice
from shared_apps.library.selectors import descendants
from tenants.states import SupplyLevel

Row = TypeVar("Row", bound=models.Model)
MOST_CHARACTERS = 20_000  # Of any text; the columns that hold fewer say so themselves.


class LibraryInvalid(Invalid):
    """A value that a library row can't have; `field` names it."""

    code = "library_invalid"


class RowUnknown(Missing):
    """No such row."""

    code = "library_row_unknown"


def nudge() -> None:
    """Let the shops fetch what changed when this transaction commits. Wishes that wait already are not doubled."""
    jobs.enqueue(kind="listings.sync_all", payload={}, dedupe="all")


def create_category(*, by: Actor, now: datetime, **values: Any) -> Category:
    """A new category: slug, name_zh, name_en, parent_id, icon, sort, active. Raises: LibraryInvalid."""
    return _save(Category(), values, "library.category.create", by, now)


def update_category(*, category_id: int, by: Actor, now: datetime, **changes: Any) -> Category:
    """Change a category. Closing one closes those below it. Raises: LibraryInvalid, RowUnknown."""
    with transaction.atomic():
        row = _locked(Category, category_id)
        parent = changes.get("parent_id")
        if parent is not None and (parent == row.pk or parent in descendants(row.pk)):
            raise LibraryInvalid(_("A category can't stand below itself."), field="parent_id")
        saved = _save(row, changes, "library.category.update", by, now)
        if changes.get("active") is False:
            Category.objects.filter(pk__in=descendants(row.pk), active=True).update(active=False)
        return saved


def create_brand(*, by: Actor, now: datetime, **values: Any) -> Brand:
    """A new brand: slug, name_zh, name_en, colour. Raises: LibraryInvalid."""
    return _save(Brand(), values, "library.brand.create", by, now)


def update_brand(*, brand_id: int, by: Actor, now: datetime, **changes: Any) -> Brand:
    """Change a brand; the rows of its products in every shop follow. Raises: LibraryInvalid, RowUnknown."""
    with transaction.atomic():
        return _save(_locked(Brand, brand_id), changes, "library.brand.update", by, now)


def create_product(*, by: Actor, now: datetime, **values: Any) -> Product:
    """A new product; `category_id`, `kind` and `delivery` are needed. Raises: LibraryInvalid."""
    return _save(Product(), values, "library.product.create", by, now)


def update_product(*, product_id: int, by: Actor, now: datetime, **changes: Any) -> Product:
    """Change a product; `active` False takes it off every shop's shelf. Raises: LibraryInvalid, RowUnknown."""
    with transaction.atomic():
        return _save(_locked(Product, product_id), changes, "library.product.update", by, now)


def create_sku(*, by: Actor, now: datetime, supply: Mapping[str, Decimal | None] | None = None, **values: Any) -> Sku:
    """A new SKU, with its supply prices by level. Raises: LibraryInvalid."""
    values.setdefault("currency", settings.CURRENCY)
    with transaction.atomic():
        sku = _save(Sku(), values, "library.sku.create", by, now)
        if supply:
            set_supply_prices(sku_id=sku.pk, prices=supply, by=by, now=now)
        return sku


def update_sku(*, sku_id: int, by: Actor, now: datetime, **changes: Any) -> Sku:
    """Change a SKU. Shops whose prices leave the new bounds sell at the bound. Raises: LibraryInvalid, RowUnknown."""
    with transaction.atomic():
        return _save(_locked(Sku, sku_id), changes, "library.sku.update", by, now)


def set_supply_prices(*, sku_id: int, prices: Mapping[str, Decimal | None], by: Actor, now: datetime) -> None:
    """What each plan level pays for a unit; None takes the SKU out of that level's shops.

    Levels that are not named keep theirs. Raises: LibraryInvalid, RowUnknown.
    """
    with transaction.atomic():
        sku = _locked(Sku, sku_id)
        for level, unit in prices.items():
            if level not in SupplyLevel.values:
                raise LibraryInvalid(_("There is no such plan level."), field=f"supply_{level}".lower())
            if unit is None:
                SupplyPrice.objects.filter(sku=sku, level=level).delete()
                continue
            unit = checked_price(unit, f"supply_{level.lower()}")
            # No update_or_create: it writes the row, and stamps it for all shops, also when nothing differs.
            row, made = SupplyPrice.objects.get_or_create(sku=sku, level=level, defaults={"unit": unit})
            if not made and row.unit != unit:
                row.unit = unit
                row.save(update_fields=["unit"])
        told = {level: None if unit is None else str(unit) for level, unit in prices.items()}
        audit.record(action="library.supply.set", by=by, target=sku.code, at=now, prices=told)
        nudge()


def _locked(model: type[Row], pk: int) -> Row:
    manager: Any = model._default_manager
    row: Row | None = manager.select_for_update().filter(pk=pk).first()
    if row is None:
        raise RowUnknown(_("This row of the library does not exist."))
    return row


def _save(row: Row, values: Mapping[str, Any], action: str, by: Actor, now: datetime) -> Row:
    """Check the values as a whole row and save it, with its audit record and the nudge."""
    allowed = fields.EDITABLE[type(row)]
    clean = {name: _cleaned(name, value) for name, value in values.items() if name in allowed}
    unknown = set(values) - set(clean)
    assert not unknown, f"{type(row).__name__} has no {unknown}"
    before = {name: getattr(row, name) for name in clean} if row.pk else {}
    for name, value in clean.items():
        setattr(row, name, value)
    problem = fields.row_problem(row)  # First: of a broken constraint, Django can't say which field it is about.
    if problem is not None:
        raise LibraryInvalid(problem[1], field=problem[0])
    _check(row)
    with transaction.atomic():
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError:  # Two make the same row at once: the other was first, and now the check sees it.
            _check(row)
            raise
        changed = {name: fields.plain(value) for name, value in clean.items() if before.get(name) != value}
        audit.record(action=action, by=by, target=fields.label(row), at=now, changed=changed)
        nudge()
    return row


def _check(row: Row) -> None:
    """Raises: LibraryInvalid."""
    try:
        row.full_clean()
    except ValidationError as error:
        raise _as_invalid(error) from error


def _cleaned(name: str, value: Any) -> Any:
    if name in fields.PRICES and value is not None:
        return checked_price(value, name)
    if name == "code":
        return _by_cell(cells.slug_code(60), value, name)
    if name == "slug":
        return _by_cell(cells.slug(60), value, name)
    if name == "buyer_fields":
        return _by_cell(fields.buyer_fields, value, name)
    if name == "tags":
        return [_text(tag, name) for tag in value]
    return _text(value, name) if isinstance(value, str) else value


def _text(value: str, name: str) -> Any:
    """As an import takes it: what is typed here can be exported and read back."""
    return _by_cell(cells.text(MOST_CHARACTERS, multiline=name in fields.MULTILINE), value, name)


def checked_price(value: Decimal, field: str) -> Decimal:
    """A unit price above zero, at most a million, with four places at most. Raises: LibraryInvalid."""
    try:
        unit = money.parse_unit(str(value))
    except ValueError:
        raise LibraryInvalid(_("A price is a number with at most four places."), field=field) from None
    problem: Sentence | None = None
    if unit <= 0:
        problem = _("A price must be above zero.")
    elif unit > cells.MAX_UNIT_PRICE:
        problem = worded(_("The price is above %(max)s."), max=f"{cells.MAX_UNIT_PRICE:,}")
    if problem is not None:
        raise LibraryInvalid(problem, field=field)
    return unit


def _by_cell(parse: cells.CellParser, value: Any, name: str) -> Any:
    try:
        return parse(value)
    except cells.CellRefused as refusal:
        raise LibraryInvalid(
            worded("%(problem)s %(cure)s", problem=refusal.problem, cure=refusal.cure), field=name
        ) from None


def _as_invalid(error: ValidationError) -> LibraryInvalid:
    """Django's first complaint, as ours."""
    name, messages = next(iter(error.message_dict.items()))
    return LibraryInvalid(messages[0], field="" if name == "__all__" else name)
