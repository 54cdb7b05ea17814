"""Words of the panel for its templates."""

from __future__ import annotations

from django import template

from kameng.lib.words import in_english
from tenant_apps.listings.models import MarkupRule
from tenant_apps.orders.models import OrderLine
from tenant_apps.panel import words

register = template.Library()


@register.filter
def rule_words(rule: MarkupRule) -> str:
    """`{{ rule|rule_words }}`: "+12%"."""
    return words.rule_words(rule)


@register.filter
def rounding_words(rule: MarkupRule | None) -> str:
    """`{{ rule|rounding_words }}`: "Up to 0.1", or nothing."""
    return words.rounding_words(rule) if rule else ""


@register.filter
def line_name(line: OrderLine) -> str:
    """What was bought, in the reader's language."""
    return (in_english() and line.name_en) or line.name_zh
