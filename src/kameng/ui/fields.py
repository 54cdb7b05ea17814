"""A form field as `<c-field>` draws it, from a Django BoundField or from plain attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.utils.safestring import SafeString

_KINDS: tuple[tuple[type[forms.Widget], str], ...] = (
    (forms.CheckboxSelectMultiple, "checks"),
    (forms.RadioSelect, "radios"),
    (forms.CheckboxInput, "checkbox"),
    (forms.Textarea, "textarea"),
    (forms.ClearableFileInput, "file"),
    (forms.FileInput, "file"),
    (forms.Select, "select"),
    (forms.PasswordInput, "password"),
    (forms.HiddenInput, "hidden"),
)
_CSS = {
    "textarea": "k-input k-textarea",
    "select": "k-input k-select",
    "file": "k-file-input",
    "checkbox": "k-check",
    "switch": "k-switch",
}


@dataclass(frozen=True)
class FieldView:
    """What the template needs; words are already in the reader's language."""

    kind: str
    id: str
    name: str
    label: str
    help: str
    errors: tuple[str, ...]
    required: bool
    control: SafeString | str
    choices: tuple[dict[str, Any], ...]

    @property
    def described_by(self) -> str:
        """Ids of the help and error texts, for aria-describedby."""
        ids = [f"{self.id}_help"] if self.help else []
        return " ".join([*ids, f"{self.id}_error"] if self.errors else ids)


def kind_of(field: BoundField) -> str:
    """ "text", "textarea", "select", "radios", "checks", "checkbox", "file", "password" or "hidden"."""
    for widget, kind in _KINDS:
        if isinstance(field.field.widget, widget):
            return kind
    return "text"


def view_of(field: BoundField, *, label: str, help: str, kind: str, attrs: dict[str, Any]) -> FieldView:
    """A bound field, drawn.

    Args:
        label: Instead of the field's own, when not empty. So are `help` and `kind` ("switch", "cards").
        attrs: Further attributes of the control; True for those without a value.
    """
    natural = kind_of(field)
    chosen = kind or natural
    view_help = str(help or field.help_text or "")
    errors = tuple(str(error) for error in field.errors)
    element_id = field.auto_id or f"id_{field.html_name}"
    base = FieldView(
        kind=chosen,
        id=element_id,
        name=field.html_name,
        label=str(label or field.label or ""),
        help=view_help,
        errors=errors,
        required=field.field.required,
        control="",
        choices=(),
    )
    if chosen in {"radios", "cards", "checks"}:
        return FieldView(**{**base.__dict__, "choices": _choices(field)})
    shown: dict[str, Any] = {"id": element_id, **attrs, "class": f"{_CSS.get(chosen, 'k-input')} {attrs.get('class', '')}".strip()}
    if base.described_by:
        shown["aria-describedby"] = base.described_by
    if errors:
        shown["aria-invalid"] = "true"
    if chosen == "switch":
        shown["role"] = "switch"
    if chosen == "password":
        shown.setdefault("autocomplete", "current-password")
    if chosen == "text" and isinstance(field.field, (forms.IntegerField, forms.DecimalField)):
        shown["class"] += " k-num"
        shown.setdefault("inputmode", "numeric" if not isinstance(field.field, (forms.DecimalField, forms.FloatField)) else "decimal")
    return FieldView(**{**base.__dict__, "control": field.as_widget(attrs=shown)})


def _choices(field: BoundField) -> tuple[dict[str, Any], ...]:
    """Choices of a radio or check list. A label of the shape (title, text, aside) becomes a card's three parts."""
    rows: list[dict[str, Any]] = []
    for number, sub in enumerate(field.subwidgets):
        data = sub.data
        label = data["label"]
        parts = tuple(label) if isinstance(label, (tuple, list)) else (label,)
        title, text, aside = (*parts, "", "")[:3]
        rows.append(
            {
                "id": data["attrs"].get("id") or f"id_{field.html_name}_{number}",
                "name": data["name"],
                "value": data["value"],
                "checked": data["selected"],
                "title": title,
                "text": text,
                "aside": aside,
                "required": data["attrs"].get("required", False),
                "disabled": data["attrs"].get("disabled", False),
                "type": data["type"],
            }
        )
    return tuple(rows)
