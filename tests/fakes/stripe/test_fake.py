"""What the fake promises in its README, seen through the official SDK or the wire."""

from __future__ import annotations

import json
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from . import FakeStripe, Fault
from .form import parse_form

NOW = 1_790_000_000
KEY = "sk_test_alice"


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe(clock=lambda: NOW) as server:
        yield server


@pytest.fixture
def client(fake: FakeStripe) -> stripe.StripeClient:
    """The SDK with its own HTTP client, pointed at the fake."""
    return stripe.StripeClient(KEY, base_addresses={"api": fake.base_url}, max_network_retries=0)


def params(amount: int = 1999, **changes: Any) -> Any:
    price = {"currency": "cny", "unit_amount": amount, "product_data": {"name": "Steam 20"}}
    return {
        "mode": "payment",
        "line_items": [{"quantity": 1, "price_data": price}],
        "success_url": "http://alice.example/done",
        **changes,
    }


def paid(fake: FakeStripe, client: stripe.StripeClient) -> str:
    """A paid session; its payment intent."""
    session = client.v1.checkout.sessions.create(params())
    return str(fake.merchant(KEY).pay(session.id)["payment_intent"])


class TestIdempotencyKeys:
    def test_give_the_first_answer_again(self, client: stripe.StripeClient) -> None:
        first = client.v1.checkout.sessions.create(params(), {"idempotency_key": "key"})
        second = client.v1.checkout.sessions.create(params(), {"idempotency_key": "key"})

        assert second.to_dict() == first.to_dict()
        assert len(client.v1.checkout.sessions.list().data) == 1

    def test_refuse_other_parameters(self, client: stripe.StripeClient) -> None:
        client.v1.checkout.sessions.create(params(), {"idempotency_key": "key"})

        with pytest.raises(stripe.IdempotencyError) as refusal:
            client.v1.checkout.sessions.create(params(2000), {"idempotency_key": "key"})

        assert refusal.value.http_status == 400
        assert len(client.v1.checkout.sessions.list().data) == 1

    def test_do_not_keep_what_was_refused(self, client: stripe.StripeClient) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.checkout.sessions.create(params(0), {"idempotency_key": "key"})

        assert client.v1.checkout.sessions.create(params(), {"idempotency_key": "key"}).amount_total == 1999


class TestSessions:
    @pytest.mark.parametrize(("life_s", "fits"), [(1799, False), (1800, True), (86_400, True), (86_401, False)])
    def test_live_from_half_an_hour_to_a_day(self, client: stripe.StripeClient, life_s: int, fits: bool) -> None:
        if fits:
            assert client.v1.checkout.sessions.create(params(expires_at=NOW + life_s)).expires_at == NOW + life_s
            return
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.checkout.sessions.create(params(expires_at=NOW + life_s))
        assert refusal.value.param == "expires_at"

    def test_have_an_intent_once_the_buyer_has_confirmed(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        session = client.v1.checkout.sessions.create(params())
        fake.merchant(KEY).pay(session.id)

        after = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})

        assert session.payment_intent is None
        assert (after.status, after.payment_status) == ("complete", "paid")
        assert isinstance(after.payment_intent, stripe.PaymentIntent)
        assert isinstance(after.payment_intent.latest_charge, stripe.Charge)

    def test_expire_only_while_they_are_open(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        session = client.v1.checkout.sessions.create(params())

        assert client.v1.checkout.sessions.expire(session.id).status == "expired"
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.checkout.sessions.expire(session.id)

    def test_list_their_line(self, client: stripe.StripeClient) -> None:
        session = client.v1.checkout.sessions.create(params())

        (line,) = client.v1.checkout.sessions.line_items.list(session.id).data

        assert (line.description, line.amount_total) == ("Steam 20", 1999)

    def test_can_be_paid_on_their_page(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        session = client.v1.checkout.sessions.create(params())
        assert session.url is not None
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)

        with opener.open(session.url, timeout=10) as page:
            shown = page.read().decode()
        with pytest.raises(urllib.error.HTTPError) as away:
            opener.open(session.url, data=b"action=pay", timeout=10)
        away.value.close()

        assert "1999 cny open" in shown
        assert away.value.headers["Location"] == "http://alice.example/done"
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


class TestRefunds:
    def test_are_refused_beyond_what_is_left(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        intent = paid(fake, client)
        client.v1.refunds.create({"payment_intent": intent, "amount": 1500})

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.refunds.create({"payment_intent": intent, "amount": 500})

        assert refusal.value.param == "amount"
        assert len(client.v1.refunds.list().data) == 1

    def test_are_refused_by_name_once_all_is_gone(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        intent = paid(fake, client)
        client.v1.refunds.create({"payment_intent": intent})

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.refunds.create({"payment_intent": intent, "amount": 1})

        assert refusal.value.code == "charge_already_refunded"

    def test_stand_in_the_balance(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        client.v1.refunds.create({"payment_intent": paid(fake, client), "amount": 1500})

        lines = client.v1.balance_transactions.list({"created": {"gte": NOW, "lt": NOW + 1}}).data

        assert [(line.type, line.amount, line.fee, line.net) for line in lines] == [
            ("refund", -1500, 0, -1500),
            ("charge", 1999, 88, 1911),
        ]


class TestRequests:
    @pytest.mark.parametrize("key", ["sk_live_x", "pk_test_x", "nonsense"])
    def test_need_a_test_key(self, fake: FakeStripe, key: str) -> None:
        client = stripe.StripeClient(key, base_addresses={"api": fake.base_url}, max_network_retries=0)

        with pytest.raises(stripe.AuthenticationError):
            client.v1.refunds.list()

    def test_see_only_their_own_account(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        session = client.v1.checkout.sessions.create(params())
        bob = stripe.StripeClient("sk_test_bob", base_addresses={"api": fake.base_url}, max_network_retries=0)

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            bob.v1.checkout.sessions.retrieve(session.id)

        assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")

    def test_page_through_lists(self, client: stripe.StripeClient) -> None:
        made = [client.v1.checkout.sessions.create(params()).id for _ in range(5)]

        first = client.v1.checkout.sessions.list({"limit": 2})
        every = [session.id for session in first.auto_paging_iter()]

        assert (len(first.data), first.has_more) == (2, True)
        assert every == made[::-1]

    def test_are_refused_with_a_filter_that_does_not_exist(self, client: stripe.StripeClient) -> None:
        wrong: Any = {"paid": True}

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.checkout.sessions.list(wrong)

        assert refusal.value.code == "parameter_unknown"

    def test_can_retrieve_events(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        paid(fake, client)
        (event,) = client.v1.events.list({"type": "checkout.session.completed"}).data

        assert client.v1.events.retrieve(event.id).data.object["payment_status"] == "paid"

    @pytest.mark.parametrize(
        ("fault", "error"),
        [(Fault.BROKEN, stripe.APIError), (Fault.RATE_LIMITED, stripe.RateLimitError),
         (Fault.KEY_IN_USE, stripe.APIError)],
    )  # fmt: skip
    def test_meet_the_fault_that_was_ordered_once(
        self, fake: FakeStripe, client: stripe.StripeClient, fault: Fault, error: type[Exception]
    ) -> None:
        fake.fail_next("POST /v1/checkout", fault)

        with pytest.raises(error):
            client.v1.checkout.sessions.create(params())

        assert client.v1.checkout.sessions.list().data == []
        assert client.v1.checkout.sessions.create(params()).amount_total == 1999


class TestForms:
    def test_nest_as_stripe_writes_them(self) -> None:
        assert parse_form("a[b][0][c]=1&a[b][1][c]=2&expand[]=x&expand[]=y.z&d=%E5%8D%A1") == {
            "a": {"b": [{"c": "1"}, {"c": "2"}]},
            "expand": ["x", "y.z"],
            "d": "卡",
        }

    def test_with_a_broken_key_are_refused(self) -> None:
        with pytest.raises(ValueError, match="malformed"):
            parse_form("a[b=1")


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """The shop does not exist here."""


@contextmanager
def endpoint(statuses: list[int]) -> Iterator[tuple[str, queue.Queue[tuple[str, bytes]]]]:
    """A merchant's endpoint that answers these statuses in turn, then 200."""
    received: queue.Queue[tuple[str, bytes]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put((self.headers["Stripe-Signature"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Tests have their own output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://alice.localhost:{server.server_address[1]}/hooks", received
    server.shutdown()
    thread.join()
    server.server_close()


class TestWebhooks:
    def test_are_signed_over_the_bytes_that_are_sent(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        paid(fake, client)
        hooks = fake.webhooks(KEY)

        with endpoint([]) as (url, received):
            hooks.url = url
            (delivery,) = hooks.send_pending()
            signature, body = received.get(timeout=10)

        assert (delivery.type, delivery.status) == ("checkout.session.completed", 200)
        event = client.construct_event(body, signature, hooks.secret, tolerance=0)
        assert event.id == delivery.event_id

    def test_come_twice_and_backwards_when_asked(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        client.v1.refunds.create({"payment_intent": paid(fake, client)})
        hooks = fake.webhooks(KEY)

        with endpoint([]) as (url, received):
            hooks.url = url
            hooks.send_pending(times=2, newest_first=True)
            types = [json.loads(received.get(timeout=10)[1])["type"] for _ in range(8)]

        order = ["refund.updated", "refund.created", "charge.refunded", "checkout.session.completed"]
        assert types == [name for name in order for _ in range(2)]

    def test_stay_pending_until_they_are_accepted(self, fake: FakeStripe, client: stripe.StripeClient) -> None:
        paid(fake, client)
        hooks = fake.webhooks(KEY)

        with endpoint([500]) as (url, _):
            hooks.url = url
            statuses = [[delivery.status for delivery in hooks.send_pending()] for _ in range(3)]

        assert statuses == [[500], [200], []]
