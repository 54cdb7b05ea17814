"""The gallery shows every component, in both languages, and what it writes passes the content policy."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import translation

from kameng.ui import views
from kameng.ui.i18n import UI
from tests.kameng.ui.rendering import Elements

COMPONENTS = sorted(path.stem for path in (UI / "templates" / "cotton").glob("*.html"))
FRAMES = ["", *views.FRAMES]


def page(name: str, language: str, accent: str = "") -> str:
    request = RequestFactory().get("/ui/gallery/", {"accent": accent})
    request.csp_nonce = "n0nce"  # type: ignore[attr-defined]
    request.user = SimpleNamespace(is_authenticated=True, get_username=lambda: "chen@example.com")  # type: ignore[assignment]
    template = views.FRAMES[name] if name else "ui/gallery/index.html"
    with translation.override(language):
        return render_to_string(template, {**views._context(request), "user": request.user}, request=request)


@pytest.fixture(autouse=True)
def gallery_urls(settings_urlconf: None) -> None:
    """The gallery's own addresses, wherever the product hangs them."""


@pytest.fixture
def settings_urlconf() -> object:
    from django.test import override_settings

    with override_settings(ROOT_URLCONF="kameng.ui.urls"):
        yield


class TestGallery:
    @pytest.mark.parametrize("language", ["en", "zh-hans"])
    @pytest.mark.parametrize("frame", FRAMES)
    def test_every_frame_renders_whole(self, frame: str, language: str) -> None:
        made = Elements(page(frame, language))

        assert made.unbalanced == []
        assert made.open == []
        assert made.first("html")["lang"] == ("zh-Hans" if language == "zh-hans" else "en")

    def test_no_component_is_missing_from_it(self) -> None:
        sources = "".join(path.read_text("utf-8") for path in (UI / "templates").rglob("*.html"))
        used = {name.replace("-", "_") for name in re.findall(r"<c-([\w-]+)", sources)}
        assert set(COMPONENTS) - used == set()

    def test_chinese_leaves_no_english_behind(self) -> None:
        html = page("", "zh-hans")
        for english in ("Skip to the content", "Choose a file", "Select all", "min ago", "Keep it", "How this price"):
            assert english not in html

    @pytest.mark.parametrize("frame", FRAMES)
    def test_the_content_policy_has_nothing_to_block(self, frame: str) -> None:
        made = Elements(page(frame, "en"))

        for name, given in made.found:
            assert [key for key in given if key == "style" or key.startswith("on")] == [], (name, given)
            if name == "style" or (name == "script" and given.get("type") != "application/json"):
                assert given["nonce"] == "n0nce"

    @pytest.mark.parametrize("frame", FRAMES)
    def test_no_outside_host_is_named(self, frame: str) -> None:
        for _name, given in Elements(page(frame, "en")).found:
            for key in ("src", "href", "action"):
                assert not (given.get(key) or "").startswith(("http", "//"))

    @pytest.mark.parametrize("frame", FRAMES)
    def test_ids_are_unique_and_controls_have_names(self, frame: str) -> None:
        made = Elements(page(frame, "en"))
        ids = [str(given["id"]) for _name, given in made.found if given.get("id")]
        labels = {given.get("for") for given in made.all("label")}

        assert sorted(ids) == sorted(set(ids))
        for name, given in made.found:
            if name in {"input", "select", "textarea"} and given.get("type") not in {"hidden", "radio", "checkbox"}:
                assert given.get("aria-label") or given.get("id") in labels, given

    def test_a_storefront_names_nothing_of_the_main_station(self) -> None:
        html = page("storefront", "en")
        words = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", html, flags=re.DOTALL)
        assert "kameng" not in words.lower()
        assert "mark.svg" not in html

    def test_the_accent_reaches_the_head(self) -> None:
        assert "--accent:#00c853" not in page("storefront", "en")
        assert "--accent:#00c853" in page("storefront", "en", accent="00c853")


class TestErrorPages:
    @pytest.mark.parametrize("code", ["400", "403", "404", "409", "429", "500", "503"])
    @pytest.mark.parametrize("language", ["en", "zh-hans"])
    def test_render_with_no_context_at_all(self, code: str, language: str) -> None:
        with translation.override(language):
            made = Elements(render_to_string(f"{code}.html"))

        assert made.unbalanced == []
        assert len(made.all("h1")) == 1

    def test_say_the_reason_that_they_are_given(self) -> None:
        assert "The last code went to someone else." in render_to_string(
            "409.html", {"message": "The last code went to someone else."}
        )


class TestScripts:
    def test_what_a_page_loads_stays_under_100_kb(self) -> None:
        scripts = [*(UI / "static" / "ui" / "js").glob("*.js"), UI / "static" / "ui" / "vendor" / "htmx.min.js"]
        assert sum(path.stat().st_size for path in scripts) < 100_000

    @pytest.mark.parametrize("path", sorted((UI / "static" / "ui" / "js").glob("*.js")), ids=lambda path: path.name)
    def test_modules_evaluate_no_text_and_import_only_what_is_mapped(self, path: Path) -> None:
        from kameng.ui.words import MODULE_FILES

        source = path.read_text("utf-8")
        assert not re.search(r"\beval\(|new Function|\.onclick|https?://", source)
        for name in re.findall(r'(?:from|import\()\s*"([^"]+)"', source):
            assert name.removeprefix("kameng/") in MODULE_FILES, name

    def test_every_mapped_module_exists(self) -> None:
        from kameng.ui.words import MODULE_FILES

        for name in MODULE_FILES:
            assert (UI / "static" / "ui" / "js" / f"{name}.js").is_file(), name

    def test_every_word_that_a_script_says_is_handed_over(self) -> None:
        from kameng.ui.words import script_words

        sources = "".join(path.read_text("utf-8") for path in (UI / "static" / "ui" / "js").glob("*.js"))
        said = set(re.findall(r'words\("(\w+)"', sources)) | {f"password_{score}" for score in range(5)}
        assert said - set(script_words()) == set()


class TestAssets:
    def test_the_lock_holds_no_addresses(self) -> None:
        lock = (UI / "assets" / "package-lock.json").read_text("utf-8")
        assert '"resolved"' not in lock
        assert "https://registry" not in lock

    def test_the_built_sheet_has_the_components(self) -> None:
        css = (UI / "static" / "ui" / "app.css").read_text("utf-8")
        for name in (".k-btn", ".k-table", ".k-dialog", ".k-paybar", ".k-flow-bar", "--canvas"):
            assert name in css
