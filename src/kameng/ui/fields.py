"""A form field as `<c-field>` draws it, from a Django BoundField or from plain attributes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
class CardLabel:
    """The label of a choice that is drawn as a card.

    `choices=[("pro", CardLabel(_("Professional"), _("Own domain"), "¥99"))]`
    """

    title: object
    text: object = ""
    aside: object = ""

    def __str__(self) -> str:
        return str(self.title)


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
        return replace(base, choices=_choices(field))
    shown: dict[str, Any] = {"id": element_id, **attrs}
    _mark(shown, base)
    if errors and _is_first_wrong(field):  # The page comes back at what has to be mended, without a script too.
        shown["autofocus"] = True
    if chosen == "text" and isinstance(field.field, (forms.IntegerField, forms.DecimalField)):
        shown["class"] += " k-num"
        fraction = isinstance(field.field, (forms.DecimalField, forms.FloatField))
        shown.setdefault("inputmode", "decimal" if fraction else "numeric")
    return replace(base, control=field.as_widget(attrs=shown))


def _is_first_wrong(field: BoundField) -> bool:
    return next((name for name in field.form.fields if name in field.form.errors), None) == field.name


def _choices(field: BoundField) -> tuple[dict[str, Any], ...]:
    """Choices of a radio or check list. A CardLabel gives a card its three parts."""
    rows: list[dict[str, Any]] = []
    for number, sub in enumerate(field.subwidgets):
        data = sub.data
        title, text, aside = _three(data["label"])
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


_INPUTS: dict[str, type[forms.Widget]] = {
    "text": forms.TextInput,
    "textarea": forms.Textarea,
    "checkbox": forms.CheckboxInput,
    "switch": forms.CheckboxInput,
    "password": forms.PasswordInput,
    "file": forms.FileInput,
    "hidden": forms.HiddenInput,
    "select": forms.Select,
}


def plain_view(
    *,
    kind: str,
    type: str,
    name: str,
    value: object,
    id: str,
    label: str,
    help: str,
    error: str,
    required: bool,
    checked: bool,
    options: Iterable[Any] | None,
    attrs: dict[str, Any],
) -> FieldView:
    """A field without a Django form behind it. `options` are (value, label) pairs; a CardLabel has three parts."""
    chosen = kind or (type if type in _INPUTS else "select" if options is not None else "text")
    element_id = id or f"id_{name}"
    base = FieldView(
        kind=chosen,
        id=element_id,
        name=name,
        label=str(label),
        help=str(help),
        errors=(str(error),) if error else (),
        required=required,
        control="",
        choices=(),
    )
    shown: dict[str, Any] = {"id": element_id, **attrs}
    if required:
        shown["required"] = True
    if chosen in {"radios", "cards", "checks"}:
        return replace(base, choices=_plain_choices(name, value, options or (), element_id, many=chosen == "checks"))
    _mark(shown, base)
    widget_class = _INPUTS.get(chosen, forms.TextInput)
    if widget_class is forms.Select:
        widget: forms.Widget = forms.Select(choices=list(options or ()))
    else:
        widget = widget_class()
    if widget_class is forms.TextInput:
        shown["type"] = type
        if type == "number":
            shown["class"] += " k-num"
    if widget_class is forms.CheckboxInput:
        shown.update({"value": value or "on"} | ({"checked": True} if checked else {}))
        return replace(base, control=widget.render(name, None, attrs=shown))
    return replace(base, control=widget.render(name, value, attrs=shown))


def _mark(shown: dict[str, Any], view: FieldView) -> None:
    """Adds to a control's attributes its class and what ties it to its help and errors."""
    shown["class"] = f"{_CSS.get(view.kind, 'k-input')} {shown.get('class', '')}".strip()
    if view.described_by:
        shown["aria-describedby"] = view.described_by
    if view.errors:
        shown["aria-invalid"] = "true"
    if view.kind == "switch":
        shown["role"] = "switch"
    if view.kind == "password":
        shown.setdefault("autocomplete", "current-password")


def _plain_choices(
    name: str, value: object, options: Iterable[Any], element_id: str, *, many: bool
) -> tuple[dict[str, Any], ...]:
    chosen = {str(one) for one in value} if many and isinstance(value, (list, tuple, set)) else {str(value)}
    rows = []
    for number, (option, label) in enumerate(options):
        title, text, aside = _three(label)
        rows.append(
            {
                "id": f"{element_id}_{number}",
                "name": name,
                "value": option,
                "checked": str(option) in chosen,
                "title": title,
                "text": text,
                "aside": aside,
                "required": False,
                "disabled": False,
                "type": "checkbox" if many else "radio",
            }
        )
    return tuple(rows)


def _three(label: Any) -> tuple[Any, Any, Any]:
    return (label.title, label.text, label.aside) if isinstance(label, CardLabel) else (label, "", "")
