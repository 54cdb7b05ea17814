"""Staff, tokens, passwords by mail, and what everybody did."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail, signing

from kameng.accounts import factors
from kameng.accounts.models import ApiToken, StaffRole, User
from kameng.db.context import in_substation, pointed_at
from kameng.jobs import services as jobs
from kameng.lib import clock
from tenants import hosts
from tests.tenant_apps.panel.office import PASSWORD, Office, csv_rows

ANOTHER = "a different horse, unlike the first"


@pytest.fixture(autouse=True)
def outbox(no_jobs: None) -> None:
    mail.outbox = []


def invited(office: Office, **changes: Any) -> str:
    """Invite somebody and read the link's path from their mail."""
    office.owner.post("/panel/staff/", {"email": "nina@example.com", "name": "Nina", "role": "MANAGER", **changes})
    jobs.run_all_due()
    return link(mail.outbox[-1])


def link(message: Any) -> str:
    found = re.search(r"http\S+?(/password/set/\S+/)", str(message.body))
    assert found
    return found[1]


class TestInvite:
    def test_mails_a_link_that_sets_a_password_and_lets_in(self, office: Office) -> None:
        path = invited(office)
        browser = office.browser()

        response = browser.post(path, {"password": PASSWORD})

        assert mail.outbox[-1].to == ["nina@example.com"]
        assert (response.status_code, response["Location"]) == (302, "/panel/")
        assert browser.get("/panel/").status_code == 200
        user = office.read(User, email="nina@example.com")
        assert (user.role, user.name) == ("MANAGER", "Nina")
        assert user.check_password(PASSWORD)
        assert {"panel.staff.invited", "accounts.password.set"} <= set(office.acts())

    def test_the_link_works_once(self, office: Office) -> None:
        path = invited(office)
        office.browser().post(path, {"password": PASSWORD})

        again = office.browser().post(path, {"password": ANOTHER})

        assert again.status_code == 403
        assert office.read(User, email="nina@example.com").check_password(PASSWORD)

    def test_the_link_works_for_a_day(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        path = invited(office)
        late = (clock.utc_now() + timedelta(hours=24, seconds=1)).timestamp()
        monkeypatch.setattr(signing.time, "time", lambda: late)

        assert office.browser().get(path).status_code == 403

    def test_the_link_of_one_shop_opens_no_other(self, office: Office, make_office: Any) -> None:
        other = make_office(codes=0)
        path = invited(office)

        assert other.browser().get(path).status_code == 403
        assert office.browser().get(path[:-3] + "xx/").status_code == 403

    def test_a_weak_password_is_refused_and_the_link_still_works(self, office: Office) -> None:
        path = invited(office)
        browser = office.browser()

        assert browser.post(path, {"password": "password12"}).status_code == 422
        assert not office.read(User, email="nina@example.com").has_usable_password()
        assert browser.post(path, {"password": PASSWORD}).status_code == 302

    @pytest.mark.parametrize(
        "wrong", [{"email": "nobody"}, {"role": "OPERATOR"}, {"role": ""}, {"email": "staff@example.com"}]
    )
    def test_refuses_what_can_not_be_invited(self, office: Office, wrong: dict[str, str]) -> None:
        before = office.counts()

        response = office.owner.post("/panel/staff/", {"email": "nina@example.com", "role": "MANAGER", **wrong})

        assert response.status_code == 422
        assert office.counts() == before

    def test_mails_again_only_to_who_has_no_password(self, office: Office) -> None:
        invited(office)
        nina = office.read(User, email="nina@example.com")

        again = office.owner.post(f"/panel/staff/{nina.pk}/resend/")
        jobs.run_all_due()
        refused = office.owner.post(f"/panel/staff/{office.users['STAFF']}/resend/")

        assert (again.status_code, refused.status_code) == (302, 422)
        assert [message.to for message in mail.outbox] == [["nina@example.com"]] * 2


class TestStaff:
    def test_roles_change_and_are_written_down(self, office: Office) -> None:
        office.owner.post(f"/panel/staff/{office.users['VIEWER']}/role/", {"role": "OWNER"})

        assert office.read(User, pk=office.users["VIEWER"]).role == "OWNER"
        assert office.acts()[-1] == "panel.staff.role"

    def test_the_last_owner_stays_owner_and_stays_in(self, office: Office) -> None:
        owner, before, browser = office.users["OWNER"], office.counts(), office.owner

        assert browser.post(f"/panel/staff/{owner}/role/", {"role": "MANAGER"}).status_code == 409
        assert browser.post(f"/panel/staff/{owner}/active/", {"active": "0"}).status_code == 409

        user = office.read(User, pk=owner)
        assert (user.role, user.is_active) == ("OWNER", True)
        assert office.counts() == before

    def test_of_two_owners_one_may_go(self, office: Office) -> None:
        browser = office.owner
        browser.post(f"/panel/staff/{office.users['STAFF']}/role/", {"role": "OWNER"})

        browser.post(f"/panel/staff/{office.users['STAFF']}/active/", {"active": "0"})

        assert not office.read(User, pk=office.users["STAFF"]).is_active

    def test_somebody_who_is_locked_out_is_out_at_once(self, office: Office) -> None:
        browser = office.staff
        assert browser.get("/panel/").status_code == 200

        office.owner.post(f"/panel/staff/{office.users['STAFF']}/active/", {"active": "0"})

        assert browser.get("/panel/").status_code == 302

    def test_are_found_filtered_sorted_and_exported(self, office: Office) -> None:
        invited(office)
        office.owner.post(f"/panel/staff/{office.users['VIEWER']}/active/", {"active": "0"})
        browser = office.owner

        def found(query: str) -> list[str]:
            return [user.email for user in browser.get(f"/panel/staff/?{query}").context["rows"]]

        owner = office.read(User, pk=office.users["OWNER"]).email
        assert found("q=NINA") == ["nina@example.com"]
        assert found("state=invited") == ["nina@example.com"]
        assert found("state=locked") == ["viewer@example.com"]
        assert found("state=in") == [owner, "staff@example.com"]
        assert found("role=MANAGER&sort=-name") == ["staff@example.com", "nina@example.com"]
        rows = csv_rows(browser.get("/panel/staff/?state=locked&export=csv"))
        assert [row[:4] for row in rows] == [
            ["Name", "Email", "Role", "State"], ["Viewer", "viewer@example.com", "Read only", "Locked out"],
        ]  # fmt: skip

    def test_the_only_owner_is_offered_no_way_out_of_the_shop(self, office: Office) -> None:
        alone = office.owner.get("/panel/staff/").content.decode()
        office.owner.post(f"/panel/staff/{office.users['STAFF']}/role/", {"role": "OWNER"})
        two = office.owner.get("/panel/staff/").content.decode()

        assert "only owner" in alone
        assert "Give up being an owner?" not in alone
        assert "only owner" not in two
        assert "Give up being an owner?" in two

    def test_a_refused_invitation_comes_back_open_and_filled_in(self, office: Office) -> None:
        body = office.owner.post(
            "/panel/staff/", {"email": "nobody", "name": "Nina", "role": "MANAGER"}
        ).content.decode()

        assert "data-open-now" in body
        assert 'value="Nina"' in body


class TestTokens:
    def test_a_token_is_shown_once_and_can_be_revoked(self, office: Office) -> None:
        browser = office.owner

        made = browser.post("/panel/tokens/", {"name": "Sheet", "scopes": ["orders:read"], "days": "90"})
        secret = made.context["secret"]
        row = office.read(ApiToken, name="Sheet")

        assert secret in made.content.decode()
        assert "no-store" in made["Cache-Control"]
        assert secret not in browser.get("/panel/tokens/").content.decode()
        assert row.scopes == ["orders:read"]
        assert timedelta(days=89) < row.expires_at - clock.utc_now() <= timedelta(days=90)
        browser.post(f"/panel/tokens/{row.pk}/revoke/")
        assert office.read(ApiToken, name="Sheet").revoked_at is not None
        assert office.acts()[-2:] == ["accounts.token.created", "accounts.token.revoked"]

    def test_are_found_filtered_and_exported(self, office: Office) -> None:
        browser = office.owner
        for name in ("Sheet", "Robot"):
            browser.post("/panel/tokens/", {"name": name, "scopes": ["orders:read"], "days": "never"})
        browser.post(f"/panel/tokens/{office.read(ApiToken, name='Robot').pk}/revoke/")

        def found(query: str) -> list[str]:
            return [token.name for token in browser.get(f"/panel/tokens/?{query}").context["rows"]]

        assert found("") == ["Sheet", "Robot"]
        assert found("state=live") == ["Sheet"]
        assert found("state=ended") == found("q=robo") == ["Robot"]
        assert office.read(ApiToken, name="Sheet").expires_at is None
        rows = csv_rows(browser.get("/panel/tokens/?state=live&export=csv"))
        assert [[row[0], row[3]] for row in rows] == [["Token", "May"], ["Sheet", "Read orders"]]

    @pytest.mark.parametrize("wrong", [{"scopes": []}, {"scopes": ["library:write"]}, {"name": " "}, {"days": "7"}])
    def test_refuses_what_a_shop_can_not_give(self, office: Office, wrong: dict[str, Any]) -> None:
        before = office.counts()

        response = office.owner.post(
            "/panel/tokens/", {"name": "Sheet", "scopes": ["orders:read"], "days": "90", **wrong}
        )

        assert response.status_code == 422
        assert office.counts() == before


class TestForgotten:
    def test_mails_a_link_to_who_has_a_log_in(self, office: Office) -> None:
        response = office.browser().post("/password/forgot/", {"email": "STAFF@example.com"})
        path = link(mail.outbox[-1])

        assert response.status_code == 200
        assert office.browser().post(path, {"password": ANOTHER}).status_code == 302
        assert office.read(User, pk=office.users["STAFF"]).check_password(ANOTHER)

    def test_answers_the_same_for_an_address_that_nobody_has(self, office: Office) -> None:
        known = office.browser().post("/password/forgot/", {"email": "staff@example.com"})
        unknown = office.browser().post("/password/forgot/", {"email": "stafg@example.com"})

        assert known.content.replace(b"staff@", b"stafg@")[-400:] == unknown.content[-400:]
        assert known.status_code == unknown.status_code == 200
        assert "/password/set/" not in mail.outbox[-1].body

    def test_a_mailbox_gets_three_an_hour(self, office: Office) -> None:
        for _turn in range(5):
            assert office.browser().post("/password/forgot/", {"email": "staff@example.com"}).status_code == 200

        assert len(mail.outbox) == 3

    def test_one_address_may_not_ask_without_end(self, office: Office) -> None:
        answers = [
            office.browser().post("/password/forgot/", {"email": f"n{turn}@example.com"}).status_code
            for turn in range(21)
        ]

        assert answers[-2:] == [200, 429]


class TestOwnPassword:
    def test_changes_and_logs_other_browsers_out(self, office: Office) -> None:
        here, elsewhere = office.viewer, office.viewer

        response = here.post("/password/", {"present": PASSWORD, "password": ANOTHER})

        assert response.status_code == 302
        assert here.get("/panel/").status_code == 200
        assert elsewhere.get("/panel/").status_code == 302

    @pytest.mark.parametrize(
        "data", [{"present": "wrong", "password": ANOTHER}, {"present": PASSWORD, "password": "short"}]
    )
    def test_refuses_a_wrong_present_one_and_a_weak_new_one(self, office: Office, data: dict[str, str]) -> None:
        before = office.counts()

        assert office.staff.post("/password/", data).status_code == 422
        assert office.read(User, pk=office.users["STAFF"]).check_password(PASSWORD)
        assert office.counts() == before

    def test_five_wrong_present_ones_are_a_pause_for_the_right_one_too(self, office: Office) -> None:
        browser = office.staff
        for guess in range(5):
            browser.post("/password/", {"present": f"guess {guess}", "password": ANOTHER})

        paused = browser.post("/password/", {"present": PASSWORD, "password": ANOTHER})

        assert paused.status_code == 422
        assert "Too many wrong passwords." in paused.content.decode()
        assert office.read(User, pk=office.users["STAFF"]).check_password(PASSWORD)

    def test_the_right_one_gives_no_more_tries_at_the_second_step(self, office: Office) -> None:
        with in_substation(office.shop):
            user = User.objects.get(pk=office.users["STAFF"])
            for _ in range(5):
                factors.begin_try(user)

        office.staff.post("/password/", {"present": PASSWORD, "password": ANOTHER})

        with in_substation(office.shop), pytest.raises(factors.TooManyTries):
            factors.begin_try(user)


class TestActivity:
    def test_finds_and_exports_what_was_done(self, office: Office) -> None:
        office.owner.post(f"/panel/listings/{office.goods.sku_id}/shelf/", {})

        found = office.owner.get("/panel/activity/?q=listings.shelf").context["records"]
        rows = csv_rows(office.owner.get("/panel/activity/?q=listings.shelf&export=csv"))

        assert [(str(row["deed"]), str(row["who"])) for row in found] == [
            ("Changed the shelf", str(self.owner(office)))
        ]
        assert rows[0] == ["Time", "Who", "What", "About", "Details", "IP address"]
        assert rows[1][1:3] == [str(self.owner(office)), "Changed the shelf"]

    def test_tells_what_was_done_in_the_readers_words(self, office: Office) -> None:
        browser, category = office.owner, office.category_id
        rule = {"scope": "CATEGORY", "target": category, "kind": "PERCENT", "value": "30", "rounding": "WHOLE"}
        browser.post("/panel/pricing/rule/", rule)
        browser.post("/panel/pricing/rule/", {**rule, "value": "40", "rounding": "NONE"})
        browser.post(f"/panel/listings/{office.goods.sku_id}/shelf/", {})
        browser.post(f"/panel/customise/categories/{category}/", {})
        browser.post(f"/panel/staff/{office.users['VIEWER']}/role/", {"role": "MANAGER"})
        browser.post(f"/panel/products/{office.goods.product_id}/", {"own_name": "Night card", "own_sort": "3"})

        records = browser.get("/panel/activity/").context["records"]

        told = [(str(row["deed"]), str(row["about"].name), row["details"]) for row in records[:6]]
        with in_substation(office.shop):
            from tenant_apps.listings.models import ListedCategory

            name = ListedCategory.objects.get(pk=category).name_en
        assert told == [
            ("Changed the texts of a product", "Night card", "Name in your shop, Place in the list"),
            ("Changed a role", "viewer@example.com", "Read only → Manager"),
            ("Showed or hid a category", name, "hidden"),
            ("Changed the shelf", "", "1 SKU taken off the shelf"),
            ("Set a price rule", name, "+40% · before: +30% · 1 price changed"),
            ("Set a price rule", name, "+30% · Up to a whole · 1 price changed"),
        ]
        assert records[4]["about"].url == f"/panel/pricing/rule/?scope=CATEGORY&target={category}"

    def test_is_searched_by_person_deed_words_address_and_group(self, office: Office) -> None:
        browser = office.owner
        browser.post(f"/panel/listings/{office.goods.sku_id}/shelf/", {})
        browser.post("/panel/roles/new/", {"name": "Clerk", "permissions": ["goods.look"]})

        def found(query: str) -> list[str]:
            return [str(row["deed"]) for row in browser.get(f"/panel/activity/?{query}").context["records"]]

        assert found("q=made a role") == ["Made a role"]
        assert found("q=clerk") == ["Made a role"]
        assert found("q=127.0.0.1&group=goods") == ["Changed the shelf"]
        assert found("group=people") == ["Made a role", "The owner's log-in was made"]
        assert found("q=nothing of the kind") == []

    def test_says_what_a_role_was_given_and_lost(self, office: Office) -> None:
        browser = office.owner
        browser.post("/panel/roles/new/", {"name": "Clerk", "permissions": ["goods.look"]})
        pk = office.read(StaffRole, name="Clerk").pk
        browser.post(f"/panel/roles/{pk}/", {"name": "Clerk", "permissions": ["prices.change"]})

        newest = browser.get("/panel/activity/").context["records"][0]

        assert newest["details"] == "+ Change prices · − Look at goods and prices"

    def test_is_sorted_by_time_either_way(self, office: Office) -> None:
        browser = office.owner
        for on in ("", "1"):
            browser.post(f"/panel/listings/{office.goods.sku_id}/shelf/", {"on": on})

        newest = [row["record"].pk for row in browser.get("/panel/activity/").context["records"]]
        oldest = [row["record"].pk for row in browser.get("/panel/activity/?sort=at").context["records"]]

        assert newest == sorted(newest, reverse=True)
        assert oldest == newest[::-1]

    def test_what_concerns_staff_and_tokens_is_the_owners_to_read(self, office: Office) -> None:
        office.owner.post("/panel/tokens/", {"name": "Sheet", "scopes": ["orders:read"], "days": "90"})

        assert "Made an API token" in office.owner.get("/panel/activity/").content.decode()
        assert "Made an API token" not in office.staff.get("/panel/activity/").content.decode()

    def owner(self, office: Office) -> User:
        with in_substation(office.shop), pointed_at(office.shop):
            return User.objects.get(pk=office.users["OWNER"])


class TestPlan:
    """What the plan has room for is shown before it bites, and what it lacks is said."""

    @pytest.fixture
    def plan(self, office: Office) -> Iterator[Any]:
        """The plan that the shop is on, which other tests share."""
        from kameng.db.context import in_main
        from tenants.models import Plan

        def set_to(**terms: Any) -> None:
            with in_main():
                Plan.objects.filter(pk=office.shop.plan_id).update(**terms)
                hosts.forget(office.shop)

        yield set_to
        set_to(max_staff=None, max_listings=None, api_allowed=True)

    def test_says_how_many_people_there_is_room_for(self, office: Office, plan: Any) -> None:
        plan(max_staff=5)
        quiet = office.owner.get("/panel/staff/").content.decode()
        plan(max_staff=4)
        near = office.owner.get("/panel/staff/").content.decode()
        plan(max_staff=3)
        full = office.owner.get("/panel/staff/").content.decode()

        assert "3 of 5 people may log in" in quiet and "room for" not in quiet
        assert "3 of 4 people may log in" in near
        assert "3 of 3 people may log in" in full and "Nobody else can be invited." in full

    def test_refuses_an_invitation_beyond_it_and_keeps_what_was_typed(self, office: Office, plan: Any) -> None:
        plan(max_staff=3)
        before = office.counts()

        response = office.owner.post("/panel/staff/", {"email": "nina@example.com", "name": "Nina", "role": "MANAGER"})

        text = response.content.decode()
        assert response.status_code == 422
        assert "The plan has room for 3 people, and 3 may log in." in text
        assert 'value="nina@example.com"' in text
        assert office.counts() == before
        assert mail.outbox == []

    def test_says_how_full_the_shelf_is_and_refuses_more(self, office: Office, plan: Any) -> None:
        from tenant_apps.listings import selectors
        from tenant_apps.listings.models import Listing

        with in_substation(office.shop):
            used = selectors.for_sale_count()
            one = Listing.objects.filter(on_shelf=True, active=True).first()
            assert one is not None
        office.owner.post(f"/panel/listings/{one.pk}/shelf/", {"on": "0"})
        plan(max_listings=used - 1)

        page = office.owner.get("/panel/listings/").content.decode()
        refused = office.owner.post(f"/panel/listings/{one.pk}/shelf/", {"on": "1"})

        assert f"{used - 1:,} of {used - 1:,} SKUs on the shelf" in page
        assert refused.status_code == 409
        assert not office.read(Listing, pk=one.pk).on_shelf

    def test_without_an_api_no_token_is_made_and_none_that_was_works(self, office: Office, plan: Any) -> None:
        made = office.owner.post("/panel/tokens/", {"name": "till", "scopes": ["orders:read"], "days": "never"})
        secret = made.context["secret"]
        program = office.browser(HTTP_AUTHORIZATION=f"Bearer {secret}")
        assert program.get("/api/v1/panel/orders/").status_code == 200
        before = office.counts()
        plan(api_allowed=False)

        refused = program.get("/api/v1/panel/orders/")
        page = office.owner.get("/panel/tokens/").content.decode()
        again = office.owner.post("/panel/tokens/", {"name": "another", "scopes": ["orders:read"], "days": "never"})

        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
        assert "plan has no API" in refused.json()["error"]["message"]
        assert "The shop’s plan has no API" in page and "Make the token" not in page
        assert again.status_code == 422
        assert office.counts() == before
