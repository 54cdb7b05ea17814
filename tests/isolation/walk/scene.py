"""Two shops that have something of everything. What is Bob's bears marks that stand nowhere else in the database."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, connections
from django.test import Client
from fido2.cose import ES256
from fido2.webauthn import AttestedCredentialData

from kameng.accounts import catalogue, recovery, tokens
from kameng.accounts.models import Passkey, Role, StaffRole, StaffSession, User
from kameng.accounts.tokens import MAIN_SCOPES, SHOP_SCOPES
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation, pointed_at
from kameng.jobs.models import Job
from kameng.lib import clock
from shared_apps.billing import services as billing
from shared_apps.billing.models import ChangeQuote
from shared_apps.billing.states import InvoiceKind
from shared_apps.billing.types import Line
from shared_apps.library import services as library
from shared_apps.receipts import services as receipts
from shared_apps.regions import selectors as regions
from shared_apps.regions import services as region_services
from shared_apps.regions.models import Region
from tenant_apps.finance import sync
from tenant_apps.listings.models import MarkupRule
from tenant_apps.orders import identity
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order, OrderLine
from tenant_apps.payments import services as payments
from tenant_apps.payments.models import Payment
from tenant_apps.shop.models import ShopSettings
from tenants import signup
from tenants.archive import exports
from tenants.models import DomainClaim, Plan, ShopExport, Signup, Substation
from tenants.states import SignupState
from tests.horizon import wait_until_concluded
from tests.tenant_apps import market

BACKEND = "kameng.accounts.backends.EmailBackend"
PASSWORD = "correct horse battery staple"
# Bob's rows are counted from here: an id of his is none of Alice's, whose row of the same number would answer for it.
FIRST_ID = 7_000_000

NO_KEY = ES256({1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)})  # The shape of a public key; it opens nothing.
PRICES = {"alice": Decimal("12345.67"), "bob": Decimal("87654.31")}
# What each pays by terms of its own, for codes of its own SKU and for the one that both sell. No clock shows such seconds.
PRIVATE = {"alice": Decimal("71.1357"), "bob": Decimal("78.8642")}


@dataclass
class Side:
    """One shop and the names of everything in it."""

    shop: Any
    account: Any
    mark: str
    users: dict[str, Any] = field(default_factory=dict)
    token_id: int = 0
    role_id: int = 0
    passkey_id: int = 0
    session_id: int = 0
    secret: str = ""
    orders: dict[str, Any] = field(default_factory=dict)  # "paid", "waiting", "queued", "delivered".
    payments: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    sold: dict[str, market.Goods] = field(default_factory=dict)
    picture: str = ""
    signup: Any = None
    case: str = ""
    event: int = 0
    transfer: str = ""
    job: int = 0
    code_id: int = 0
    invoice: str = ""
    quote: str = ""
    claim: int = 0
    grant: str = ""
    lead: str = ""  # Offered to it, and not answered.
    term: str = ""
    exports: dict[bool, Any] = field(default_factory=dict)  # By whether the owner asked for it, or the main station.
    secret_marks: dict[str, str] = field(default_factory=dict)  # Nobody but the shop's own people may read these.
    public_marks: dict[str, str] = field(default_factory=dict)  # Its storefront says them to everybody.

    @property
    def host(self) -> str:
        return str(self.shop.host)

    def order(self, kind: str) -> Any:
        return self.orders[kind]

    def entry(self) -> str:
        """A fresh pass to set the owner's password."""
        with in_substation(self.shop):
            return recovery.make_pass(User.objects.get(pk=self.users["OWNER"].pk))

    def archive_link(self, *, for_owner: bool) -> str:
        """What opens an archive of this shop at the host where it was asked for."""
        return exports.make_link(self.exports[for_owner], self.host if for_owner else "localhost")

    def mailed(self, number: str) -> str:
        """What this shop would mail to open an order of this number."""
        with pointed_at(self.shop):
            return identity.mailed_token(number)


@dataclass
class Scene:
    """`alice` attacks, `bob` is attacked; `main` are ids of the main station's own things."""

    alice: Side
    bob: Side
    operator: Any
    operator_secret: str
    main: dict[str, Any]
    clerks: dict[
        str, Any
    ]  # Of the main station: who may look at everything ("LOOKS"), and at its plans alone ("SMALL").


def set_up(make_shop: Callable[..., Any]) -> Scene:
    """Everything committed. Marks are made anew each time, so that they stand in no other test's rows."""
    with in_main():
        network = market.ensure_account()
        codes = {name: market.make_goods(codes=8) for name in ("alice", "bob")}
        manual = market.make_goods(delivery="MANUAL")
    alice, bob = (
        _furnish(make_shop(f"walk-{name}-{_word()}", plan=plan), network, {"codes": codes[name], "manual": manual})
        for name, plan in (("alice", "basic"), ("bob", "pro"))
    )
    with in_main():
        Job.objects.filter(kind="listings.sync_all", state="PENDING").delete()  # Both shops have fetched their terms.
        operator = User.objects.create_user(f"{_word()}@station.example", PASSWORD, role=Role.OPERATOR)
        _row, secret = tokens.create(
            user=operator, name="walk", scopes=list(MAIN_SCOPES), by=SYSTEM, now=clock.utc_now()
        )
        small = StaffRole.objects.create(name=f"Role {_word()}", permissions=[catalogue.PLANS_LOOK])
        clerks = {
            name: User.objects.create_user(f"{_word()}@station.example", PASSWORD, role=Role.VIEWER, own_role=own)
            for name, own in (("LOOKS", None), ("SMALL", small))
        }
    return Scene(alice, bob, operator, secret, _main_things(bob, operator), clerks)


def _word() -> str:
    """Ten letters that stand nowhere else."""
    return market.public_id("w")[2:12].lower()


def _furnish(shop: Any, network: Any, goods: dict[str, market.Goods]) -> Side:
    mark = _word()
    if shop.slug.startswith("walk-bob"):
        _count_from(shop.schema_name, FIRST_ID)
    with in_main():
        market.open_books(shop)
        own = market.ensure_account(substation_id=shop.pk, ref=f"acct-{mark}")
    side = Side(shop, own, mark, sold=goods)
    _agree(side)
    market.stock_shelves(shop)
    _dress(side)
    _sell(side, network)
    _remember(side)
    _charge(side)
    _hold_a_city(side)
    _export(side)
    sync.ensure_state(shop.pk)
    sync.sync_statement(shop)
    return side


def _agree(side: Side) -> None:
    """Private terms: a price, and a note that only the main station reads."""
    unit = PRIVATE[side.shop.slug.split("-")[1]]
    with in_main():
        for what in ("codes", "manual"):
            side.term = library.set_private_price(
                substation_id=side.shop.pk, sku_id=side.sold[what].sku_id, unit=unit, note=f"terms-{side.mark}", by=SYSTEM,
                now=clock.utc_now(),
            ).public_id  # fmt: skip
    side.secret_marks |= {"private price": str(unit), "note of the terms": f"terms-{side.mark}"}


def _count_from(schema: str, first: int) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT setval(c.oid::regclass, %s) FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace = %s::regnamespace",
            [first, schema],
        )


def _dress(side: Side) -> None:
    """The shop's face, its people, a price of its own, a picture, a key for its programs."""
    mark = side.mark
    price = PRICES[side.shop.slug.split("-")[1]]
    side.public_marks |= {
        "name": f"Shop {mark}", "notice": f"notice-{mark}", "contact": f"qq-{mark}", "price": f"{price:,}",
    }  # fmt: skip
    side.secret_marks |= {"staff": f"staff-{mark}@example.net", "owner": f"owner-{mark}@example.net"}
    with in_substation(side.shop):
        ShopSettings.objects.update(
            name=side.public_marks["name"], notice=side.public_marks["notice"], about=f"about-{mark}",
            contact_qq=side.public_marks["contact"], contact_email=f"help-{mark}@example.net",
        )  # fmt: skip
        # The third one's address is what an attacker knows and types: what is typed may come back.
        for role in (Role.OWNER, Role.STAFF, Role.VIEWER):
            address = side.secret_marks.get(role.lower(), f"known-{mark}@example.net")
            side.users[role.value] = User.objects.create_user(
                address, PASSWORD, name=f"{role.title()} {mark}", role=role
            )
        row, side.secret = tokens.create(
            user=side.users["OWNER"], name=f"ERP {mark}", scopes=list(SHOP_SCOPES), by=SYSTEM, now=clock.utc_now()
        )
        side.token_id = row.pk
        side.secret_marks["token"] = f"ERP {mark}"
        own = StaffRole.objects.create(name=f"Role {mark}", permissions=["goods.look"])
        side.role_id = own.pk
        side.users["OWN"] = User.objects.create_user(
            f"own-{mark}@example.net", PASSWORD, name=f"Own {mark}", role=Role.VIEWER, own_role=own
        )
        side.secret_marks["role"] = f"Role {mark}"
        staff, now = side.users["VIEWER"], clock.utc_now()
        side.passkey_id = Passkey.objects.create(
            user=staff, name=f"Key {mark}", host=side.host, credential_id=mark.encode(),
            credential=AttestedCredentialData.create(bytes(16), mark.encode(), NO_KEY),  # Its owner visits, too.
        ).pk  # fmt: skip
        side.session_id = StaffSession.objects.create(user=staff, agent=f"Agent {mark}", created_at=now, seen_at=now).pk
        MarkupRule.objects.create(scope="SKU", target_id=side.sold["manual"].sku_id, kind="PRICE", value=price)
    with pointed_at(side.shop):
        saved = default_storage.save(f"shop/{mark}.png", ContentFile(b"\x89PNG\r\n\x1a\n" + mark.encode()))
    side.picture = saved.rpartition("/")[2]


def _sell(side: Side, network: Any) -> None:
    """An order in each state that a page shows differently, and one that was paid twice."""
    buyer, note = f"buyer-{side.mark}@example.net", f"note-{side.mark}"
    now = clock.utc_now()
    goods = {"paid": "codes", "waiting": "codes", "queued": "manual", "delivered": "manual"}
    for kind, what in goods.items():
        with in_substation(side.shop):
            placed = market.place(side.sold[what], contact=buyer, now=now)
            side.orders[kind] = placed
            side.payments[kind] = market.announce(placed, network, now=now)
            side.lines[kind] = OrderLine.objects.get(order__number=placed.number).pk
        if kind != "waiting":
            assert _pays(side, network, kind) == "SALE"
    assert _pays(side, network, "paid") == "CASE"
    with in_substation(side.shop):
        orders.deliver_by_hand(line_id=side.lines["delivered"], note=note, by=market.CLERK, now=now)
        codes = orders.reveal_codes(
            number=side.orders["paid"].number, by=market.BUYER, reason="shown to the buyer", ip="127.0.0.1", now=now
        )
        side.payments = dict(Payment.objects.values_list("order__number", "public_id"))
    side.secret_marks |= {"buyer": buyer, "note": note, "code": codes[0].text}


def _pays(side: Side, network: Any, kind: str) -> str:
    now = clock.utc_now()
    with in_substation(side.shop):
        order = Order.objects.get(number=side.orders[kind].number)
        payment = Payment.objects.get(order=order).public_id
    return payments.take_fact(fact=market.pay_fact(network, payment, order.total_minor, occurred_at=now), now=now)


def _remember(side: Side) -> None:
    """What the main station keeps about the shop."""
    number = side.orders["paid"].number
    [(side.case,)] = market.rows("SELECT public_id FROM receipts_paymentcase WHERE order_number = %s", number)
    [(side.transfer,)] = market.rows(
        "SELECT public_id FROM ledger_transfer WHERE reference = %s AND kind = 'sale'", number
    )
    [(side.code_id,)] = market.rows(
        "SELECT c.id FROM stock_code c JOIN stock_hold h ON h.id = c.hold_id WHERE h.order_number = %s", number
    )
    applied = signup.begin(
        name=f"Shop {side.mark}", slug=f"walk-{side.mark}", plan_code="basic", email=side.secret_marks["owner"],
        password=PASSWORD, owner_name=f"Owner {side.mark}",
    )  # fmt: skip
    side.signup = applied
    with in_main():
        Signup.objects.filter(pk=applied.signup.pk).update(state=SignupState.LIVE, substation=side.shop)
        side.event = receipts.store_event(
            account_id=side.account.id, channel="testpay", event_id=f"evt-{side.mark}", kind="payment.paid",
            payment_id=side.payments[number], channel_ref=f"ref-{side.mark}",
            body=json.dumps({"note": f"event-{side.mark}"}).encode(), headers={}, now=clock.utc_now(),
        ).id  # fmt: skip
        side.job = Job.objects.create(
            kind="orders.mail_delivered", schema_name=side.shop.schema_name, payload={"order_number": number},
            state="FAILED", attempts=12, run_at=clock.utc_now(), last_error=f"trouble-{side.mark}",
        ).pk  # fmt: skip
    side.secret_marks |= {"trouble": f"trouble-{side.mark}", "event": f"event-{side.mark}"}


def _charge(side: Side) -> None:
    """An invoice, a change of plan that was reckoned, a domain that was claimed."""
    now = clock.utc_now()
    with in_main():
        row = Substation.objects.select_related("plan").get(pk=side.shop.pk)
        line = Line("period", f"line-{side.mark}", f"line-{side.mark}", 9900)
        side.invoice = billing.issue(substation=row, kind=InvoiceKind.PERIOD, lines=[line], at=now).number
        side.quote = ChangeQuote.objects.create(
            substation=row, from_plan=row.plan, from_interval="MONTH", to_plan=Plan.objects.get(code="flagship"),
            to_interval="MONTH", at=now, expires_at=now + timedelta(hours=1), currency=row.currency, total_minor=0,
        ).public_id  # fmt: skip
        side.claim = DomainClaim.objects.create(
            substation=row, domain=f"claim-{side.mark}.com", token=f"token-{side.mark}", created_at=now
        ).pk
    side.secret_marks |= {"invoice": side.invoice, "domain": f"claim-{side.mark}.com", "proof": f"token-{side.mark}"}


def _hold_a_city(side: Side) -> None:
    """A city that it holds, somebody of it who waits for an answer, and somebody whom it took."""
    now, contact = clock.utc_now(), f"lead-{side.mark}@example.net"
    with in_main():
        free = Region.objects.filter(level="CITY").exclude(regions.holding(now)).order_by("-code").first()
        assert free is not None
        side.grant = region_services.make_grant(
            region_code=free.code, substation_id=side.shop.pk, starts_at=now, ends_at=now + timedelta(days=30),
            by=SYSTEM, now=now,
        ).public_id  # fmt: skip
        side.lead, taken = (
            region_services.ask(
                name=f"lead {side.mark}", phone="", email=contact, message=f"asks-{side.mark}", region=free.code,
                language="en", now=now,
            ).public_id
            for _ in range(2)
        )  # fmt: skip
        region_services.take(public_id=taken, substation_id=side.shop.pk, by=SYSTEM, now=now)
    side.secret_marks |= {"lead": contact, "question": f"asks-{side.mark}"}


def _export(side: Side) -> None:
    """A written archive: the owner's, and the main station's."""
    now = clock.utc_now()
    for for_owner in (True, False):
        with in_main():
            asked = exports.ask(substation_id=side.shop.pk, by=SYSTEM, now=now, for_owner=for_owner)
        exports.run(public_id=asked.public_id, now=now)
        with in_main():
            side.exports[for_owner] = ShopExport.objects.get(pk=asked.pk)
            assert side.exports[for_owner].state == "DONE"


def _main_things(bob: Side, operator: Any) -> dict[str, Any]:
    """The main station's own things, for the addresses that want one."""
    from shared_apps.ledger.tasks import seal_all
    from shared_apps.library.models import Brand, Sku
    from shared_apps.splits.services import ensure_first_rule
    from shared_apps.stock import services as stock

    ensure_first_rule()
    wait_until_concluded()
    seal_all()
    now = clock.utc_now()
    with in_main():
        counted = market.make_goods(policy="COUNTED", count=4)
        brand = Brand.objects.create(slug=f"brand-{_word()}", name_zh="牌", name_en="Brand")
        role = StaffRole.objects.create(name=f"Role {_word()}", permissions=["stock.look"])
        row, _secret = tokens.create(user=operator, name="ERP", scopes=["stock:read"], by=SYSTEM, now=now)
        sku = Sku.objects.select_related("product").get(pk=bob.sold["codes"].sku_id)
        run = library.start_import(stream=io.BytesIO(b"sku,nonsense\n1,2\n"), filename="w.csv", by=SYSTEM, now=now,
                                   dry_run=True)  # fmt: skip
    batch = stock.import_codes(sku=sku, stream=f"W-{_word()}\n", filename="w.txt", by=SYSTEM, now=now).batch
    with in_main(), connection.cursor() as cursor:
        cursor.execute("SELECT max(height) FROM ledger_block")
        height = cursor.fetchone()[0]
    return {
        "brand": brand.slug, "token": row.pk, "batch": batch, "run": run.public_id, "height": height,
        "counted": counted.code, "sku": sku.code, "product": sku.product.slug,
        "user": operator.pk, "role": role.pk,
    }  # fmt: skip


# -- Who asks.


def browser(host: str, user: Any = None, shop: Any = None) -> Client:
    """A browser at `host`; with `user`, logged in at their own host (`shop`, or the main station), wherever it then goes."""
    client = Client(HTTP_HOST=host, HTTP_ACCEPT_LANGUAGE="en", raise_request_exception=False)
    if user is not None:
        at_home = Client(HTTP_HOST=shop.host if shop is not None else "localhost")
        with in_substation(shop) if shop is not None else in_main():
            at_home.force_login(User.objects.get(pk=user.pk), backend=BACKEND)  # As it is now: the password counts.
        client.cookies["kameng_session"] = at_home.cookies["kameng_session"].value
    return client
