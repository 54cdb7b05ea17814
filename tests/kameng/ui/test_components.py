"""Components: what they write, and that nothing that is handed to them becomes markup."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.core.paginator import Paginator

from kameng.ui.fields import CardLabel
from tests.kameng.ui.rendering import Elements, rendered

HOSTILE = '"><script>alert(1)</script><i x="'


class TestButton:
    def test_is_a_button_that_sends_nothing_unless_told(self) -> None:
        assert Elements(rendered("<c-button>Go</c-button>")).first("button") == {
            "class": "k-btn k-btn-secondary k-btn-md",
            "type": "button",
        }

    def test_is_a_link_when_it_has_an_address(self) -> None:
        made = Elements(rendered('<c-button href="/x" kind="primary" size="lg" block class="extra">Go</c-button>'))
        assert made.first("a") == {"class": "k-btn k-btn-primary k-btn-lg k-btn-block extra", "href": "/x"}

    def test_is_no_link_when_it_is_disabled(self) -> None:
        made = Elements(rendered('<c-button href="/x" :disabled="closed">Go</c-button>', closed=True))
        assert made.all("a") == []
        assert "disabled" in made.first("button")

    def test_a_false_flag_leaves_it_enabled(self) -> None:
        assert "disabled" not in Elements(rendered('<c-button :disabled="closed" />', closed=False)).first("button")

    def test_an_icon_alone_has_a_name(self) -> None:
        assert Elements(rendered('<c-button square icon="x" label="Close" />')).first("button")["aria-label"] == "Close"

    def test_hands_through_what_it_does_not_know(self) -> None:
        made = Elements(
            rendered('<c-button hx-post="/x/{{ n }}/" name="deed" value="on" type="submit">Go</c-button>', n=7)
        )
        given = made.first("button")
        assert (given["hx-post"], given["name"], given["value"], given["type"]) == ("/x/7/", "deed", "on", "submit")


class Sample(forms.Form):
    name = forms.CharField(label="Name", help_text="As on the sign.", max_length=20)
    price = forms.DecimalField(label="Price", required=False)
    secret = forms.CharField(label="Secret", widget=forms.PasswordInput)
    plan = forms.ChoiceField(widget=forms.RadioSelect, choices=[("a", CardLabel("A", "small", "¥1")), ("b", "B")])
    open = forms.BooleanField(required=False)


class TestField:
    def test_ties_label_help_and_error_to_the_control(self) -> None:
        made = Elements(rendered('<c-field :field="form.name" />', form=Sample({})))
        control = made.first("input")

        assert made.first("label")["for"] == control["id"] == "id_name"
        assert control["aria-describedby"] == "id_name_help id_name_error"
        assert control["aria-invalid"] == "true"
        assert control["class"] == "k-input"
        assert control["maxlength"] == "20"

    def test_a_field_without_a_mistake_claims_none(self) -> None:
        control = Elements(rendered('<c-field :field="form.name" />', form=Sample())).first("input")
        assert "aria-invalid" not in control
        assert control["aria-describedby"] == "id_name_help"

    def test_numbers_align_right_and_say_what_is_optional(self) -> None:
        html = rendered('<c-field :field="form.price" suffix="CNY" />', form=Sample())
        assert Elements(html).first("input")["class"] == "k-input k-num"
        assert "optional" in html
        assert "CNY" in html

    def test_a_secret_never_comes_back_in_the_page(self) -> None:
        assert "hunter2" not in rendered('<c-field :field="form.secret" />', form=Sample({"secret": "hunter2"}))

    def test_choices_become_cards(self) -> None:
        html = rendered('<c-field :field="form.plan" kind="cards" />', form=Sample({"plan": "a"}))
        radios = Elements(html).all("input")
        assert [(radio["value"], "checked" in radio) for radio in radios] == [("a", True), ("b", False)]
        assert "small" in html
        assert "¥1" in html

    def test_a_switch_is_one_for_a_screen_reader(self) -> None:
        control = Elements(rendered('<c-field :field="form.open" kind="switch" />', form=Sample())).first("input")
        assert (control["type"], control["role"], control["class"]) == ("checkbox", "switch", "k-switch")

    def test_works_without_a_form_behind_it(self) -> None:
        source = '<c-field name="n" type="number" label="Count" value="3" error="Too few" min="1" required />'
        control = Elements(rendered(source)).first("input")
        assert control["type"] == "number"
        assert control["value"] == "3"
        assert control["min"] == "1"
        assert control["aria-invalid"] == "true"
        assert "required" in control

    def test_plain_options_mark_the_chosen_one(self) -> None:
        source = '<c-field name="s" kind="select" :options="pairs" value="b" />'
        options = Elements(rendered(source, pairs=[("a", "A"), ("b", "B")])).all("option")
        assert [("selected" in option) for option in options] == [False, True]


class TestTable:
    def test_rows_are_chosen_through_a_form_beside_the_table(self) -> None:
        source = (
            '<c-table select="bulk" action="/do/" total="300">'
            '<c-slot name="head"><c-th label="Name" sort="name" /></c-slot>'
            '<tr><c-row-select form="bulk" :value="row.id" :label="row.name" /><td>x</td></tr></c-table>'
        )
        made = Elements(rendered(source, row={"id": 7, "name": HOSTILE}, csrf_token="t"))

        assert made.first("form") == {"id": "bulk", "method": "post", "action": "/do/", "data-kameng-form": None}
        box = next(given for given in made.all("input") if given.get("name") == "ids")
        assert (box["value"], box["form"], box["aria-label"]) == ("7", "bulk", HOSTILE)
        assert made.unbalanced == []

    def test_a_plain_table_has_no_form(self) -> None:
        assert Elements(rendered("<c-table><tr><td>x</td></tr></c-table>")).all("form") == []

    def test_a_sorted_column_says_so(self) -> None:
        head = Elements(rendered('<c-th label="P" sort="price" num />', path="/?sort=-price")).first("th")
        assert head == {"class": "num", "scope": "col", "aria-sort": "descending"}


class TestPaging:
    def test_shows_where_one_is(self) -> None:
        html = rendered('<c-paging :page="page" />', path="/?q=a", page=Paginator(range(312), 20).page(6))
        assert "101–120 of 312" in html
        assert 'href="?q=a&amp;page=7"' in html

    def test_of_an_empty_list_has_no_numbers(self) -> None:
        assert Elements(rendered('<c-paging :page="page" />', page=Paginator([], 20).page(1))).all("a") == []

    def test_by_cursor(self) -> None:
        assert Elements(rendered('<c-paging next="?cursor=b" />')).first("a")["href"] == "?cursor=b"


class TestConfirmation:
    def test_names_what_will_be_gone_and_its_deed(self) -> None:
        source = (
            '<c-confirm id="c" title="Delete?" deed="Delete 12 codes" action="/x/" :gone="gone" name="ok" value="1" />'
        )
        html = rendered(source, gone=["12 codes"], csrf_token="t")
        assert "12 codes" in html
        assert Elements(html).first("form")["method"] == "post"
        assert Elements(html).all("button")[-1]["type"] == "submit"


EVERY_TEXT = [
    '<c-badge :label="x" :tone="x" />',
    '<c-badge label="{{ x }}" class="{{ x }}" />',
    '<c-button :label="x" :title="x" :href="x" />',
    '<c-button data-x="{{ x }}" :id="x">{{ x }}</c-button>',
    '<c-card :title="x" :text="x" :id="x">{{ x }}</c-card>',
    '<c-chip :label="x" :href="x" />',
    '<c-code :text="x" :label="x" />',
    '<c-code :masked="x" />',
    '<c-copy :text="x" />',
    '<c-confirm :title="x" :deed="x" :action="x" :gone="xs" :name="x" :value="x" />',
    '<c-crumbs :items="items" />',
    '<c-dialog :id="x" :title="x">{{ x }}</c-dialog>',
    '<c-drawer :title="x" />',
    '<c-empty :title="x">{{ x }}</c-empty>',
    '<c-event :title="x" :by="x" :text="x" :url="x" :tone="x" />',
    '<c-facts :items="items" />',
    '<c-field :name="x" :label="x" :help="x" :error="x" :value="x" :prefix="x" :placeholder="x" />',
    '<c-field :name="x" kind="cards" :options="pairs" :label="x" />',
    '<c-field :name="x" kind="select" :options="pairs" />',
    '<c-field :name="x" kind="textarea" :value="x" />',
    '<c-field :name="x" kind="switch" :label="x" :help="x" />',
    '<c-menu :label="x"><c-menu-item :label="x" :href="x" /></c-menu>',
    '<c-notice :title="x" :tone="x">{{ x }}</c-notice>',
    '<c-pow :challenge="x" />',
    '<c-price :minor="n" :saving="x" :stages="stages" />',
    '<c-progress :label="x" :text="x" />',
    '<c-qr :text="x" :label="x">{{ x }}</c-qr>',
    '<c-search :value="x" :placeholder="x" :label="x" />',
    '<c-segments :items="items" :label="x" />',
    '<c-stat :label="x" :value="x" :beside="x" :href="x" :help="x" />',
    '<c-step :title="x" :text="x" :aside="x" :state="x" />',
    '<c-stepper :name="x" :label="x" />',
    '<c-tabs :items="items" />',
    '<c-th :label="x" />',
    '<c-toast :text="x" :tone="x" />',
    '<c-upload :action="x" :help="x" :deed="x" :accept="x" />',
    '<c-waterfall :parts="parts" :total="n" :label="x" />',
    '<c-chart id="c" :option="option" :label="x" />',
]


class TestEscaping:
    @pytest.mark.parametrize("source", EVERY_TEXT)
    def test_no_text_becomes_markup(self, source: str) -> None:
        item: dict[str, Any] = {"label": HOSTILE, "url": HOSTILE, "value": HOSTILE, "active": True, "count": HOSTILE}
        html = rendered(
            source,
            x=HOSTILE,
            xs=[HOSTILE],
            n=100,
            csrf_token="t",
            items=[item, item],
            pairs=[(HOSTILE, CardLabel(HOSTILE, HOSTILE, HOSTILE))],
            stages=[{"label": HOSTILE, "value": HOSTILE, "reason": HOSTILE}],
            parts=[{"label": HOSTILE, "minor": 100, "note": HOSTILE, "url": HOSTILE, "tone": HOSTILE}],
            option={"title": HOSTILE},
        )
        made = Elements(html)

        assert "<script>" not in html
        assert [given for name, given in made.found if name == "i"] == []
        assert made.unbalanced == []
        assert made.open == []
