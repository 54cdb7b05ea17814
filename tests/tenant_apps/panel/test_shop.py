"""The shop's settings: all of them or none, and what was typed is never lost."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from tenant_apps.shop.models import ShopSettings
from tests.tenant_apps.panel.office import Office


def typed(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Night Market", "tagline": "Cards", "accent_choice": "#b45309", "accent": "#000000",
        "notice": "Back at nine", "about": "", "contact_qq": "80018", "contact_wechat": "", "contact_email": "",
        "service_hours": "9–23", "language": "en", "time_zone": "Asia/Tokyo", "open": "on", "seo_title": "",
        "seo_description": "", **changes,
    }  # fmt: skip


def picture(size: int = 8) -> io.BytesIO:
    out = io.BytesIO()
    Image.new("RGB", (size, size), "#b45309").save(out, "PNG")
    out.seek(0)
    out.name = "logo.png"
    return out


class TestSettings:
    def test_are_saved_and_stand_in_the_shop(self, office: Office) -> None:
        response = office.owner.post("/panel/settings/", typed(logo=picture()))

        assert response.status_code == 302
        row = office.read(ShopSettings, pk=1)
        assert (row.name, row.accent, row.notice, row.time_zone, row.open) == (
            "Night Market", "#b45309", "Back at nine", "Asia/Tokyo", True,
        )  # fmt: skip
        assert row.logo.startswith("logo-")
        assert "Night Market" in office.browser().get("/").content.decode()
        assert office.acts()[-2:] == ["shop.settings.updated", "shop.logo.set"]

    def test_a_colour_of_ones_own_is_taken_and_computed(self, office: Office) -> None:
        looked = office.owner.get("/panel/settings/accent/?accent_choice=custom&accent=%23FFE600")
        office.owner.post("/panel/settings/", typed(accent_choice="custom", accent="#FFE600"))

        assert looked.context["palette"].light.accent
        assert office.read(ShopSettings, pk=1).accent == "#ffe600"

    @pytest.mark.parametrize(
        "wrong",
        [{"name": ""}, {"name": "x" * 61}, {"accent_choice": "custom", "accent": "red"}, {"accent_choice": "#123456"},
         {"contact_email": "nobody"}, {"time_zone": "Mars/Olympus"}, {"language": "tlh"}, {"seo_description": "x" * 241}],
    )  # fmt: skip
    def test_one_that_is_wrong_saves_none_and_keeps_all_that_was_typed(
        self, office: Office, wrong: dict[str, str]
    ) -> None:
        before, acts = office.read(ShopSettings, pk=1), office.counts()

        response = office.owner.post("/panel/settings/", typed(tagline="still here", **wrong))

        assert response.status_code == 422
        assert 'value="still here"' in response.content.decode()
        after = office.read(ShopSettings, pk=1)
        assert (after.name, after.tagline, after.updated_at) == (before.name, before.tagline, before.updated_at)
        assert office.counts() == acts

    def test_a_file_that_is_no_picture_leaves_the_texts_as_they_were(self, office: Office) -> None:
        fake = io.BytesIO(b"<svg onload=alert(1)>")
        fake.name = "logo.png"
        acts = office.counts()

        response = office.owner.post("/panel/settings/", typed(name="Changed", logo=fake))

        assert response.status_code == 422
        assert "no PNG, JPEG, WebP or GIF" in response.content.decode()
        assert 'value="Changed"' in response.content.decode()
        assert office.read(ShopSettings, pk=1).name != "Changed"
        assert office.counts() == acts
