"""An invoice as a PDF of A4, in Chinese or English, drawn from its own row and lines and nothing else.

Chinese is set in STSong-Light, a CID font of the PDF standard's own list: it is named and not embedded, so that a file has
a few kilobytes, and every reader brings a Chinese face along for it. Latin text is set in Helvetica.
"""

from __future__ import annotations

import io
from datetime import datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from kameng.lib.money import format_minor
from shared_apps.billing import texts
from shared_apps.billing.models import Invoice
from shared_apps.billing.states import InvoiceKind, InvoiceState, Method

CJK = "STSong-Light"
LATIN = "Helvetica"
BOLD = "Helvetica-Bold"
INK, MUTED, LINE = colors.HexColor("#1c2128"), colors.HexColor("#6b7280"), colors.HexColor("#dfe3e8")
MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN


def render(invoice: Invoice, *, english: bool) -> bytes:
    """The file's bytes. The invoice's lines, and what it reverses, must be loaded or readable."""
    _fonts()
    with translation.override("en" if english else "zh-hans"):
        title = _title(invoice)
        out = io.BytesIO()
        document = SimpleDocTemplate(
            out, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
            title=f"{title} {invoice.number}", author=invoice.seller_name, subject=invoice.number, creator="Kameng",
            invariant=True, lang="en" if english else "zh-CN",
        )  # fmt: skip
        document.build(
            [
                _head(invoice, title), Spacer(1, 9 * mm), _parties(invoice), Spacer(1, 9 * mm), _facts(invoice),
                Spacer(1, 7 * mm), _lines(invoice, english), Spacer(1, 8 * mm), *_foot(invoice),
            ]
        )  # fmt: skip
    return out.getvalue()


@cache
def _fonts() -> None:
    pdfmetrics.registerFont(UnicodeCIDFont(CJK))


def _title(invoice: Invoice) -> str:
    if invoice.kind == InvoiceKind.CREDIT:
        return _("Credit note")
    if invoice.kind == InvoiceKind.DEPOSIT:
        return _("Deposit receipt")
    return pgettext("document", "Invoice")


def _text(text: str, *, size: float = 10, bold: bool = False, right: bool = False, colour: Any = INK) -> Paragraph:
    """Words of any script: runs of Chinese and of Latin letters each in a face that has them."""
    latin = BOLD if bold else LATIN
    runs: list[str] = []
    for wide, run in _runs(text):
        runs.append(f'<font name="{CJK if wide else latin}">{escape(run)}</font>')
    style = ParagraphStyle(
        "text", fontName=latin, fontSize=size, leading=size * 1.45, textColor=colour, wordWrap="CJK",
        alignment=TA_RIGHT if right else 0,
    )  # fmt: skip
    return Paragraph("".join(runs).replace("\n", "<br/>"), style)


def _runs(text: str) -> list[tuple[bool, str]]:
    """(whether it needs the Chinese face, run) pairs. Helvetica has Latin-1 and little else; ¥ is in it."""
    runs: list[tuple[bool, str]] = []
    for char in text:
        wide = ord(char) > 0xFF and char not in "–—−"
        char = {"−": "-", "—": "-", "–": "-"}.get(char, char)
        if runs and runs[-1][0] == wide:
            runs[-1] = (wide, runs[-1][1] + char)
        else:
            runs.append((wide, char))
    return runs


def _head(invoice: Invoice, title: str) -> Flowable:
    state = str(InvoiceState(invoice.state).label)
    tone = {"PAID": "#15803d", "OPEN": "#b45309"}.get(invoice.state, "#6b7280")
    left = [_text(title, size=20, bold=True), _text(invoice.number, size=11, colour=MUTED)]
    right = [
        _text(format_minor(invoice.total_minor, invoice.currency), size=20, bold=True, right=True),
        _text(state, size=11, right=True, colour=colors.HexColor(tone)),
    ]
    return _grid([[left, right]], [WIDTH * 0.55, WIDTH * 0.45])


def _parties(invoice: Invoice) -> Flowable:
    def party(label: str, name: str, details: str) -> list[Flowable]:
        found: list[Flowable] = [_text(label, size=8.5, colour=MUTED), _text(name, size=11, bold=True)]
        return [*found, _text(details, size=9, colour=MUTED)] if details else found

    sides = [
        party(pgettext("invoice", "From"), invoice.seller_name, invoice.seller_details),
        party(pgettext("invoice", "To"), invoice.buyer_name, invoice.buyer_details),
    ]
    return _grid([sides], [WIDTH / 2, WIDTH / 2])


def _facts(invoice: Invoice) -> Flowable:
    facts = [(_("Issued"), _day(invoice.issued_at)), (_("Due on"), _day(invoice.due_at))]
    if invoice.paid_at:
        facts.append((pgettext("invoice", "Paid"), f"{_day(invoice.paid_at)} · {Method(invoice.paid_by).label}"))
    if invoice.period_start and invoice.period_end:
        facts.append((_("Period"), texts.days(invoice.period_start, invoice.period_end)))
    if invoice.reverses:
        facts.append((_("Reverses"), invoice.reverses.number))
    cells = [[_text(label, size=8.5, colour=MUTED), _text(value, size=9.5)] for label, value in facts]
    return _grid([cells], [WIDTH / len(cells)] * len(cells))


def _lines(invoice: Invoice, english: bool) -> Flowable:
    rows: list[list[Any]] = [
        [_text(_("What"), size=8.5, colour=MUTED), _text(_("Amount"), size=8.5, colour=MUTED, right=True)]
    ]
    for line in invoice.lines.all():
        rows.append(
            [
                _text(line.text_en if english else line.text_zh),
                _text(format_minor(line.amount_minor, invoice.currency), right=True),
            ]
        )  # fmt: skip
    rows.append(
        [_text(_("Sum"), bold=True), _text(format_minor(invoice.total_minor, invoice.currency), bold=True, right=True)]
    )
    table = _grid(rows, [WIDTH * 0.74, WIDTH * 0.26])
    table.setStyle(
        TableStyle([
            ("LINEBELOW", (0, 0), (-1, -2), 0.5, LINE), ("LINEABOVE", (0, 0), (-1, 0), 0.5, LINE),
            ("TOPPADDING", (0, 0), (-1, -1), 5), ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
        ])
    )  # fmt: skip
    table.repeatRows = 1
    return table


def _foot(invoice: Invoice) -> list[Flowable]:
    found: list[Flowable] = []
    if invoice.kind == InvoiceKind.DEPOSIT:
        found.append(
            _text(_("The deposit stays your money: it is given back when the shop closes."), size=9, colour=MUTED)
        )
    if invoice.transfer_id:
        found.append(
            _text(_("In the ledger as %(transfer)s") % {"transfer": invoice.transfer_id}, size=8.5, colour=MUTED)
        )
    if invoice.provider_ref:
        found.append(
            _text(_("At the channel as %(reference)s") % {"reference": invoice.provider_ref}, size=8.5, colour=MUTED)
        )
    return [_grid([[part]], [WIDTH]) for part in found]


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(texts.zone()):%Y-%m-%d}"


def _grid(rows: list[list[Any]], widths: list[float]) -> Table:
    table = Table(rows, colWidths=widths)
    table.setStyle(
        TableStyle([
            ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 6), ("TOPPADDING", (0, 0), (-1, -1), 0),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
        ])
    )  # fmt: skip
    return table
