"""Cities that the demonstration's shops hold, and people who asked about one: offered, taken, and nobody's."""

from __future__ import annotations

from datetime import datetime, timedelta

from kameng.accounts.types import Actor, ActorKind
from kameng.db.context import in_main
from shared_apps.regions import selectors, services
from tenants.models import Substation

# Of the shops in their order: what each holds, since how many days and for how many more.
HELD = (("440300", 200, 165), ("441900", 30, 335)), (("330100", 90, 20),)
# City, name, phone, mail, message, asked so many hours ago; whether its holder took it.
ASKED = (
    ("440300", "陈思远", "138 2233 4455", "", "想在南山开一家，主要卖游戏点卡，能带一带吗？", 30, True),
    ("440300", "Grace Ho", "", "grace.ho@example.com", "I sell gift cards offline. How do I move online?", 5, False),
    ("330100", "周敏", "139 8765 4321", "zhoumin@example.com", "公司有企业微信客户群，想做会员权益。", 9, False),
    ("510100", "何川", "136 1111 2222", "", "成都这边还没有代理吗？", 20, False),
)


def load(shops: list[Substation], *, by: Actor, now: datetime) -> None:
    """Give the first shops their cities and let people ask; once, however often it is called."""
    with in_main():
        if selectors.grants().exists():
            return
        for shop, held in zip(shops, HELD, strict=False):
            for code, since, more in held:
                services.make_grant(
                    region_code=code, substation_id=shop.pk, starts_at=now - timedelta(days=since),
                    ends_at=now + timedelta(days=more), by=by, now=now,
                )  # fmt: skip
        for code, name, phone, email, message, hours, taken in ASKED:
            at = now - timedelta(hours=hours)
            row = services.ask(
                name=name, phone=phone, email=email, message=message, region=code, language="zh-hans", now=at
            )
            if taken and row.grant is not None:
                holder = row.grant.substation
                services.take(
                    public_id=row.public_id, substation_id=holder.pk, by=Actor(ActorKind.USER, holder.owner_name),
                    now=at + timedelta(hours=2),
                )  # fmt: skip
