"""Translations: merged from every area, refused when they would break a page, read by gettext itself."""

from __future__ import annotations

import gettext
import io
import json
from pathlib import Path

import pytest

from kameng.cli.messages import CATALOGUE, SOURCES, merge, to_mo, to_po
from kameng.local.errors import LocalError


def _write(folder: Path, **areas: dict[str, str]) -> Path:
    for name, pairs in areas.items():
        (folder / f"{name}.po.json").write_text(json.dumps(pairs), encoding="utf-8")
    return folder


class TestMerge:
    def test_joins_the_areas(self, tmp_path: Path) -> None:
        assert merge(_write(tmp_path, a={"Pay": "支付", "Buy": "购买"}, b={"Pay": "支付", "Sell": "出售"})) == {
            "Pay": "支付",
            "Buy": "购买",
            "Sell": "出售",
        }

    def test_names_two_translations_that_differ(self, tmp_path: Path) -> None:
        with pytest.raises(LocalError, match=r"b\.po\.json: 'Pay' is '付款', in a\.po\.json '支付'"):
            merge(_write(tmp_path, a={"Pay": "支付"}, b={"Pay": "付款"}))

    def test_names_a_lost_placeholder(self, tmp_path: Path) -> None:
        with pytest.raises(LocalError, match="placeholders"):
            merge(_write(tmp_path, a={"%(count)s codes": "个卡密"}))

    def test_names_an_empty_translation(self, tmp_path: Path) -> None:
        with pytest.raises(LocalError, match="'Pay' has no translation"):
            merge(_write(tmp_path, a={"Pay": ""}))

    def test_names_a_sentence_that_is_there_twice(self, tmp_path: Path) -> None:
        (tmp_path / "a.po.json").write_text('{"Pay": "支付", "Pay": "付款"}', encoding="utf-8")

        with pytest.raises(LocalError, match="twice"):
            merge(tmp_path)


class TestCompile:
    def test_is_read_by_gettext(self) -> None:
        pairs = {"Pay": "支付", 'Say "yes"\nor no': "说“是”\n或否", "%(count)s codes": "%(count)s 个卡密"}

        catalogue = gettext.GNUTranslations(io.BytesIO(to_mo(pairs)))

        assert {english: catalogue.gettext(english) for english in pairs} == pairs
        assert catalogue.info()["language"] == "zh_Hans"

    def test_is_written_as_a_po_file_too(self) -> None:
        text = to_po({"b": "乙", 'a "x"\ny': "甲\n"})

        assert text.split("\n\n")[1:] == [
            'msgid ""\n"a \\"x\\"\\n"\n"y"\nmsgstr ""\n"甲\\n"',
            'msgid "b"\nmsgstr "乙"\n',
        ]

    def test_the_committed_catalogue_is_up_to_date(self) -> None:
        merged = merge(SOURCES)

        assert (CATALOGUE / "django.po").read_text(encoding="utf-8") == to_po(merged)
        assert (CATALOGUE / "django.mo").read_bytes() == to_mo(merged)
