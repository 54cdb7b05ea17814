"""Merchant accounts and split rules: kept sealed, switched with a record, tried before they are made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.test import Client

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main
from shared_apps.receipts import services as receipts
from shared_apps.receipts.models import MerchantAccount
from shared_apps.splits.models import SplitRule
from shared_apps.splits.services import ensure_first_rule
from tests.shared_apps.console.conftest import Scene, csv_rows
from tests.shared_apps.console.test_access import url
from tests.tenant_apps import market

STRIPE = {
    "name": "Stripe HK", "account_ref": "acct_1Console", "api_key": "sk_test_verysecret",
    "webhook_secret": "whsec_verysecret", "substation": "",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_account_stays(prepared: None) -> Iterator[None]:
    """What was added here is switched off afterwards: the shops of other tests sell through what is on."""
    with in_main():
        before = list(MerchantAccount.objects.values_list("pk", flat=True))
    yield
    with in_main():
        MerchantAccount.objects.exclude(pk__in=before).filter(channel="stripe").update(enabled=False)


def kept(ref: str) -> MerchantAccount | None:
    with in_main():
        return MerchantAccount.objects.filter(account_ref=ref).first()


class TestMerchantAccounts:
    def test_says_what_each_took_and_leads_to_what_the_channel_owes(self, operator: Client, scene: Scene) -> None:
        content = operator.get(url("merchants"), {"q": scene.account.account_ref}).content.decode()

        assert scene.account.public_id in content
        assert url("account", "channel:testpay:clearing") in content

    def test_shows_the_callback_address_and_never_a_secret(self, operator: Client, scene: Scene) -> None:
        content = operator.get(url("merchant", scene.account.public_id)).content.decode()

        assert f"http://localhost{settings.AUTHORITY}/hooks/testpay/{scene.account.public_id}/" in content
        assert "s3cret" not in content

    def test_keeps_a_stripe_account_sealed(self, operator: Client) -> None:
        form = {**STRIPE, "account_ref": f"acct_{market.public_id('x')[2:]}"}

        response = operator.post(url("merchant_new"), form)

        row = kept(form["account_ref"])
        assert row is not None
        assert response.headers["Location"] == url("merchant", row.public_id)
        assert b"verysecret" not in bytes(row.credentials)
        assert b"verysecret" not in operator.get(url("merchant", row.public_id)).content
        with in_main():
            opened = receipts.account_with_credentials(account_id=row.pk)
            [record] = AuditRecord.objects.filter(action="receipts.account.created", target=row.public_id)
        assert opened.credentials == {"api_key": "sk_test_verysecret", "webhook_secret": "whsec_verysecret"}
        assert (opened.api_base, opened.substation_id) == ("https://api.stripe.com", None)
        assert "verysecret" not in str(record.details)

    @pytest.mark.parametrize(
        "changed",
        [{"account_ref": "1Console"}, {"api_key": "pk_test_public"}, {"webhook_secret": "nonsense"}, {"name": ""}],
    )
    def test_refuses_what_is_no_account_of_stripe_and_keeps_what_was_typed(
        self, operator: Client, changed: dict[str, str]
    ) -> None:
        form = {**STRIPE, "account_ref": "acct_Refused", **changed}

        response = operator.post(url("merchant_new"), form)

        assert response.status_code == 422
        assert response.headers["Cache-Control"] == "no-store"
        for typed in filter(None, (form["account_ref"], form["api_key"], form["webhook_secret"])):
            assert f'value="{typed}"' in response.content.decode()
        assert kept(form["account_ref"]) is None

    def test_offers_it_no_longer_and_again(self, operator: Client, scene: Scene) -> None:
        for enabled in ("0", "1"):
            assert (
                operator.post(url("merchant_switch", scene.account.public_id), {"enabled": enabled}).status_code == 302
            )
            row = kept(scene.account.account_ref)
            assert row is not None
            assert row.enabled is (enabled == "1")

        with in_main():
            rows = AuditRecord.objects.filter(action="receipts.account.enabled", target=scene.account.public_id)
            assert [row.details for row in rows] == [{"enabled": True}, {"enabled": False}]


class TestSplitRules:
    FORM = {
        "note": "New contract with the test channel", "effective_at": "", "price": "100", "cost": "85",
        "plan_basic": "", "plan_pro": "", "plan_flagship": "", "share_stripe": "3.4", "fixed_stripe": "2.20",
        "share_testpay": "1", "fixed_testpay": "0.50",
    }  # fmt: skip

    @pytest.fixture(autouse=True)
    def _rules(self, prepared: None) -> None:
        ensure_first_rule()

    def versions(self) -> list[int]:
        with in_main():
            return list(SplitRule.objects.order_by("version").values_list("version", flat=True))

    def test_lists_every_version_and_which_is_in_force(self, operator: Client) -> None:
        content = operator.get(url("rules")).content.decode()
        rows = csv_rows(operator.get(url("rules"), {"export": "csv"}))

        assert "In force" in content
        assert len(rows) - 1 == len(self.versions())

    def test_tries_the_terms_on_a_sale_and_writes_nothing(self, operator: Client) -> None:
        before = self.versions()

        response = operator.post(url("rule_new"), {**self.FORM, "deed": "try", "plan_basic": "20"})

        # 100 − 85 − (1 % + 0.50) = 13.50, of which the platform takes 20 %; now 100 − 85 − 0.60 = 14.40, and 2 %.
        content = response.content.decode()
        assert response.status_code == 200
        for shown in ("¥2.70", "¥10.80", "now ¥0.29", "now ¥14.11"):
            assert shown in content, shown
        assert self.versions() == before

    def test_says_where_a_price_would_no_longer_cover_its_cost(self, operator: Client) -> None:
        response = operator.post(url("rule_new"), {**self.FORM, "deed": "try", "fixed_testpay": "20"})

        assert "can't be sold" in response.content.decode()

    def test_writes_a_version_that_carries_on_what_it_does_not_change(self, operator: Client) -> None:
        before = self.versions()
        later = {"effective_at": "2099-01-01T08:00"}  # The other tests sell by the first rule.

        response = operator.post(url("rule_new"), {**self.FORM, **later, "deed": "make", "plan_pro": "5.5"})

        [version] = set(self.versions()) - set(before)
        assert response.headers["Location"] == url("rule", version)
        with in_main():
            row = SplitRule.objects.get(pk=version)
            [record] = AuditRecord.objects.filter(action="splits.rule.created", target=f"v{version}")
        assert row.plan_fees == {"pro": 550}
        assert row.channel_fees["testpay"] == {"bps": 100, "fixed_minor": 50}
        assert row.channel_fees["stripe"] == {"bps": 340, "fixed_minor": 220}
        assert (row.tax_bps, row.partner_bps) == (0, 0)
        assert row.effective_at == datetime(2099, 1, 1, tzinfo=UTC)  # As typed in Shanghai.
        assert "Begins later" in operator.get(url("rule", version)).content.decode()
        assert record.actor_label == "Operator"

    @pytest.mark.parametrize(
        "changed",
        [
            {"note": ""}, {"share_testpay": "101"}, {"share_testpay": ""}, {"plan_basic": "-1"},
            {"effective_at": "2020-01-01T00:00"}, {"effective_at": "soon"}, {"fixed_testpay": "x"},
        ],
    )  # fmt: skip
    def test_refuses_and_keeps_what_was_typed(self, operator: Client, changed: dict[str, str]) -> None:
        before = self.versions()

        response = operator.post(url("rule_new"), {**self.FORM, "deed": "make", **changed})

        assert response.status_code == 422
        assert b'value="2.20"' in response.content
        assert self.versions() == before
