"""What people see: the cashier in two languages, where it leads, and the dashboard behind its key."""

from __future__ import annotations

import pytest

from kameng.testpay import keys
from kameng.testpay.words import EN, ZH

from .conftest import MASTER, Client, World


class TestCashier:
    def test_shows_merchant_amount_and_methods_in_both_languages(self, client: Client) -> None:
        payment = client.opened(amount_minor=123_456, merchant_name="爱丽丝数卡店")

        chinese, english = (client.call("GET", f"/pay/{payment}?lang={code}").text for code in ("zh", "en"))

        for page in (chinese, english):
            assert "爱丽丝数卡店" in page
            assert "¥1,234.56" in page
            assert page.count('type="radio"') == 3
        assert "确认付款 ¥1,234.56" in chinese
        assert "Pay ¥1,234.56" in english
        assert '<html lang="zh-CN">' in chinese

    def test_speaks_the_merchants_language_unless_asked(self, client: Client) -> None:
        payment = client.opened(locale="en")

        assert '<html lang="en">' in client.call("GET", f"/pay/{payment}").text

    def test_has_the_same_words_in_both_languages(self) -> None:
        assert ZH.keys() == EN.keys()

    def test_is_self_contained_and_locked_down(self, client: Client) -> None:
        answer = client.call("GET", f"/pay/{client.opened()}")

        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "<script" not in answer.text
        assert "src=" not in answer.text
        assert answer.text.count("nonce=") == 1

    def test_writes_what_merchants_send_as_text(self, client: Client) -> None:
        hostile = '<img src=x onerror=alert(1)>"{{nonce}}'
        payment = client.opened(title=hostile, merchant_name=hostile, order_number=hostile)

        answer = client.call("GET", f"/pay/{payment}")

        nonce = answer.headers["Content-Security-Policy"].partition("nonce-")[2].partition("'")[0]
        assert "<img" not in answer.text
        assert answer.text.count(nonce) == 1

    @pytest.mark.parametrize("action", ["pay", "short", "twice", "over", "later", "fail"])
    def test_leads_back_to_the_shop(self, client: Client, action: str) -> None:
        payment = client.opened()

        answer = client.call("POST", f"/pay/{payment}", f"action={action}&method=wechat&delay_s=5".encode())

        assert (answer.status, answer.headers["Location"]) == (303, "http://alice.example/orders/1")

    def test_leads_back_to_the_checkout_when_cancelled(self, client: Client) -> None:
        answer = client.call("POST", f"/pay/{client.opened()}", b"action=cancel")

        assert answer.headers["Location"] == "http://alice.example/checkout"

    def test_sets_how_the_shop_is_told(self, client: Client) -> None:
        payment = client.opened()

        client.call("POST", f"/pay/{payment}", b"action=pay&duplicate=on&reorder=on&notice_delay_s=30")

        assert client.control("GET", f"/control/payments/{payment}").json["switches"] == {
            "duplicate": True, "delay_s": 30.0, "reorder": True, "hold": False, "drop": False,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("form", "status"),
        [(b"", 422), (b"action=steal", 422), (b"action=pay&method=gold", 422), (b"action=later&delay_s=inf", 422),
         (b"action=later&delay_s=nan", 422), (b"action=pay&notice_delay_s=-1", 422), (b"\xff\xfe", 422)],
    )  # fmt: skip
    def test_says_that_nothing_was_charged(self, client: Client, form: bytes, status: int) -> None:
        payment = client.opened()

        answer = client.call("POST", f"/pay/{payment}", form + b"&lang=en")

        assert answer.status == status
        assert "Nothing was charged" in answer.text
        assert client.signed("GET", f"/v1/payments/{payment}").json["facts"] == []

    @pytest.mark.parametrize(
        ("action", "said"),
        [("pay", "You paid"), ("fail", "Payment failed"), ("cancel", "Payment cancelled"), ("later", "Waiting")],
    )
    def test_shows_the_end_and_the_way_back(self, client: Client, action: str, said: str) -> None:
        payment = client.opened()
        client.act(payment, action, delay_s=60)

        page = client.call("GET", f"/pay/{payment}?lang=en").text

        assert said in page
        assert 'href="http://alice.example/orders/1"' in page
        assert 'type="radio"' not in page

    def test_can_be_paid_late_once_it_expired(self, client: Client, world: World) -> None:
        payment = client.opened()
        world.now += 900

        page = client.call("GET", f"/pay/{payment}?lang=en").text
        client.call("POST", f"/pay/{payment}", b"action=late")

        assert "Payment expired" in page
        assert client.signed("GET", f"/v1/payments/{payment}").json["status"] == "PAID"

    @pytest.mark.parametrize("path", ["/pay/tp_000000000000000000000000", "/pay/x", "/nothing", "/pay/../etc"])
    def test_says_when_there_is_no_such_payment(self, client: Client, path: str) -> None:
        answer = client.call("GET", f"{path}?lang=en")

        assert answer.status == 404
        assert "There is no such payment" in answer.text

    def test_changes_nothing_when_it_is_only_looked_at(self, client: Client) -> None:
        payment = client.opened()

        client.call("GET", f"/pay/{payment}?action=pay")
        client.call("HEAD", f"/pay/{payment}")

        assert client.signed("GET", f"/v1/payments/{payment}").json["status"] == "PENDING"


class TestDashboard:
    def test_opens_with_its_key_and_remembers_the_browser(self, client: Client) -> None:
        client.act(client.opened(), "pay")
        client.tick()

        first = client.call("GET", f"/dashboard?key={keys.dashboard_key(MASTER)}")
        cookie = first.headers["Set-Cookie"].partition(";")[0]
        page = client.call("GET", "/dashboard?lang=en", headers={"Cookie": cookie}).text

        assert (first.status, first.headers["Location"]) == (303, "/dashboard")
        assert "HttpOnly" in first.headers["Set-Cookie"]
        assert "payment.paid" in page
        assert "1 tries" in page
        assert MASTER not in page

    @pytest.mark.parametrize("target", ["/dashboard", "/", "/dashboard?key=wrong", "/dashboard?key="])
    def test_stays_shut_without_it(self, client: Client, target: str) -> None:
        client.opened()

        answer = client.call("GET", target, headers={"Cookie": "testpay_key=wrong"})

        assert answer.status == 403
        assert "Steam 20" not in answer.text

    def test_turns_pages(self, client: Client, world: World) -> None:
        for number in range(52):
            world.now += 1
            client.opened(f"pay_{number}", order_number=f"ORD-{number:03d}")
        cookie = {"Cookie": f"testpay_key={keys.dashboard_key(MASTER)}"}

        first = client.call("GET", "/dashboard?lang=en", headers=cookie).text
        older = first.partition('href="/dashboard?before=')[2].partition('"')[0].replace("&amp;", "&")
        second = client.call("GET", f"/dashboard?before={older}", headers=cookie).text

        assert (first.count("ORD-"), second.count("ORD-")) == (50, 2)
        assert "ORD-000" in second

    def test_says_so_when_there_is_nothing(self, client: Client) -> None:
        cookie = {"Cookie": f"testpay_key={keys.dashboard_key(MASTER)}"}

        assert "No payments yet" in client.call("GET", "/dashboard?lang=en", headers=cookie).text
