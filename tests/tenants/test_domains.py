"""A shop's own domains: proved by the records that stand, held against everybody, let go when the records are gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client, RequestFactory, override_settings

from kameng.accounts.models import AuditRecord
from kameng.accounts.types import SYSTEM
from kameng.db.context import MAIN, in_main, pointed_at
from kameng.jobs import services as jobs
from kameng.lib.ids import public_id
from kameng.web import counting
from tenants import _proofs, closing, dns, domains, hosts, lifecycle, limits, names, services, tls
from tenants.models import Domain, DomainClaim, Plan, Substation
from tenants.states import SubstationEvent
from tests.fakes.dns import NameServer
from tests.tenant_apps.racing import Runner, all_at_once

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
INGRESS = "198.51.100.10"


@pytest.fixture
def name() -> str:
    return f"shop.{public_id('d')[2:12].lower()}-cards.com"


def add(shop: Any, name: str, now: datetime = NOW) -> DomainClaim:
    with in_main():
        return domains.add(substation_id=shop.pk, domain=name, by=SYSTEM, now=now)


def check(claim: DomainClaim, now: datetime = NOW) -> DomainClaim:
    return domains.check(claim_id=claim.pk, by=SYSTEM, now=now)


def set_records(server: NameServer, claim: DomainClaim, shop: Any) -> None:
    server.zone[f"_kameng-challenge.{claim.domain}", "TXT"] = [claim.token]
    server.zone[claim.domain, "CNAME"] = [shop.host]


def held(name: str) -> list[int]:
    with in_main():
        return list(Domain.objects.filter(domain=name).values_list("tenant_id", flat=True))


def put_on_plan(shop: Any, **switches: bool) -> None:
    """As the main station does it: nothing that is in use stands in its way."""
    with in_main():
        plan = Plan.objects.create(
            code=public_id("p")[2:12].lower(), name_zh="-", name_en="-", supply_level="BASIC", active=False, **switches
        )
        services.change_plan(
            public_id=Substation.objects.get(pk=shop.pk).public_id, plan_code=plan.code, by=SYSTEM, now=NOW
        )


def state(claim: DomainClaim) -> str:
    with in_main():
        return str(DomainClaim.objects.get(pk=claim.pk).state)


def served(name: str) -> int:
    """The shop that a visitor of the name comes to, as the cache knows it."""
    found = hosts.substation_for(name)
    assert found is not None
    return found.id


def page(host: str, path: str = "/") -> int:
    return Client(HTTP_HOST=host).get(path).status_code


class TestProof:
    def test_both_records_connect_it(self, outside: NameServer, fresh_shop: Any, name: str) -> None:
        claim = add(fresh_shop, name)
        assert page(name) == 404
        assert check(claim).problem == "txt_missing"
        set_records(outside, claim, fresh_shop)

        proved = check(claim)

        assert (proved.state, proved.problem) == ("VERIFIED", "")
        assert held(name) == [fresh_shop.pk]
        assert page(name) == 200
        assert Client(HTTP_HOST=fresh_shop.host).get("/").status_code == 200

    def test_a_registered_name_leads_here_by_our_addresses(
        self, outside: NameServer, fresh_shop: Any, name: str
    ) -> None:
        apex = name.removeprefix("shop.")
        claim = add(fresh_shop, apex)
        assert [(record.kind, record.value) for record in domains.records(claim)][1:] == [
            ("A", INGRESS), ("AAAA", "2001:db8::10"),
        ]  # fmt: skip
        outside.zone[f"_kameng-challenge.{apex}", "TXT"] = ["v=spf1 -all", claim.token]
        outside.zone[apex, "A"] = [INGRESS]

        assert check(claim).state == "VERIFIED"

    @pytest.mark.parametrize(
        ("records", "problem", "found"),
        [
            ({}, "txt_missing", ""),
            ({("_kameng-challenge.{n}", "TXT"): ["kameng-other"]}, "txt_other", "kameng-other"),
            ({("_kameng-challenge.{n}", "TXT"): ["{t}"]}, "not_here", ""),
            ({("_kameng-challenge.{n}", "TXT"): ["{t}"], ("{n}", "A"): ["203.0.113.9"]}, "elsewhere", "203.0.113.9"),
            (
                {("_kameng-challenge.{n}", "TXT"): ["{t}"], ("{n}", "A"): [INGRESS, "203.0.113.9"]}, "elsewhere",
                f"{INGRESS}, 203.0.113.9",
            ),
            ({("_kameng-challenge.{n}", "TXT"): ["{t}"], ("{n}", "CNAME"): ["bob.localhost"]}, "other_shop", "bob.localhost"),
            ({("{n}", "CNAME"): ["{h}"]}, "txt_missing", ""),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named_with_what_stands_there(
        self, outside: NameServer, fresh_shop: Any, name: str, records: Any, problem: str, found: str
    ) -> None:
        claim = add(fresh_shop, name)
        for (where, kind), values in records.items():
            filled = [value.format(t=claim.token, h=fresh_shop.host) for value in values]
            outside.zone[where.format(n=name), kind] = filled

        checked = check(claim)

        assert (checked.state, checked.problem, checked.found) == ("WAITING", problem, found)
        assert domains.PROBLEMS[problem]
        assert held(name) == []
        assert page(name) == 404

    def test_a_chain_of_aliases_may_lead_here(self, outside: NameServer, fresh_shop: Any, name: str) -> None:
        claim = add(fresh_shop, name)
        outside.zone[f"_kameng-challenge.{name}", "TXT"] = [claim.token]
        outside.zone[name, "CNAME"] = ["edge.cdn-cards.com"]
        outside.zone["edge.cdn-cards.com", "CNAME"] = [fresh_shop.host]

        assert check(claim).state == "VERIFIED"

    def test_name_servers_that_are_away_say_nothing(self, outside: NameServer, fresh_shop: Any, name: str) -> None:
        claim = add(fresh_shop, name)
        set_records(outside, claim, fresh_shop)
        check(claim)
        outside.broken = True

        for day in range(1, 8):
            checked = check(claim, NOW + day * DAY)

        assert (checked.state, checked.problem) == ("VERIFIED", "away")
        assert page(name) == 200

    def test_no_more_than_so_many(self, outside: NameServer, fresh_shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(domains, "MAX_CLAIMS", 1)
        add(fresh_shop, "one.example.org")

        with pytest.raises(domains.TooManyDomains, match="has 1 domains of its own at most"):
            add(fresh_shop, "two.example.org")
        with in_main():
            assert DomainClaim.objects.filter(substation=fresh_shop).count() == 1

    def test_none_that_could_lead_nowhere(self, outside: NameServer, fresh_shop: Any, name: str) -> None:
        """A domain itself takes no CNAME, and this main station names no address."""
        apex = name.partition(".")[2] if name.count(".") > 1 else name
        with override_settings(INGRESS_ADDRESSES=[]):
            with pytest.raises(names.DomainRefused, match=rf"Use www\.{re.escape(apex)}") as refused:
                add(fresh_shop, apex)
            assert refused.value.field == "domain"
            assert add(fresh_shop, f"www.{apex}").domain == f"www.{apex}"

    def test_none_on_a_plan_without_them(self, outside: NameServer, fresh_shop: Any, name: str) -> None:
        put_on_plan(fresh_shop, own_domain_allowed=False)

        with pytest.raises(limits.NotInPlan, match="no domain of its own") as refused:
            add(fresh_shop, name)

        assert refused.value.field == "domain"
        with in_main():
            assert not DomainClaim.objects.filter(substation=fresh_shop).exists()

    def test_not_twice_in_one_shop_and_not_in_one_that_closes(
        self, outside: NameServer, fresh_shop: Any, name: str
    ) -> None:
        add(fresh_shop, name)
        with pytest.raises(domains.DomainTaken):
            add(fresh_shop, name.upper())
        with in_main():
            lifecycle.move(substation_id=fresh_shop.pk, event=SubstationEvent.BEGIN_CLOSING, by=SYSTEM, now=NOW)
        with pytest.raises(domains.ShopNotOpen):
            add(fresh_shop, f"b{name}")


class TestTakeover:
    def test_the_record_that_a_former_owner_left_proves_nothing_to_another_shop(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        ann, eve = make_shop(), make_shop()
        hers = add(ann, name)
        set_records(outside, hers, ann)
        check(hers)
        with in_main():
            domains.remove(substation_id=ann.pk, claim_id=hers.pk, by=SYSTEM, now=NOW)

        eves = add(eve, name)
        checked = check(eves)  # Ann's TXT and CNAME still stand.

        assert eves.token != hers.token
        assert (checked.state, checked.problem) == ("WAITING", "txt_other")
        assert held(name) == []
        assert page(name) == 404

    def test_a_shop_that_takes_its_own_name_again_sets_a_new_record(
        self, outside: NameServer, fresh_shop: Any, name: str
    ) -> None:
        first = add(fresh_shop, name)
        set_records(outside, first, fresh_shop)
        check(first)
        with in_main():
            domains.remove(substation_id=fresh_shop.pk, claim_id=first.pk, by=SYSTEM, now=NOW)

        assert check(add(fresh_shop, name)).problem == "txt_other"
        assert held(name) == []

    def test_what_one_shop_holds_no_other_proves(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        ann, eve = make_shop(), make_shop()
        hers = add(ann, name)
        set_records(outside, hers, ann)
        check(hers)
        eves = add(eve, name)
        outside.zone[f"_kameng-challenge.{name}", "TXT"].append(eves.token)
        outside.zone[name, "CNAME"] = [eve.host]

        checked = check(eves)

        assert (checked.state, checked.problem) == ("WAITING", "held")
        assert held(name) == [ann.pk]

    def test_a_name_that_changed_hands_serves_its_new_owner_at_once(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        ann, new = make_shop(), make_shop()
        hers = add(ann, name)
        set_records(outside, hers, ann)
        check(hers)
        with in_main():
            domains.make_primary(substation_id=ann.pk, claim_id=hers.pk, sends_on=True, by=SYSTEM, now=NOW)
        assert served(name) == ann.pk
        theirs = add(new, name)
        set_records(outside, theirs, new)
        mail.outbox.clear()

        assert check(theirs, NOW + DAY).state == "VERIFIED"

        assert (held(name), served(name)) == ([new.pk], new.pk)
        with in_main():
            lost = DomainClaim.objects.get(pk=hers.pk)
            assert (lost.state, lost.problem, lost.checked_at) == ("LOST", "handed_over", NOW + DAY)
            assert domains.records(lost)[0].done is False
            assert Substation.objects.get(pk=ann.pk).sends_on is False
            told = AuditRecord.objects.get(target=ann.public_id, action="tenants.domain.lost")
            assert told.details == {"domain": name, "reason": "handed_over"}
            assert AuditRecord.objects.filter(target=new.public_id, action="tenants.domain.verified").count() == 1
        assert hosts.substation_for(ann.host).primary == ""  # type: ignore[union-attr]
        jobs.run_all_due()
        assert [(sent.to, sent.subject) for sent in mail.outbox] == [
            ([ann.owner_email], f"{name} 已从 {ann.name} 解绑")
        ]
        assert "另一家店铺已证明" in mail.outbox[0].body and new.name not in mail.outbox[0].body

    def test_nobody_loses_a_name_to_name_servers_that_fail(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        ann, new = make_shop(), make_shop()
        hers = add(ann, name)
        set_records(outside, hers, ann)
        check(hers)
        theirs = add(new, name)
        set_records(outside, theirs, new)
        outside.broken = True

        assert check(theirs, NOW + DAY).problem == "away"

        assert (held(name), state(hers)) == ([ann.pk], "VERIFIED")

    def test_while_the_holder_s_token_stands_its_grace_runs(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        ann, new = make_shop(), make_shop()
        hers = add(ann, name)
        set_records(outside, hers, ann)
        check(hers)
        theirs = add(new, name)
        outside.zone[f"_kameng-challenge.{name}", "TXT"].append(theirs.token)
        outside.zone[name, "CNAME"] = [new.host]

        assert check(theirs, NOW + DAY).problem == "held"
        assert state(hers) == "FAILING"  # Asked about at once, not tomorrow.
        assert check(theirs, NOW + 3 * DAY).problem == "held"
        check(theirs, NOW + 4 * DAY)
        assert check(theirs, NOW + 4 * DAY).state == "VERIFIED"

        assert (held(name), state(hers)) == ([new.pk], "LOST")

    def test_a_name_that_is_held_without_a_claim_is_not_handed_over(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        """Whoever put it there said by no record that it is theirs, so that no record's absence says that it is not."""
        ann, new = make_shop(), make_shop()
        with in_main():
            Domain.objects.create(domain=name, tenant_id=ann.pk, is_primary=False, verified_at=NOW)
        theirs = add(new, name)
        set_records(outside, theirs, new)

        assert check(theirs).problem == "held"
        assert held(name) == [ann.pk]

    def test_a_claim_keeps_nobody_out(self, outside: NameServer, make_shop: Callable[..., Any], name: str) -> None:
        squatter, owner = make_shop(), make_shop()
        add(squatter, name)
        claim = add(owner, name)
        set_records(outside, claim, owner)

        assert check(claim).state == "VERIFIED"


class TestRaces:
    def test_two_shops_that_prove_one_name_at_once_one_gets_it(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        shops = [make_shop(), make_shop()]
        claims = [add(shop, name) for shop in shops]
        outside.zone[f"_kameng-challenge.{name}", "TXT"] = [claim.token for claim in claims]
        outside.zone[name, "A"] = [INGRESS]

        answers = all_at_once([lambda claim=claim: check(claim) for claim in claims])

        assert sorted((claim.state, claim.problem) for claim in answers) == [("VERIFIED", ""), ("WAITING", "held")]
        winner = next(claim for claim in answers if claim.state == "VERIFIED")
        assert held(name) == [winner.substation_id]

    def test_the_second_waits_for_the_first_s_commit_at_the_unique_key(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        ann, eve = make_shop(), make_shop()
        eves = add(eve, name)
        outside.zone[f"_kameng-challenge.{name}", "TXT"] = [eves.token]
        outside.zone[name, "A"] = [INGRESS]
        with in_main():
            Domain.objects.create(domain=name, tenant_id=ann.pk, is_primary=False, verified_at=NOW)
            second = Runner(lambda: check(eves))
            second.wait_until_blocked()

        assert second.result().problem == "held"
        assert held(name) == [ann.pk]

    def test_two_that_prove_at_once_what_a_third_holds_no_more_one_gets_it(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        former, *shops = make_shop(), make_shop(), make_shop()
        theirs = add(former, name)
        set_records(outside, theirs, former)
        check(theirs)
        claims = [add(shop, name) for shop in shops]
        outside.zone[f"_kameng-challenge.{name}", "TXT"] = [claim.token for claim in claims]
        del outside.zone[name, "CNAME"]
        outside.zone[name, "A"] = [INGRESS]

        answers = all_at_once([lambda claim=claim: check(claim, NOW + DAY) for claim in claims])

        assert sorted((claim.state, claim.problem) for claim in answers) == [("VERIFIED", ""), ("WAITING", "held")]
        winner = next(claim for claim in answers if claim.state == "VERIFIED")
        assert (held(name), state(theirs)) == ([winner.substation_id], "LOST")

    def test_two_shops_that_take_a_name_from_each_other_follow_one_another(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        shops = [make_shop(), make_shop()]
        taken = []
        for shop, other, one in ((*shops, f"a.{name}"), (*reversed(shops), f"b.{name}")):
            former, claim = add(other, one), add(shop, one)
            set_records(outside, former, other)
            check(former)
            set_records(outside, claim, shop)
            taken.append(claim)

        answers = all_at_once([lambda claim=claim: check(claim, NOW + DAY) for claim in taken])

        assert [claim.state for claim in answers] == ["VERIFIED", "VERIFIED"]
        assert [held(claim.domain) for claim in taken] == [[shop.pk] for shop in shops]

    def test_a_holder_that_sets_its_record_again_meanwhile_keeps_the_name(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its check came after the answers by which it would lose the name."""
        ann, new = make_shop(), make_shop()
        hers = add(ann, name)
        set_records(outside, hers, ann)
        check(hers)
        theirs = add(new, name)
        set_records(outside, theirs, new)
        asked = dns.look_up

        def slow(domain: str, challenge: str) -> Any:
            answers = asked(domain, challenge)
            monkeypatch.setattr(dns, "look_up", asked)
            set_records(outside, hers, ann)
            check(hers, NOW + DAY)
            return answers

        monkeypatch.setattr(dns, "look_up", slow)

        assert check(theirs, NOW + DAY).problem == "held"
        assert (held(name), state(hers)) == ([ann.pk], "VERIFIED")

    def test_a_former_holder_s_old_answers_do_not_take_it_back(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann, new = make_shop(), make_shop()
        hers = add(ann, name)
        set_records(outside, hers, ann)
        check(hers)
        theirs = add(new, name)
        asked = dns.look_up

        def slow(domain: str, challenge: str) -> Any:
            answers = asked(domain, challenge)
            monkeypatch.setattr(dns, "look_up", asked)
            set_records(outside, theirs, new)
            check(theirs, NOW + DAY)
            return answers

        monkeypatch.setattr(dns, "look_up", slow)

        assert check(hers, NOW + DAY).state == "LOST"
        assert (held(name), state(theirs)) == ([new.pk], "VERIFIED")

    def test_who_takes_a_name_waits_for_its_holder_who_gives_it_up(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str
    ) -> None:
        ann, new = make_shop(), make_shop()
        hers = add(ann, name)
        set_records(outside, hers, ann)
        check(hers)
        with in_main():
            domains.make_primary(substation_id=ann.pk, claim_id=hers.pk, sends_on=True, by=SYSTEM, now=NOW)
        theirs = add(new, name)
        set_records(outside, theirs, new)
        with in_main():
            lifecycle.locked(ann.pk)
            second = Runner(lambda: check(theirs, NOW + DAY))
            second.wait_until_blocked()
            domains.remove(substation_id=ann.pk, claim_id=hers.pk, by=SYSTEM, now=NOW)

        assert second.result().state == "VERIFIED"
        assert held(name) == [new.pk]
        with in_main():
            assert not AuditRecord.objects.filter(target=ann.public_id, action="tenants.domain.lost").exists()

    def test_nothing_is_lost_when_the_new_owner_s_part_fails(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann, new = make_shop(), make_shop()
        hers = add(ann, name)
        set_records(outside, hers, ann)
        check(hers)
        theirs = add(new, name)
        set_records(outside, theirs, new)
        recorded = _proofs.audit.record

        def failing(*, action: str, **more: Any) -> None:
            if action == "tenants.domain.verified":
                raise RuntimeError("the disk is full")
            recorded(action=action, **more)

        monkeypatch.setattr(_proofs.audit, "record", failing)
        with pytest.raises(RuntimeError, match="disk is full"):
            check(theirs, NOW + DAY)

        assert (held(name), state(hers), state(theirs)) == ([ann.pk], "VERIFIED", "WAITING")

    def test_a_claim_that_is_removed_while_dns_answers_is_not_connected(
        self, outside: NameServer, fresh_shop: Any, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        claim = add(fresh_shop, name)
        set_records(outside, claim, fresh_shop)
        asked = dns.look_up

        def slow(domain: str, challenge: str) -> Any:
            answers = asked(domain, challenge)
            with in_main():
                domains.remove(substation_id=fresh_shop.pk, claim_id=claim.pk, by=SYSTEM, now=NOW)
            add(fresh_shop, name)  # Another token.
            return answers

        monkeypatch.setattr(dns, "look_up", slow)
        with pytest.raises(domains.DomainUnknown):
            check(claim)

        assert held(name) == []


class TestDaily:
    def test_gone_records_are_told_given_three_days_and_then_it_is_taken_off(
        self, outside: NameServer, fresh_shop: Any, name: str
    ) -> None:
        claim = add(fresh_shop, name)
        set_records(outside, claim, fresh_shop)
        check(claim)
        outside.zone.clear()
        mail.outbox.clear()

        assert check(claim, NOW + DAY).state == "FAILING"
        assert page(name) == 200
        assert check(claim, NOW + 3 * DAY).state == "FAILING"
        jobs.run_all_due()
        assert [(message.to, message.subject) for message in mail.outbox] == [
            ([fresh_shop.owner_email], f"{name} 已不再指向 {fresh_shop.name}")
        ]
        assert check(claim, NOW + 4 * DAY).state == "LOST"
        jobs.run_all_due()

        assert len(mail.outbox) == 2 and fresh_shop.url in mail.outbox[1].body
        assert held(name) == []
        assert page(name) == 404
        set_records(outside, claim, fresh_shop)
        assert check(claim, NOW + 5 * DAY).state == "VERIFIED"

    def test_records_that_are_back_in_time_change_nothing(
        self, outside: NameServer, fresh_shop: Any, name: str
    ) -> None:
        claim = add(fresh_shop, name)
        set_records(outside, claim, fresh_shop)
        check(claim)
        kept = dict(outside.zone)
        outside.zone.clear()
        check(claim, NOW + DAY)
        outside.zone.update(kept)

        back = check(claim, NOW + 2 * DAY)

        assert (back.state, back.failing_since) == ("VERIFIED", None)

    def test_each_is_looked_at_once_a_day_and_a_fresh_one_every_ten_minutes(
        self, outside: NameServer, fresh_shop: Any, name: str
    ) -> None:
        with in_main():
            DomainClaim.objects.all().delete()
        claim, fresh = add(fresh_shop, name), add(fresh_shop, f"new.{name}")
        set_records(outside, claim, fresh_shop)

        assert domains.check_due(now=NOW) == 2
        assert domains.check_due(now=NOW + timedelta(minutes=9)) == 0
        assert domains.check_due(now=NOW + timedelta(minutes=11)) == 1  # The one that is not proved.
        assert domains.check_due(now=NOW + timedelta(hours=25)) == 2
        with in_main():
            DomainClaim.objects.filter(pk=fresh.pk).update(checked_at=NOW)
        assert domains.check_due(now=NOW + 40 * DAY) == 1  # Nobody waits for it any more.


class TestPlan:
    def test_a_plan_without_own_domains_proves_none(self, outside: NameServer, fresh_shop: Any, name: str) -> None:
        claim = add(fresh_shop, name)
        set_records(outside, claim, fresh_shop)
        put_on_plan(fresh_shop, own_domain_allowed=False)

        checked = check(claim)

        assert (checked.state, checked.problem, checked.failing_since) == ("WAITING", "not_in_plan", None)
        assert "plan has no domain of its own" in str(domains.PROBLEMS["not_in_plan"])
        assert (held(name), page(name), outside.asked) == ([], 404, [])
        put_on_plan(fresh_shop, own_domain_allowed=True)
        assert check(claim).state == "VERIFIED"

    def test_nor_does_one_that_lost_them_while_dns_answered(
        self, outside: NameServer, make_shop: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann, new = make_shop(), make_shop()
        hers = add(ann, name)
        set_records(outside, hers, ann)
        check(hers)
        theirs = add(new, name)
        set_records(outside, theirs, new)
        asked = dns.look_up

        def slow(domain: str, challenge: str) -> Any:
            answers = asked(domain, challenge)
            put_on_plan(new, own_domain_allowed=False)
            return answers

        monkeypatch.setattr(dns, "look_up", slow)

        assert (check(theirs, NOW + DAY).problem, state(theirs)) == ("not_in_plan", "WAITING")
        assert (held(name), state(hers)) == ([ann.pk], "VERIFIED")

    def test_what_it_holds_is_told_given_three_days_and_then_taken_off(
        self, outside: NameServer, fresh_shop: Any, name: str
    ) -> None:
        claim = add(fresh_shop, name)
        set_records(outside, claim, fresh_shop)
        check(claim)
        put_on_plan(fresh_shop, own_domain_allowed=False)
        mail.outbox.clear()

        assert (check(claim, NOW + DAY).state, state(claim)) == ("FAILING", "FAILING")
        assert check(claim, NOW + 3 * DAY).state == "FAILING"
        jobs.run_all_due()
        assert (held(name), page(name)) == ([fresh_shop.pk], 200)
        assert [(sent.to, sent.subject) for sent in mail.outbox] == [
            ([fresh_shop.owner_email], f"{name} 即将从 {fresh_shop.name} 解绑")
        ]
        assert "版本已不含独立域名" in mail.outbox[0].body
        assert check(claim, NOW + 4 * DAY).state == "LOST"
        jobs.run_all_due()

        assert (held(name), page(name)) == ([], 404)
        assert mail.outbox[1].subject == f"{name} 已从 {fresh_shop.name} 解绑"
        assert "版本已有 3 天不含独立域名" in mail.outbox[1].body
        with in_main():
            acts = AuditRecord.objects.filter(target=fresh_shop.public_id, action__startswith="tenants.domain.")
            assert [(act.action, act.details) for act in acts.order_by("pk")][-2:] == [
                ("tenants.domain.failing", {"domain": name, "reason": "not_in_plan"}),
                ("tenants.domain.lost", {"domain": name, "reason": "not_in_plan"}),
            ]
        assert (check(claim, NOW + 5 * DAY).state, held(name)) == ("LOST", [])

    def test_name_servers_that_are_away_delay_nothing(self, outside: NameServer, fresh_shop: Any, name: str) -> None:
        claim = add(fresh_shop, name)
        set_records(outside, claim, fresh_shop)
        check(claim)
        put_on_plan(fresh_shop, own_domain_allowed=False)
        outside.broken = True

        assert [check(claim, NOW + day * DAY).state for day in (1, 4)] == ["FAILING", "LOST"]

    def test_a_plan_that_has_them_again_in_time_changes_nothing(
        self, outside: NameServer, fresh_shop: Any, name: str
    ) -> None:
        claim = add(fresh_shop, name)
        set_records(outside, claim, fresh_shop)
        check(claim)
        put_on_plan(fresh_shop, own_domain_allowed=False)
        check(claim, NOW + DAY)
        put_on_plan(fresh_shop, own_domain_allowed=True)

        back = check(claim, NOW + 4 * DAY)

        assert (back.state, back.failing_since, held(name)) == ("VERIFIED", None, [fresh_shop.pk])

    def test_days_that_were_told_of_the_records_are_none_of_the_plan_s(
        self, outside: NameServer, fresh_shop: Any, name: str
    ) -> None:
        claim = add(fresh_shop, name)
        set_records(outside, claim, fresh_shop)
        check(claim)
        outside.zone.clear()
        check(claim, NOW + DAY)
        put_on_plan(fresh_shop, own_domain_allowed=False)
        set_records(outside, claim, fresh_shop)

        checked = check(claim, NOW + 4 * DAY)

        assert (checked.state, checked.failing_since) == ("FAILING", NOW + 4 * DAY)
        assert held(name) == [fresh_shop.pk]


class TestEnd:
    def test_a_closed_shop_s_domain_is_let_go_after_its_time(
        self, outside: NameServer, fresh_shop: Any, name: str
    ) -> None:
        claim = add(fresh_shop, name)
        set_records(outside, claim, fresh_shop)
        check(claim)
        with in_main():
            lifecycle.move(substation_id=fresh_shop.pk, event=SubstationEvent.BEGIN_CLOSING, by=SYSTEM, now=NOW)
            lifecycle.move(substation_id=fresh_shop.pk, event=SubstationEvent.CLOSE, by=SYSTEM, now=NOW, closed_at=NOW)

        closing.release_domains(now=NOW + 29 * DAY)
        assert held(name) == [fresh_shop.pk]
        assert page(name) == 503
        closing.release_domains(now=NOW + 31 * DAY)

        assert held(name) == []
        assert page(name) == 404
        with in_main():
            acts = AuditRecord.objects.filter(target=fresh_shop.public_id, action="tenants.domain.released")
            assert acts.get().details == {"domain": name}

    def test_one_first_address_at_a_time(self, outside: NameServer, fresh_shop: Any, name: str) -> None:
        claims = [add(fresh_shop, one) for one in (name, f"www.{name}")]
        for claim in claims:
            set_records(outside, claim, fresh_shop)
            check(claim)

        with in_main():
            for claim in claims:
                domains.make_primary(substation_id=fresh_shop.pk, claim_id=claim.pk, sends_on=True, by=SYSTEM, now=NOW)

        with in_main():
            assert list(Domain.objects.filter(tenant=fresh_shop, is_primary=True).values_list("domain", flat=True)) == [
                f"www.{name}"
            ]
        found = hosts.substation_for(name)
        assert found is not None and (found.primary, found.sends_on) == (f"www.{name}", True)

    def test_only_a_connected_one_can_be_the_first(self, outside: NameServer, fresh_shop: Any, name: str) -> None:
        claim = add(fresh_shop, name)

        with in_main(), pytest.raises(domains.NotVerified):
            domains.make_primary(substation_id=fresh_shop.pk, claim_id=claim.pk, sends_on=True, by=SYSTEM, now=NOW)
        with in_main():
            assert Substation.objects.get(pk=fresh_shop.pk).sends_on is False


class TestTlsAllow:
    def ask(self, name: str, **meta: str) -> int:
        request = RequestFactory().get("/internal/tls/allow", {"domain": name}, **{"REMOTE_ADDR": "127.0.0.1", **meta})  # type: ignore[arg-type]
        with pointed_at(MAIN):
            try:
                return tls.allow(request).status_code
            except tls.Http404:
                return 404

    @pytest.fixture(autouse=True)
    def _fresh_counts(self, prepared: None) -> None:
        with pointed_at(MAIN):
            for key in ("tls:asked", "tls:unknown"):
                counting.forget(key)

    def test_for_living_shops_and_proved_domains_alone(self, outside: NameServer, fresh_shop: Any, name: str) -> None:
        claim = add(fresh_shop, name)
        assert self.ask(name) == 404
        set_records(outside, claim, fresh_shop)
        check(claim)

        assert self.ask(name) == 200
        assert self.ask(fresh_shop.host.upper()) == 200
        for unknown in (
            "",
            "nobody.localhost",
            "a" * 300 + ".com",
            "127.0.0.1",
            "[::1]",
            f"x.{name}",
            "卡.com",
            "../x",
            "a\x00b",
        ):
            assert self.ask(unknown) == 404, unknown

    def test_not_for_an_erased_shop(self, fresh_shop: Any) -> None:
        assert self.ask(fresh_shop.host) == 200
        with in_main():
            Substation.objects.filter(pk=fresh_shop.pk).update(state="ERASED")
        hosts.forget(fresh_shop)

        assert self.ask(fresh_shop.host) == 404

    def test_only_the_proxy_may_ask(self, alice: Any) -> None:
        assert self.ask(alice.host, REMOTE_ADDR="203.0.113.9") == 404
        assert self.ask(alice.host, HTTP_X_FORWARDED_FOR="203.0.113.9") == 404
        with override_settings(PROXY_ADDRESSES=["10.1.2.3"]):
            assert self.ask(alice.host, REMOTE_ADDR="10.1.2.3") == 200
            assert self.ask(alice.host, REMOTE_ADDR="10.1.2.4") == 404

    def test_whoever_asks_for_many_unknown_names_is_slowed_and_shops_are_not(
        self, alice: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tls, "UNKNOWN_A_MINUTE", 3)

        assert [self.ask(f"n{number}.example.org") for number in range(5)] == [404, 404, 404, 429, 429]
        assert self.ask(alice.host) == 200

    def test_a_shop_that_is_known_is_answered_whatever_else_is_asked(
        self, alice: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tls, "ASKED_A_MINUTE", 3)
        cache.delete("tls:asked")
        assert hosts.substation_for(alice.host) is not None

        assert [self.ask(f"m{number}.example.org") for number in range(5)] == [404, 404, 404, 429, 429]
        assert self.ask(alice.host) == 200

    def test_on_the_main_host_alone(self, alice: Any) -> None:
        assert Client(HTTP_HOST="127.0.0.1").get("/internal/tls/allow", {"domain": alice.host}).status_code == 200
        assert Client(HTTP_HOST=alice.host).get("/internal/tls/allow", {"domain": alice.host}).status_code == 404
