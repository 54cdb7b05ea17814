"""Every kind of job, every task and every webhook, set going by one shop about another's things."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.db import connection

from kameng import celery
from kameng.db.context import current_schema, in_main, in_substation, pointed_at
from kameng.jobs import registry
from kameng.jobs import services as jobs
from kameng.jobs.models import Job
from kameng.lib import clock
from tenant_apps.payments import providers
from tests.isolation.walk import scene, watch
from tests.tenant_apps.channel import MemoryChannel, callback

# What a handler's parameter is called: what of Bob's an attacker would put there.
PAYLOADS: dict[str, Callable[[scene.Scene], Any]] = {
    "agent": lambda cast: f"Firefox/1 of {cast.bob.mark}",
    "at": lambda cast: clock.utc_now().isoformat(),
    "account_id": lambda cast: cast.bob.account.id,
    "claim_id": lambda cast: cast.bob.claim,
    "export": lambda cast: cast.bob.exports[True].public_id,
    "lead": lambda cast: cast.bob.lead,
    "reason": lambda cast: "a neighbour wishes it",
    "subscription": lambda cast: "sub_0000",
    "substation_id": lambda cast: cast.bob.shop.pk,
    "what": lambda cast: "reminder",
    "base_url": lambda cast: f"http://{cast.bob.host}",
    "case_public_id": lambda cast: cast.bob.case,
    "event_id": lambda cast: cast.bob.event,
    "order_number": lambda cast: cast.bob.orders["paid"].number,
    "page_public_id": lambda cast: "bpg_00000000000000000000",
    "refund_public_id": lambda cast: "ref_00000000000000000000",
    "run": lambda cast: cast.main["run"],
    "signup_id": lambda cast: cast.bob.signup.signup.pk,
    "ip": lambda cast: "192.0.2.1",
    "user_id": lambda cast: cast.bob.users["STAFF"].pk,
    "notice": lambda cast: "reset",
    "who": lambda cast: "a neighbour",
}


@pytest.fixture(scope="module")
def cast(make_shop: Callable[..., Any]) -> scene.Scene:
    return scene.set_up(make_shop)


@pytest.fixture(autouse=True)
def _no_wake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kameng.jobs.services._wake", lambda job_id: None)
    mail.outbox = []


def wanted(kind: str) -> list[str]:
    """The names of a handler's own arguments."""
    signature = inspect.signature(registry.find(kind).handler)
    return [name for name, one in signature.parameters.items() if one.kind is not inspect.Parameter.VAR_KEYWORD]


def mailed(cast: scene.Scene) -> list[str]:
    """Bob's marks in mails that are not to his own people."""
    marks = watch.marks_of(cast.bob)
    strangers = [message for message in mail.outbox if not set(message.to) <= set(marks.values())]
    return [
        name for message in strangers for name, mark in marks.items() if mark in f"{message.subject} {message.body}"
    ]


class TestEveryJob:
    @pytest.mark.parametrize("kind", sorted(registry.kinds()))
    def test_wished_for_by_one_shop_about_another_does_nothing_there(self, cast: scene.Scene, kind: str) -> None:
        """A shop's own SQL may leave any row: any kind, any arguments. The row's schema is the shop's own, whatever it says."""
        payload = {name: PAYLOADS[name](cast) for name in wanted(kind)}
        before, keys, files = watch.state_of(cast), watch.cache_keys(), watch.data_files()
        with in_substation(cast.alice.shop), connection.cursor() as cursor:
            cursor.execute("SELECT gate.enqueue(%s, %s, %s, '')", [kind, json.dumps(payload), clock.utc_now()])
            job_id = cursor.fetchone()[0]

        jobs.run(job_id)

        with in_main():
            job = Job.objects.get(pk=job_id)
        assert job.schema_name == cast.alice.shop.schema_name
        if not registry.find(kind).wants_tenant:
            assert (job.state, "is the main station's" in job.last_error) == ("FAILED", True)
        changed = watch.changes(before, watch.state_of(cast))
        assert changed == []
        assert mailed(cast) == []
        assert watch.strange_keys(watch.cache_keys() - keys, cast.alice.shop.schema_name) == []
        assert watch.strange_files(watch.data_files() - files, cast.alice.shop.schema_name) == []

    def test_a_tenants_job_of_one_shop_can_not_be_moved_to_another(self, cast: scene.Scene) -> None:
        with in_substation(cast.alice.shop), connection.cursor() as cursor:
            cursor.execute(
                "SELECT gate.enqueue('orders.mail_delivered', %s, now(), '')",
                [
                    json.dumps(
                        {"order_number": cast.bob.orders["paid"].number, "schema_name": cast.bob.shop.schema_name}
                    )
                ],
            )
            job_id = cursor.fetchone()[0]

        jobs.run(job_id)

        assert [message.to for message in mail.outbox] == []


class TestEveryTask:
    def test_takes_no_shop_by_argument(self) -> None:
        """Which shop a task is for stands in a row that the database wrote; the message that wakes it names the row."""
        celery.app.finalize()
        ours = {name: task for name, task in celery.app.tasks.items() if not name.startswith("celery.")}
        arguments = {
            name: [parameter.name for parameter in inspect.signature(task.run).parameters.values()
                   if parameter.kind is not inspect.Parameter.VAR_KEYWORD and parameter.name != "function"]
            for name, task in ours.items()
        }  # fmt: skip

        assert ours.keys() == registry.periodic_work().keys() | {"jobs.run", "jobs.sweep"}
        assert {name: names for name, names in arguments.items() if names} == {"jobs.run": ["job_id"]}

    @pytest.mark.parametrize("name", sorted(registry.periodic_work()))
    def test_of_the_schedule_begins_at_the_main_station_wherever_its_worker_was(
        self, cast: scene.Scene, name: str
    ) -> None:
        """A worker whose last job was in a shop must not do the network's work there."""
        celery.app.finalize()
        seen: list[str] = []

        with pointed_at(cast.alice.shop):
            celery.app.tasks[name].run(function=lambda: seen.append(current_schema()))

        assert seen == ["public"]


class TestTheWatch:
    def test_sees_a_key_and_a_file_that_bear_no_schema(self, cast: scene.Scene) -> None:
        keys, files, schema = watch.cache_keys(), watch.data_files(), cast.alice.shop.schema_name
        client = cache._cache.get_client(None, write=True)  # type: ignore[attr-defined]
        stray = Path(settings.DATA_DIR) / "latest-order.txt"

        client.set("latest-order", cast.bob.mark)
        stray.write_text(cast.bob.mark)

        try:
            assert watch.strange_keys(watch.cache_keys() - keys, schema) == ["the cache has latest-order"]
            assert watch.strange_files(watch.data_files() - files, schema) == ["a file: latest-order.txt"]
        finally:
            client.delete("latest-order")
            stray.unlink()


class TestEveryWebhook:
    """Alice has a merchant account of her own, and so its secret: she can sign what she likes, for that account."""

    def test_has_a_channel_that_this_page_knows_how_to_forge(self) -> None:
        assert set(providers.names()) == {"testpay", "stripe"}

    @pytest.mark.parametrize("door", ["alice", "bob", "main"])
    def test_of_the_test_channel_signed_by_another_shop_pays_nothing(
        self, cast: scene.Scene, monkeypatch: pytest.MonkeyPatch, door: str
    ) -> None:
        memory = MemoryChannel()
        monkeypatch.setattr(providers, "get", lambda name: memory)
        waiting = cast.bob.orders["waiting"]
        payment = cast.bob.payments[waiting.number]
        now = clock.utc_now()
        memory.pays(payment, waiting.total_minor, at=now)  # Her own channel says what she likes, too.
        host = {"alice": cast.alice.host, "bob": cast.bob.host, "main": "localhost"}[door]
        jobs.run_all_due()  # What others left waiting, a sync of every shop among it, is no doing of hers.
        before = watch.state_of(cast)

        for account, secret in ((cast.alice.account, "s3cret"), (cast.bob.account, "not Bob's secret")):
            content, signature = callback(account, secret, payment, at=now, event_id=f"evt-{door}-{account.id}")
            answer = scene.browser(host).post(
                f"/hooks/testpay/{account.public_id}/", content, content_type="application/json",
                HTTP_X_TESTPAY_SIGNATURE=signature,
            )  # fmt: skip
            assert answer.status_code == (200 if account is cast.alice.account else 400), answer.content
        jobs.run_all_due()

        changed = watch.changes(before, watch.state_of(cast))
        # The event is kept, and money that came through an account of Alice's is a case of the main station's.
        assert {name for name in changed if cast.bob.shop.schema_name in name} == set()
        with in_substation(cast.bob.shop):
            from tenant_apps.orders.models import Order

            assert Order.objects.get(number=waiting.number).state == "PENDING_PAYMENT"

    @pytest.mark.parametrize("door", ["alice", "bob", "main"])
    def test_of_stripe_with_a_signature_of_nobodys_is_refused(self, cast: scene.Scene, door: str) -> None:
        with in_main():
            from shared_apps.receipts import services as receipts
            from tests.tenant_apps import market

            account = receipts.create_account(
                channel="stripe", account_ref=market.public_id("acct"), name="Bob's", api_base="http://127.0.0.1:9",
                credentials={"api_key": "sk_test_walk", "webhook_secret": "whsec_walk"},
                substation_id=cast.bob.shop.pk, by=market.CLERK,
            )  # fmt: skip
        host = {"alice": cast.alice.host, "bob": cast.bob.host, "main": "localhost"}[door]
        before = watch.state_of(cast)

        answer = scene.browser(host).post(
            f"/hooks/stripe/{account.public_id}/", b"{}", content_type="application/json",
            HTTP_STRIPE_SIGNATURE="t=1,v1=00",
        )  # fmt: skip

        assert answer.status_code == 400
        assert watch.changes(before, watch.state_of(cast)) == []
