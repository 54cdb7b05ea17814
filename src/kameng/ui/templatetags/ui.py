"""Tags and filters of the design system. A builtin in settings: no `{% load %}` needed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django import template
from django.conf import settings
from django.core.paginator import Page
from django.forms.boundfield import BoundField
from django.template.base import VariableDoesNotExist
from django.templatetags.static import static
from django.utils.html import conditional_escape, format_html, format_html_join, json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext

from kameng.lib import money as money_lib
from kameng.ui import drawing, fields, icons, theme, times, tones, words

register = template.Library()
BLANK = "\u2013"  # Nothing there: an en dash, so that a column keeps its shape.


@register.filter
def money(amount_minor: int | str | None, currency: str = "") -> str:
    """`{{ 123456|money:"CNY" }}` → ¥1,234.56. None → –. Without a currency: the network's."""
    if amount_minor is None or amount_minor == "":
        return BLANK
    return money_lib.format_minor(int(amount_minor), str(currency) or settings.CURRENCY)


@register.filter
def money_signed(amount_minor: int | str | None, currency: str = "") -> str:
    """The same with a plus before what came in: +¥12.00, −¥3.40, ¥0.00."""
    text = money(amount_minor, currency)
    return f"+{text}" if amount_minor and int(amount_minor) > 0 else text


@register.filter
def unit_price(unit: Decimal | str | None, currency: str = "") -> str:
    """`{{ unit|unit_price }}` → ¥12.50 or ¥0.0085: as many places as it has, at least the currency's."""
    if unit is None or unit == "":
        return BLANK
    return money_lib.format_unit(Decimal(unit), str(currency) or settings.CURRENCY)


@register.filter
def bps(value: int | None) -> str:
    """Ten-thousandths as percent: 1250 → 12.5%, -30 → −0.3%."""
    if value is None:
        return BLANK
    text = f"{Decimal(abs(int(value))) / 100:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{money_lib.MINUS if int(value) < 0 else ''}{text}%"


@register.filter
def signed_percent(value: Decimal | None) -> str:
    """Percent with its sign: Decimal("-5.3") → −5.3%, 8 → +8%."""
    if value is None:
        return "–"
    sign = "−" if value < 0 else "+" if value else ""
    return f"{sign}{abs(Decimal(value)).normalize():f}%"


@register.filter
def count(value: int | str | None) -> str:
    """A number with thousands parted: 1234567 → 1,234,567."""
    return BLANK if value is None or value == "" else f"{int(value):,}".replace("-", money_lib.MINUS)


@register.filter
def when(moment: datetime | None, style: str = "relative") -> SafeString | str:
    """`{{ dt|when }}`: relative with the exact time on hover. `|when:"exact"` to the minute, `|when:"date"` the day."""
    return BLANK if not moment else times.time_tag(moment, style=style)


@register.filter
def badge_tone(state: object) -> str:
    """The tone of a state: success, warning, danger, info or neutral."""
    return tones.tone_of(state)


@register.simple_tag
def icon(name: str, size: int = 20, css: str = "") -> SafeString:
    """`{% icon "search" %}`, `{% icon item.icon 16 "text-muted" %}`: an inline SVG in the text's colour."""
    return icons.icon_svg(str(name), int(size), css)


@register.simple_tag
def icon_names() -> list[str]:
    """All names that `{% icon %}` takes."""
    return list(icons.shapes())


@register.simple_tag(takes_context=True)
def query_string(context: template.Context, *drop: str, **changes: Any) -> str:
    """This page's query with some of it changed: `{% query_string sort="price" %}`; names alone are taken out.

    Empty values are left out; `page` and `cursor` go unless they are given: another filter starts at its first page.
    Returns "?…", and "?" alone when nothing is left, so that the link still leads to the bare page.
    """
    params = context["request"].GET.copy()
    for name in ("page", "cursor", *drop):
        params.pop(name, None)
    for name, value in changes.items():
        if value is None or value == "":
            params.pop(name, None)
        elif isinstance(value, (list, tuple)):
            params.setlist(name, [str(part) for part in value])
        else:
            params[name] = str(value)
    for name in [name for name in params if not any(params.getlist(name))]:
        params.pop(name)
    return f"?{params.urlencode()}"


@register.simple_tag
def html_attrs(attrs: Mapping[str, Any], css: str = "", **more: Any) -> SafeString:
    """Attributes of a component, escaped. `class` is joined to `css`; False, None and "" are left out.

    Cotton's own `{{ attrs }}` is not escaped; components use this.
    """
    given = {**more, **_plain(attrs)}
    css_all = f"{css} {given.pop('class', '') or ''}".strip()
    pairs = {"class": css_all, **given} if css_all else given
    return format_html_join(
        "",
        " {}",
        (
            ((conditional_escape(name),) if value is True else (format_html('{}="{}"', name, value),))
            for name, value in pairs.items()
            if value is not False and value is not None and value != ""
        ),
    )


@register.simple_tag
def field_view(field: BoundField, attrs: Any, label: str = "", help: str = "", kind: str = "") -> fields.FieldView:
    """What `<c-field>` draws of a BoundField."""
    return fields.view_of(field, label=label, help=help, kind=kind, attrs=_plain(attrs))


@register.simple_tag
def plain_field(attrs: Any, **given: Any) -> fields.FieldView:
    """What `<c-field>` draws without a form behind it."""
    given["required"], given["checked"] = bool(given["required"]), bool(given["checked"])
    return fields.plain_view(attrs=_plain(attrs), **given)


@register.simple_tag
def button_attrs(
    attrs: Any,
    *,
    kind: str,
    size: str,
    block: Any,
    square: Any,
    loading: Any,
    href: str,
    type: str,
    disabled: Any,
    label: str,
) -> SafeString:
    """Attributes of `<c-button>`: a link when it has an address and may be used, a button otherwise."""
    css = [
        "k-btn",
        f"k-btn-{kind}",
        f"k-btn-{size}",
        *(["k-btn-block"] if block else []),
        *(["k-btn-square"] if square else []),
    ]
    state: dict[str, Any] = {"href": href} if href and not disabled else {"type": type, "disabled": bool(disabled)}
    if loading:
        state |= {"data-loading": True, "aria-busy": "true"}
    if square and label:
        state |= {"aria-label": label, "title": label}
    return html_attrs(attrs, " ".join(css), **state)


@register.simple_tag
def page_numbers(page: Page[Any]) -> list[int | str]:
    """Numbers of a paged list around the present one, "…" for those left out."""
    numbers = page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)
    return [number if isinstance(number, int) else "…" for number in numbers]


@register.simple_tag(takes_context=True)
def sort_link(context: template.Context, key: str, default: str = "") -> dict[str, str]:
    """Address and present direction of a sortable column: `?sort=price`, then `?sort=-price`, then back.

    Args:
        default: The list's own order ("-created"), which stands when the address says none.
    """
    present = context["request"].GET.get("sort", default)
    direction = "ascending" if present == key else "descending" if present == f"-{key}" else ""
    return {"url": query_string(context, sort=f"-{key}" if direction == "ascending" else key), "direction": direction}


@register.simple_tag
def trend_of(change_bps: int | str | None, good: str = "up") -> dict[str, str] | None:
    """Words, arrow and tone of a change in ten-thousandths; None draws nothing. `good`: "up", "down" or "none"."""
    if change_bps is None or change_bps == "":
        return None
    change = int(change_bps)
    if change == 0:
        return {"text": bps(0), "icon": "minus", "tone": "neutral"}
    up = change > 0
    tone = "neutral" if good == "none" else "success" if up == (good == "up") else "danger"
    return {"text": f"+{bps(change)}" if up else bps(change), "icon": "trend-up" if up else "trend-down", "tone": tone}


@register.simple_tag
def repeat(times: int) -> range:
    """So many turns for `{% for %}`."""
    return range(int(times))


@register.simple_tag
def sparkline(values: Sequence[int], label: str = "") -> SafeString:
    """`{% sparkline values "Orders of the last 14 days" %}`."""
    return drawing.sparkline_svg(values, label=label)


@register.simple_tag
def waterfall_rows(parts: Sequence[Mapping[str, Any]], total_minor: int) -> list[drawing.WaterfallRow]:
    """Rows of `<c-waterfall>`."""
    return drawing.waterfall_rows(parts, int(total_minor))


@register.simple_tag
def qr(text: str, label: str = "") -> SafeString:
    """`{% qr url %}`: a QR code as inline SVG."""
    return drawing.qr_svg(str(text), label=label or gettext("QR code"))


@register.simple_tag
def bar_items(nav: Sequence[Mapping[str, Any]] | None, limit: int = 4) -> list[Mapping[str, Any]]:
    """What a phone's bottom bar holds: items marked `bar`, otherwise the first item of each group, at most `limit`."""
    groups = nav or []
    marked = [item for group in groups for item in group["items"] if item.get("bar")]
    firsts = [group["items"][0] for group in groups if group["items"]]
    return (marked or firsts)[:limit]


@register.simple_tag(takes_context=True)
def theme_style(context: template.Context, accent: str = "") -> SafeString:
    """The accent's custom properties as a nonce'd <style>. An empty or unreadable colour gives the network's own."""
    css = theme.accent_theme(accent if accent and theme.is_hex(accent) else theme.DEFAULT_ACCENT).css()
    return format_html('<style nonce="{}">{}</style>', _nonce(context), mark_safe(css))


@register.simple_tag(takes_context=True)
def ui_scripts(context: template.Context) -> SafeString:
    """htmx, the import map of our modules, their words, and the one entry that loads what a page needs."""
    htmx = static("ui/vendor/htmx.min.js")
    import_map, page, entry = _script_parts(get_language() or "", htmx)
    return format_html(
        '<script type="importmap" nonce="{0}">{1}</script>{2}<script nonce="{0}" src="{3}" defer></script>'
        '<script nonce="{0}" type="module" src="{4}"></script>',
        _nonce(context),
        import_map,
        page,
        htmx,
        entry,
    )


@lru_cache(maxsize=16)
def _script_parts(language: str, htmx: str) -> tuple[SafeString, SafeString, str]:
    """What every page of a language has in common; `htmx` is in the key, for other files have other hashes."""
    imports = {f"kameng/{name}": static(f"ui/js/{name}.js") for name in words.MODULE_FILES}
    addresses = {"pow-worker": static("ui/js/pow-worker.js"), "charts": static("ui/vendor/echarts.min.js")}
    import_map = mark_safe(json.dumps({"imports": imports}).replace("<", "\\u003c"))
    page = json_script({"words": words.script_words(), "addresses": addresses}, "kameng-page")
    return import_map, page, imports["kameng/behaviours"]


@register.simple_tag(takes_context=True)
def htmx_config(context: template.Context) -> SafeString:
    """htmx without eval and without styles of its own, its history fetched anew instead of kept in the browser."""
    config = {
        "includeIndicatorStyles": False,
        "allowEval": False,
        "inlineScriptNonce": _nonce(context),
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        "scrollBehavior": "smooth",
        "defaultSwapStyle": "outerHTML",
        "responseHandling": [
            {"code": "(204|304)", "swap": False},  # Nothing to show, or nothing new: a followed page stands.
            {"code": "[23]..", "swap": True},
            {"code": "422", "swap": True},  # A form that came back with its errors.
            {"code": "[45]..", "swap": False, "error": True},
        ],
    }
    return format_html('<meta name="htmx-config" content="{}">', json.dumps(config))


def _plain(attrs: Any) -> dict[str, Any]:
    """A component's attributes without those that it declared as its own."""
    return dict(attrs.attrs_dict() if hasattr(attrs, "attrs_dict") else attrs or {})


def _nonce(context: template.Context) -> str:
    """The request's nonce; empty where a page is rendered without a request (the error pages)."""
    try:
        return str(template.Variable("request.csp_nonce").resolve(context))
    except VariableDoesNotExist:
        return ""
