"""Something to sell, and buyers: the small market that the tests of the money path share."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from kameng.accounts.types import SYSTEM, Actor, ActorKind
from kameng.db.context import in_main, in_substation
from kameng.lib.ids import public_id

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BUYER = Actor(ActorKind.BUYER, "buyer")
CHANNEL = Actor(ActorKind.CHANNEL, "testpay")
CLERK = Actor(ActorKind.USER, "Clerk", 7)
SUPPLY = {"BASIC": Decimal("9.50"), "PRO": Decimal("9.00"), "FLAGSHIP": Decimal("8.50")}
_serial = itertools.count(1)


@dataclass
class Goods:
    """One SKU with stock; `texts` are its codes in the order of selling."""

    sku_id: int
    code: str
    product_id: int
    texts: list[str] = field(default_factory=list)


def make_goods(
    *, codes: int = 0, delivery: str = "CODES", policy: str = "", count: int = 0, supply: dict[str, Decimal] | None = None,
    floor: Decimal | None = None, ceiling: Decimal | None = None, buyer_fields: Sequence[dict[str, Any]] = (),
    suggested: Decimal = Decimal("12.00"), name: str = "Card",
) -> Goods:  # fmt: skip
    """A product with one SKU in the master library, and its stock. Main scope, committed by the caller."""
    from shared_apps.library.models import Category, Product, Sku, SupplyPrice

    number = f"{next(_serial)}{public_id('t')[2:8].lower()}"
    category, _ = Category.objects.get_or_create(slug="cards", defaults={"name_zh": "卡", "name_en": "Cards"})
    product = Product.objects.create(
        slug=f"card-{number}", category=category, kind="CARD_CODE", delivery=delivery, name_zh=f"{name} {number}",
        name_en="", buyer_fields=as_kept(buyer_fields),
    )  # fmt: skip
    sku = Sku.objects.create(
        code=f"SKU-{number}".upper(), product=product, name_zh="10 元", suggested=suggested, floor=floor, ceiling=ceiling,
        stock_policy=policy or ("CODES" if delivery == "CODES" else "UNLIMITED"),
    )  # fmt: skip
    for level, unit in (supply or SUPPLY).items():
        SupplyPrice.objects.create(sku=sku, level=level, unit=unit)
    if count:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO stock_stockcount VALUES (%s, %s, now())", [sku.pk, count])
    goods = Goods(sku.pk, sku.code, product.pk)
    add_codes(goods, codes)
    return goods


def as_kept(buyer_fields: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the library keeps of such fields: every key there."""
    from shared_apps.library import fields

    return fields.buyer_fields([{"label_zh": item["key"], **item} for item in buyer_fields])


def add_codes(goods: Goods, count: int) -> None:
    """Encrypted codes into the stock, in the order of `texts`."""
    from shared_apps.stock import keys
    from shared_apps.stock.models import Code

    ring = keys.ring()
    texts = [f"{goods.code}-{len(goods.texts) + n:04d}" for n in range(count)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('stock_code_position') FROM generate_series(1, %s)", [count])
        positions = [row[0] for row in cursor.fetchall()]
    rows = []
    for text, position in zip(texts, positions, strict=True):
        sealed = ring.encrypt(text, keys.aad(goods.sku_id))
        rows.append(Code(batch_id=1, sku_id=goods.sku_id, position=position, blob=sealed.blob,
                         key_version=sealed.key_version, blind_index=ring.blind_index(text)))  # fmt: skip
    Code.objects.bulk_create(rows)
    goods.texts += texts


def open_books(substation: Any, channel: str = "testpay") -> None:
    """The ledger accounts that a sale of this shop touches. Main scope; safe to repeat."""
    from shared_apps.receipts import services as receipts

    receipts.open_channel(channel)
    with connection.cursor() as cursor:
        for code, kind, owner in (
            ("main:revenue", "INCOME", None), ("main:platform_fee", "INCOME", None),
            (f"substation:{substation.pk}:pending", "LIABILITY", substation.pk),
        ):  # fmt: skip
            cursor.execute("SELECT count(*) FROM ledger_account WHERE code = %s", [code])
            if not cursor.fetchone()[0]:
                cursor.execute("SELECT ledger_open_account(%s, %s, 'CNY', NULL, %s, now())", [code, kind, owner])


def ensure_account(substation_id: int | None = None, ref: str = "") -> Any:
    """A merchant account at the test channel."""
    from shared_apps.receipts import services as receipts

    return receipts.create_account(
        channel="testpay", account_ref=ref or public_id("tp"), name="Test", credentials={"secret": "s3cret"},
        substation_id=substation_id, api_base="http://127.0.0.1:9", by=SYSTEM,
    )  # fmt: skip


def stock_shelves(substation: Any) -> None:
    """Sync the library into the shop, with a markup of 20 percent."""
    from tenant_apps.listings import sync
    from tenant_apps.listings.models import MarkupRule

    sync.ensure_states(substation.pk)
    sync.sync_substation(substation, full=True)
    with in_substation(substation):
        MarkupRule.objects.update_or_create(
            scope="SHOP", target_id=0, defaults={"kind": "PERCENT", "value": Decimal(20), "rounding": "NONE"}
        )


def place(goods: Goods, *, quantity: int = 1, now: datetime = NOW, **changes: Any) -> Any:
    """Place an order in the current shop as a buyer would."""
    from tenant_apps.orders import services as orders

    wanted: dict[str, Any] = {
        "lines": [(goods.sku_id, quantity)], "contact": "ann@example.com", "buyer_fields": {},
        "expected_total_minor": None, "language": "en", "ip": "127.0.0.1", "source": "WEB", "by": BUYER, "now": now,
    }  # fmt: skip
    return orders.place_order(**{**wanted, **changes})


def pay_fact(account: Any, payment_id: str, amount: int, **changes: Any) -> Any:
    """What the channel says of a payment."""
    from shared_apps.receipts.types import Fact

    told: dict[str, Any] = {
        "account_id": account.id, "channel": account.channel, "fact_id": public_id("fact"), "kind": "PAID",
        "amount_minor": amount, "currency": "CNY", "fee_minor": amount * 6 // 1000, "occurred_at": NOW + timedelta(minutes=1),
        "payment_id": payment_id, "channel_ref": f"ref-{payment_id}",
    }  # fmt: skip
    return Fact(**{**told, **changes})


def announce(placed: Any, account: Any, *, now: datetime = NOW) -> str:
    """A payment attempt of the order, as `start_payment` writes it before it calls the channel."""
    from tenant_apps.payments.services import begin_payment

    return str(begin_payment(order_number=placed.number, account_id=account.id, by=BUYER, now=now).public_id)


def legs(reference: str) -> dict[str, int]:
    """Balances by account code of everything the ledger has about one reference."""
    with in_main(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.code, sum(e.amount_minor)::bigint FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id "
            "JOIN ledger_transfer t ON t.id = e.transfer_id WHERE t.reference = %s GROUP BY a.code",
            [reference],
        )
        return dict(cursor.fetchall())


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """Read the shared schema."""
    with in_main(), connection.cursor() as cursor:
        cursor.execute(sql, list(params))
        return list(cursor.fetchall())


def network_counts() -> dict[str, int]:
    """How many rows the money path has written: compared before and after a refusal."""
    tables = ("receipts_receipt", "receipts_paymentcase", "receipts_networkorder", "stock_hold", "ledger_transfer",
              "ledger_entry", "receipts_inboxevent")  # fmt: skip
    return {table: rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def as_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
