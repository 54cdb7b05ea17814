"""Substations and plans: suspended with a reason, moved to another plan, edited without losing what was typed."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.test import Client

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main
from kameng.jobs.models import Job
from tenants import hosts
from tenants.models import Plan, Substation, SyncState
from tests.shared_apps.console.conftest import csv_rows
from tests.shared_apps.console.test_access import url


def fresh(shop: Any) -> Any:
    with in_main():
        return Substation.objects.select_related("plan").get(pk=shop.pk)


def trail(target: str) -> list[str]:
    """What was done to a shop since it was made."""
    made = ("billing.subscription.begun", "tenants.substation.opened")
    with in_main():
        rows = AuditRecord.objects.filter(target=target).exclude(action__in=made)
        return list(rows.order_by("pk").values_list("action", flat=True))


class TestSuspending:
    def test_suspends_with_the_reason_and_forgets_the_cached_host(self, operator: Client, fresh_shop: Any) -> None:
        assert hosts.substation_for(fresh_shop.host).state == "ACTIVE"  # type: ignore[union-attr]

        response = operator.post(url("suspend", fresh_shop.public_id), {"reason": "  Papers   expired "})

        assert response.status_code == 302
        row = fresh(fresh_shop)
        assert (row.state, row.suspended_reason) == ("SUSPENDED", "Papers expired")
        assert trail(fresh_shop.public_id) == ["tenants.substation.suspended"]
        assert cache.get(f"global:host:{fresh_shop.host}") is None
        assert hosts.substation_for(fresh_shop.host).state == "SUSPENDED"  # type: ignore[union-attr]

    def test_refuses_without_a_reason_and_keeps_what_was_typed(self, operator: Client, fresh_shop: Any) -> None:
        response = operator.post(url("suspend", fresh_shop.public_id), {"reason": "x"})

        assert response.status_code == 422
        assert b"Say why in a few words" in response.content
        assert b'value="x"' in response.content
        assert fresh(fresh_shop).state == "ACTIVE"
        assert trail(fresh_shop.public_id) == []

    def test_refuses_to_suspend_twice(self, operator: Client, fresh_shop: Any) -> None:
        operator.post(url("suspend", fresh_shop.public_id), {"reason": "first reason"})

        response = operator.post(url("suspend", fresh_shop.public_id), {"reason": "second reason"})

        assert response.status_code == 422
        assert fresh(fresh_shop).suspended_reason == "first reason"
        assert trail(fresh_shop.public_id) == ["tenants.substation.suspended"]

    def test_resumes(self, operator: Client, fresh_shop: Any) -> None:
        operator.post(url("suspend", fresh_shop.public_id), {"reason": "Papers expired"})

        assert operator.post(url("resume", fresh_shop.public_id)).status_code == 302

        row = fresh(fresh_shop)
        assert (row.state, row.suspended_reason) == ("ACTIVE", "")
        assert operator.post(url("resume", fresh_shop.public_id)).status_code == 409


class TestChangingThePlan:
    def test_moves_the_shop_and_has_everything_compared(self, operator: Client, fresh_shop: Any) -> None:
        with in_main():
            SyncState.objects.update_or_create(substation=fresh_shop, feed="LIBRARY", defaults={"watermark": 77})
            Job.objects.filter(kind="listings.sync_all", state="PENDING").delete()

        response = operator.post(url("change_plan", fresh_shop.public_id), {"plan": "pro"})

        assert response.status_code == 302
        assert fresh(fresh_shop).plan.code == "pro"
        with in_main():
            assert SyncState.objects.get(substation=fresh_shop, feed="LIBRARY").watermark == 0
            assert Job.objects.filter(kind="listings.sync_all", state="PENDING").count() == 1
            record = AuditRecord.objects.get(target=fresh_shop.public_id, action="tenants.substation.plan")
        assert record.details == {"before": "basic", "after": "pro"}

    def test_refuses_a_plan_that_is_not_offered(self, operator: Client, fresh_shop: Any) -> None:
        for plan in ("basic", "nonsense"):
            assert operator.post(url("change_plan", fresh_shop.public_id), {"plan": plan}).status_code == 422

        assert fresh(fresh_shop).plan.code == "basic"
        assert trail(fresh_shop.public_id) == []


class TestPlans:
    FORM = {
        "code": "gold", "name_zh": "黄金版", "name_en": "Gold", "supply_level": "PRO", "opening_fee_minor": "99",
        "monthly_fee_minor": "1,234.50", "platform_fee_bps": "1.25%", "sort": "9", "active": "on", "deposit_minor": "",
        "yearly_fee_minor": "12,000", "trial_days": "14", "grace_days": "5", "settlement_days": "0", "max_staff": "3",
        "api_allowed": "on",
    }  # fmt: skip

    def test_adds_one_as_it_was_typed(self, operator: Client) -> None:
        assert operator.post(url("plan_new"), self.FORM).status_code == 302

        with in_main():
            plan = Plan.objects.get(code="gold")
            assert (plan.opening_fee_minor, plan.monthly_fee_minor, plan.platform_fee_bps) == (9_900, 123_450, 125)
            assert (plan.yearly_fee_minor, plan.deposit_minor) == (1_200_000, 0)
            assert (plan.trial_days, plan.grace_days, plan.settlement_days) == (14, 5, 0)
            assert (plan.max_listings, plan.max_staff, plan.max_own_products) == (None, 3, None)
            assert (plan.api_allowed, plan.own_domain_allowed, plan.active) == (True, False, True)
            plan.delete()

    def test_keeps_what_was_typed_when_a_value_is_refused(self, operator: Client) -> None:
        with in_main():
            before = Plan.objects.count()

        response = operator.post(url("plan_new"), {**self.FORM, "code": "silver", "platform_fee_bps": "200"})

        assert response.status_code == 422
        for typed in (b'value="silver"', b'value="1,234.50"', b'value="200"', "黄金版".encode()):
            assert typed in response.content
        with in_main():
            assert Plan.objects.count() == before

    def test_shows_a_share_as_it_is_so_that_saving_changes_nothing(self, operator: Client) -> None:
        """A fee of 10 % once was shown as 1: its last zero was taken for one behind the point."""
        shown = {1000: "10", 10_000: "100", 125: "1.25", 120: "1.2", 0: "0"}
        operator.post(url("plan_new"), {**self.FORM, "code": "share"})

        for bps, text in shown.items():
            with in_main():
                Plan.objects.filter(code="share").update(platform_fee_bps=bps)
            form = operator.get(url("plan", "share")).context["form"]
            assert f'value="{text}"' in str(form["platform_fee_bps"])

        with in_main():
            Plan.objects.get(code="share").delete()

    def test_refuses_a_code_that_is_taken(self, operator: Client) -> None:
        response = operator.post(url("plan_new"), {**self.FORM, "code": "basic"})

        assert response.status_code == 422
        with in_main():
            assert Plan.objects.get(code="basic").name_en == "basic"


class TestTheList:
    def test_finds_by_name_address_and_mail(self, operator: Client, alice: Any, bob: Any) -> None:
        for text in ("alice", alice.host.split(".")[0], alice.owner_email, alice.public_id):
            content = operator.get(url("substations"), {"q": text}).content.decode()
            assert alice.public_id in content, text
            assert bob.public_id not in content, text

    def test_exports_what_matches(self, operator: Client, alice: Any) -> None:
        rows = csv_rows(operator.get(url("substations"), {"q": alice.owner_email, "export": "csv"}))

        assert rows[0] == ["Id", "Name", "Address", "State", "Plan", "Owner", "Mail", "Signed up", "Open since"]
        assert [row[:7] for row in rows[1:]] == [
            [alice.public_id, "Alice", alice.host, "Open", "basic", "Alice", alice.owner_email]
        ]
