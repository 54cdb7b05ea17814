"""A shop with its people at their desks; see `office`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from kameng.db.context import in_main, in_substation
from kameng.lib.ids import public_id
from tests.tenant_apps import market

if TYPE_CHECKING:
    from tests.tenant_apps.panel.office import Office


@pytest.fixture
def make_office(make_shop: Callable[..., Any]) -> Callable[..., Office]:
    """`make_office(codes=3, **goods)`: supply price 9.50, markup 20 %, so that one costs ¥11.40."""
    from kameng.accounts.models import Role, User
    from shared_apps.library.models import Category
    from tests.tenant_apps.panel.office import PASSWORD, Office, move

    def make(*, codes: int = 3, **wishes: Any) -> Office:
        shop = make_shop()
        with in_main():
            market.open_books(shop)
            slug = public_id("c")[2:14].lower()
            category = Category.objects.create(slug=slug, name_zh=f"类 {slug}", name_en=f"Kind {slug}")
            goods = market.make_goods(codes=codes, **wishes)
            move(goods, category.pk)
            account = market.ensure_account(substation_id=shop.pk)
        office = Office(shop, goods, account, category.pk)
        office.sync()
        with in_substation(shop):
            for role in (Role.OWNER, Role.STAFF, Role.VIEWER):
                user = User.objects.filter(role=role).first() or User.objects.create_user(
                    f"{role.lower()}@example.com", None, name=role.title(), role=role
                )
                user.set_password(PASSWORD)
                user.save()
                office.users[role.value] = user.pk
        return office

    return make


@pytest.fixture
def office(make_office: Callable[..., Office]) -> Office:
    return make_office()


@pytest.fixture
def quiet_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms that a test can do sums with: 5 % platform fee of what is left, and a channel of 1 %."""
    from shared_apps.splits.arithmetic import Shares
    from tenant_apps.listings.pricing import Terms
    from tenant_apps.listings.services import _many, _rules, _terms

    def terms(*, now: object) -> Terms:
        return Terms(shares=Shares(platform_bps=500), channel_fees={"testpay": {"bps": 100, "fixed_minor": 0}})

    from tenant_apps.listings import services

    for module in (services, _many, _rules, _terms):
        monkeypatch.setattr(module, "current_terms", terms)
