"""The HTML of the test channel: cashier, result, message, dashboard. No script, no outside file, no query."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import urlencode

from kameng.lib.money import format_minor

from .channel import BILL_ZONE, METHODS, Action
from .styles import CSS
from .words import words

NONCE = "{{nonce}}"  # Replaced per answer; nothing a merchant sends can hold it, for braces are written as entities.

# Glyphs of our own, in each method's familiar colour; the real marks belong to their owners.
_GLYPHS = {
    "alipay": '<path d="M6 8h12M12 5v3M8 12h8c-1 3-4 6-9 7M9 13c3 3 6 5 10 5.5" />',
    "wechat": '<path d="M10 5c-4 0-7 2.5-7 5.5 0 1.7 1 3.2 2.5 4.2L5 17l2.7-1.3" />'
    '<path d="M14.5 9.5c3.6 0 6.5 2.2 6.5 5 0 1.5-.8 2.8-2.1 3.7l.5 1.8-2.2-1'
    'c-.8.3-1.7.5-2.7.5-3.6 0-6.5-2.2-6.5-5s2.9-5 6.5-5z" />',
    "card": '<rect x="3" y="6" width="18" height="12" rx="2.5" /><path d="M3 10.5h18M7 14.5h3" />',
}
_STATE_GLYPHS = {
    "PAID": '<path d="M6 12.5l4 4 8-9" />',
    "PENDING": '<path d="M12 7v5l3.5 2" />',
    "FAILED": '<path d="M8 8l8 8M16 8l-8 8" />',
    "CANCELLED": '<path d="M8 8l8 8M16 8l-8 8" />',
    "EXPIRED": '<path d="M12 7v5l3.5 2" />',
}


def request_of(row: sqlite3.Row) -> dict[str, Any]:
    """What the merchant sent when the payment was opened."""
    data: dict[str, Any] = json.loads(row["request"])
    return data


def cashier(view: Mapping[str, Any], wish: Mapping[str, Any], settling: bool, language: str) -> str:
    """The hosted payment page, or the result once the payment is over or on its way."""
    say = words(language)
    is_open = view["status"] == "PENDING" and not settling
    body = _summary(view, wish, say) + (_methods(view, say) if is_open else _result(view, wish, say))
    form = (
        f'<form method="post" action="/pay/{view["id"]}">'
        f'<input type="hidden" name="lang" value="{"en" if language == "en" else "zh"}">'
        f"{body}{_cases(is_open, say)}</form>"
    )
    return _page(say["cashier"], f'<main class="sheet">{form}</main>', language)


def message(language: str, key: str, said: str = "", payment: str = "") -> str:
    """A page that says one thing: `key` is its title among the words, `said` its sentence."""
    say = words(language)
    back = (
        f'<a class="button quiet" href="/pay/{payment}?lang={escape(language)}">{say["cashier"]}</a>' if payment else ""
    )
    text = escape(said or say[f"{key}_said"])
    return _page(
        say[key], f'<main class="sheet result"><h1>{say[key]}</h1><p class="hint">{text}</p>{back}</main>', language
    )


def dashboard(payments: list[dict[str, Any]], language: str, *, newer: bool, more: bool) -> str:
    """The newest payments with what was tried to tell their merchants."""
    say = words(language)
    if payments:
        rows = "".join(_dashboard_row(view, say) for view in payments)
        content = f'<ul class="rows">{rows}</ul>'
    else:
        content = f'<p class="empty">{say["none"]}</p>'
    turn = f'<a href="/dashboard?lang={escape(language)}">{say["newest"]}</a>' if newer else ""
    if more:
        older = urlencode({"before": f"{payments[-1]['created_at']:.6f}", "lang": language})
        turn += f'<a href="/dashboard?{escape(older)}">{say["older"]}</a>'
    return _page(
        say["dashboard"],
        f'<main class="wide"><h1>{say["dashboard"]}</h1>{content}<nav class="turn">{turn}</nav></main>',
        language,
    )


def _summary(view: Mapping[str, Any], wish: Mapping[str, Any], say: Mapping[str, str]) -> str:
    merchant = wish["merchant_name"] or wish["title"]
    amount = format_minor(view["amount_minor"], view["currency"])
    # Shops that tell the channel nothing of what is sold send the order's number as the title: said once is enough.
    item = "" if wish["order_number"] in wish["title"] else wish["title"]
    item_row = f"<div><dt>{say['item']}</dt><dd>{escape(item)}</dd></div>" if item else ""
    initial = next((letter for letter in merchant if letter.isalnum()), "¥").upper()
    return (
        f'<header class="summary"><div class="who"><span class="avatar" aria-hidden="true">{escape(initial)}</span>'
        f'<span class="name"><small>{say["pay_to"]}</small>{escape(merchant)}</span></div>'
        f'<p class="amount{" long" if len(amount) > 11 else ""}">{escape(amount)}</p>'
        f"<dl>{item_row}"
        f'<div><dt>{say["order"]}</dt><dd class="mono">{escape(wish["order_number"])}</dd></div>'
        f"<div><dt>{say['until']}</dt><dd>{_moment(view['expires_at'])}</dd></div></dl></header>"
    )


def _methods(view: Mapping[str, Any], say: Mapping[str, str]) -> str:
    choices = "".join(
        f'<label class="method {name}"><span class="icon">{_glyph(_GLYPHS[name])}</span>'
        f"<span><b>{say[name]}</b><small>{say[name + '_hint']}</small></span>"
        f'<input type="radio" name="method" value="{name}"{" checked" if name == METHODS[0] else ""}></label>'
        for name in METHODS
    )
    amount = format_minor(view["amount_minor"], view["currency"])
    return (
        f"<fieldset><legend>{say['method']}</legend>{choices}</fieldset>"
        f'<button class="button" name="action" value="{Action.PAY}">{say["pay"]} {amount}</button>'
    )


def _result(view: Mapping[str, Any], wish: Mapping[str, Any], say: Mapping[str, str]) -> str:
    status = view["status"]
    received = ""
    if view["amount_paid_minor"]:
        received = f'<p class="received">{say["you_paid"]} {_money(view["amount_paid_minor"], view["currency"])}</p>'
    return (
        f'<section class="result {status.lower()}" role="status">'
        f'<span class="sign">{_glyph(_STATE_GLYPHS[status])}</span>'
        f'<h1>{say["state_" + status]}</h1>{received}<p class="hint">{say["said_" + status]}</p>'
        f'<a class="button" href="{escape(wish["return_url"])}">{say["back"]}</a></section>'
    )


def _cases(is_open: bool, say: Mapping[str, str]) -> str:
    every = (Action.LATER, Action.SHORT, Action.TWICE, Action.OVER, Action.FAIL, Action.CANCEL)
    actions = every if is_open else (Action.LATE,)
    buttons = "".join(
        f'<button name="action" value="{action}"><b>{say[action]}</b><small>{say[action + "_hint"]}</small></button>'
        for action in actions
    )
    wait = _number("delay_s", say["seconds"], "10") if is_open else ""
    return (
        f'<details class="cases"><summary>{say["cases"]}</summary><p class="hint">{say["cases_hint"]}</p>'
        f'<div class="knobs">{wait}{_number("notice_delay_s", say["delay"], "0")}'
        f"{_check('duplicate', say['duplicate'])}{_check('reorder', say['reorder'])}</div>"
        f'<div class="actions">{buttons}</div></details>'
    )


def _number(name: str, label: str, value: str) -> str:
    return (
        f'<label class="knob"><span>{label}</span>'
        f'<input type="number" name="{name}" value="{value}" min="0" max="86400" inputmode="numeric"></label>'
    )


def _check(name: str, label: str) -> str:
    return f'<label class="knob"><span>{label}</span><input type="checkbox" name="{name}"></label>'


def _dashboard_row(view: Mapping[str, Any], say: Mapping[str, str]) -> str:
    fee = sum(fact["fee_minor"] for fact in view["facts"])
    kept = view["amount_paid_minor"] - view["amount_refunded_minor"]
    said = f"{escape(view['account'])} · {escape(view['order_number'])} · {_moment(view['created_at'])}"
    money = (
        f'<span class="sum">{_money(view["amount_minor"], view["currency"])}</span>'
        f"<small>{say['received']} {_money(kept, view['currency'])}"
        f" · {say['fee']} {_money(fee, view['currency'])}</small>"
    )
    return (
        f'<li><div class="what"><a href="/pay/{view["id"]}"><b>{escape(view["title"])}</b></a>'
        f"<small>{said}</small></div>"
        f'<div class="money">{money}</div>'
        f'<div><span class="badge {view["status"].lower()}">{say["state_" + view["status"]]}</span></div>'
        f'<div class="told">{"".join(_notice(notice, say) for notice in view["notices"])}</div></li>'
    )


def _notice(notice: Mapping[str, Any], say: Mapping[str, str]) -> str:
    attempts = notice["attempts"]
    tries = f"{len(attempts)} {say['tries']}" if attempts else say["no_tries"]
    listed = "".join(
        f'<li><span class="mono">{_moment(attempt["at"])}</span> <b>{attempt["status"] or "—"}</b>'
        f" {escape(attempt['answer'][:80])}</li>"
        for attempt in attempts
    )
    return (
        f'<details><summary><span class="mono">{escape(notice["type"])}</span>'
        f" {say['notice_' + notice['state']]} · {tries}</summary><ol>{listed}</ol></details>"
    )


def _money(amount_minor: int, currency: str) -> str:
    return f'<span class="money-figure">{escape(format_minor(amount_minor, currency))}</span>'


def _moment(seconds: float) -> str:
    at = datetime.fromtimestamp(seconds, tz=UTC)
    shown = at.astimezone(BILL_ZONE).strftime("%m-%d %H:%M:%S")
    return f'<time datetime="{at.isoformat(timespec="seconds")}" title="UTC+08:00">{shown}</time>'


def _glyph(paths: str) -> str:
    return f'<svg viewBox="0 0 24 24" aria-hidden="true">{paths}</svg>'


def _page(title: str, content: str, language: str) -> str:
    say = words(language)
    code, other = ("en", "zh") if language == "en" else ("zh-CN", "en")
    # Braces in what merchants send can't form the nonce's mark: content is escaped of them once, here.
    safe = content.replace("{{", "&#123;&#123;")
    return (
        f'<!doctype html><html lang="{code}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="robots" content="noindex"><title>{title} · {say["test_channel"]}</title>'
        f'<style nonce="{NONCE}">{CSS}</style></head><body>'
        f'<div class="bar"><span class="brand">{say["test_channel"]}</span><span class="note">{say["test_hint"]}</span>'
        f'<a href="?lang={other}" hreflang="{other}">{say["other_language"]}</a></div>{safe}</body></html>'
    )
