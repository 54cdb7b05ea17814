"""Every string has its Chinese, and the check says which has not."""

from __future__ import annotations

import gettext
import io
import json
from pathlib import Path

import pytest

from kameng.ui import i18n


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A repository with one package, its words and its catalogue."""
    ui = tmp_path / "src" / "kameng" / "ui"
    (ui / "locale_src").mkdir(parents=True)
    (ui / "templates").mkdir()
    write(ui / "locale_src" / "a.po.json", {"Save": "保存", "%(n)s left": "剩 %(n)s 件"})
    (ui / "views.py").write_text("from django.utils.translation import gettext as _\nx = _('Save')\n", "utf-8")
    i18n.build(tmp_path, ui)
    return tmp_path


def write(file: Path, words: dict[str, str]) -> None:
    file.write_text(json.dumps(words, ensure_ascii=False), "utf-8")


def ui_of(house: Path) -> Path:
    return house / "src" / "kameng" / "ui"


class TestExtraction:
    def test_follows_the_name_under_which_python_imported_it(self) -> None:
        source = (
            "from django.utils.translation import gettext_lazy as _, pgettext, ngettext\n"
            "from django.utils import translation\n"
            "a = _('One' ' two')\nb = pgettext('case', 'Open')\nc = ngettext('%(n)s day', '%(n)s days', n)\n"
            "d = translation.gettext('Four')\ne = _(word)\nfor _x in []: other('No')\n"
        )
        found = list(i18n.python_messages(source, "m.py"))
        assert [(message.line, message.key, message.plural) for message in found] == [
            (3, "One two", ""), (4, "case\u0004Open", ""), (5, "%(n)s day", "%(n)s days"), (6, "Four", ""),
        ]  # fmt: skip

    def test_an_underscore_of_somebody_elses_marks_nothing(self) -> None:
        assert list(i18n.python_messages("_ = print\n_('hello')\n", "m.py")) == []

    def test_refuses_an_f_string(self) -> None:
        source = "from django.utils.translation import gettext as _\nx = _(f'{n} left')\n"
        with pytest.raises(i18n.CatalogueError, match=r"m\.py:2"):
            list(i18n.python_messages(source, "m.py"))

    def test_reads_templates_also_inside_a_components_attributes(self) -> None:
        source = (
            '<c-button label="{% translate \'Save\' %}">{% trans "It\'s 1%" %}</c-button>\n'
            "{% blocktranslate with n=left trimmed %}\n  {{ n }} left\n{% endblocktranslate %}"
            '{% translate "Open" context "case" %}{{ _("Inline") }}'
        )
        keys = [message.key for message in i18n.template_messages(source, "t.html")]
        assert keys == ["Save", "It's 1%%", "%(n)s left", "case\u0004Open", "Inline"]


class TestCheck:
    def test_is_content_when_all_is_there(self, house: Path) -> None:
        assert i18n.check(house, ui_of(house)) == []

    def test_names_file_line_and_string_without_chinese(self, house: Path) -> None:
        (ui_of(house) / "templates" / "page.html").write_text("\n{% translate 'Delete' %}", "utf-8")

        assert i18n.check(house, ui_of(house)) == ["src/kameng/ui/templates/page.html:2: no Chinese for 'Delete'"]

    def test_finds_words_in_every_package(self, house: Path) -> None:
        for root in ("tenants", "shared_apps", "tenant_apps"):
            (house / root).mkdir()
            (house / root / "m.py").write_text(
                f"from django.utils.translation import gettext_lazy\nx = gettext_lazy('In {root}')\n", "utf-8"
            )
        problems = i18n.check(house, ui_of(house))
        assert [problem.split(":")[0] for problem in problems] == [
            "shared_apps/m.py",
            "tenant_apps/m.py",
            "tenants/m.py",
        ]

    def test_refuses_two_areas_that_disagree(self, house: Path) -> None:
        write(ui_of(house) / "locale_src" / "b.po.json", {"Save": "存档"})

        (problem,) = i18n.check(house, ui_of(house))
        assert problem == "b.po.json: 'Save' is '存档', but '保存' in a.po.json; give one of them a context"

    def test_samples_give_way(self, house: Path) -> None:
        write(ui_of(house) / "locale_src" / "_samples.po.json", {"Save": "存档"})

        assert i18n.check(house, ui_of(house)) == []

    @pytest.mark.parametrize("chinese", ["", "  ", None])
    def test_refuses_an_empty_translation(self, house: Path, chinese: str | None) -> None:
        write(ui_of(house) / "locale_src" / "b.po.json", {"New": chinese})  # type: ignore[dict-item]

        assert i18n.check(house, ui_of(house)) == ["b.po.json: 'New' has no Chinese"]

    def test_refuses_a_lost_placeholder(self, house: Path) -> None:
        write(ui_of(house) / "locale_src" / "b.po.json", {"%(count)s sold": "已售"})

        assert "different placeholders" in i18n.check(house, ui_of(house))[0]

    def test_refuses_a_file_that_is_no_json(self, house: Path) -> None:
        (ui_of(house) / "locale_src" / "b.po.json").write_text("{", "utf-8")

        assert i18n.check(house, ui_of(house))[0].startswith("b.po.json: ")

    def test_knows_a_stale_catalogue(self, house: Path) -> None:
        write(ui_of(house) / "locale_src" / "b.po.json", {"New": "新建"})

        assert i18n.check(house, ui_of(house)) == ["django.mo is stale: run python -m kameng.ui.i18n build"]

    def test_of_the_product_itself_finds_no_quarrel_between_areas(self) -> None:
        assert len(i18n.merged(i18n.UI / "locale_src")) > 100

    def test_of_the_design_system_finds_nothing_missing(self) -> None:
        used = i18n.used_messages(under="src/kameng/ui/")
        assert i18n.missing(i18n.merged(i18n.UI / "locale_src"), used) == []


class TestBuild:
    def test_writes_the_same_bytes_each_time(self, house: Path) -> None:
        target = ui_of(house) / "locale" / "zh_Hans" / "LC_MESSAGES"
        first = (target / "django.po").read_bytes(), (target / "django.mo").read_bytes()

        i18n.build(house, ui_of(house))

        assert ((target / "django.po").read_bytes(), (target / "django.mo").read_bytes()) == first

    def test_writes_nothing_when_areas_disagree(self, house: Path) -> None:
        target = ui_of(house) / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.mo"
        before = target.read_bytes()
        write(ui_of(house) / "locale_src" / "b.po.json", {"Save": "存档", "New": "新建"})

        with pytest.raises(i18n.CatalogueError):
            i18n.build(house, ui_of(house))
        assert target.read_bytes() == before

    def test_pythons_own_reader_understands_it(self) -> None:
        catalogue = i18n.entries(
            {"Save": "保存", "case\u0004Open": "待处理", "%(n)s day": "%(n)s 天", "Take 1%": "取 1%"},
            [i18n.Message("m.py", 1, "%(n)s day", "%(n)s days"), i18n.Message("t.html", 1, "Take 1%%")],
        )
        read = gettext.GNUTranslations(io.BytesIO(i18n.mo_bytes(catalogue)))

        assert read.gettext("Save") == "保存"
        assert read.pgettext("case", "Open") == "待处理"
        assert read.ngettext("%(n)s day", "%(n)s days", 5) == "%(n)s 天"
        assert read.gettext("Take 1%%") == "取 1%%"
        assert read.gettext("Unknown") == "Unknown"

    def test_po_text_is_escaped(self) -> None:
        assert 'msgid "say \\"hi\\"\\n"\nmsgstr "说"' in i18n.po_text({'say "hi"\n': "说"})
