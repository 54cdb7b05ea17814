"""Log-in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from kameng.accounts import catalogue
from kameng.accounts.models import place


class LoginForm(forms.Form):
    email = forms.EmailField(
        label=_("Email"), widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(
        label=_("Password"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user: Any = None
        if self.data.get("email"):  # Came back: the address stands there already, the password is what to type.
            self.fields["email"].widget.attrs.pop("autofocus")
            self.fields["password"].widget.attrs["autofocus"] = True

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("email") and data.get("password"):
            self.user = authenticate(self.request, username=data["email"], password=data["password"])
            if self.user is None:
                raise forms.ValidationError(
                    _("Email or password is wrong. After five wrong tries log-in pauses for 15 minutes.")
                )
        return data


class ForgotForm(forms.Form):
    email = forms.EmailField(
        label=_("Email"), widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )


def _new_password(label: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password", "data-strength": ""})
    return forms.CharField(label=label, strip=False, max_length=1000, min_length=10, widget=widget)


class SetPasswordForm(forms.Form):
    password = _new_password(_("New password"))


class ChangePasswordForm(forms.Form):
    present = forms.CharField(
        label=_("Present password"), strip=False, max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )  # fmt: skip
    password = _new_password(_("New password"))


def choose_from(form: forms.BaseForm, choices: Any) -> None:
    """Give the form's `role` its choices: own roles are rows."""
    field = form.fields["role"]
    assert isinstance(field, forms.ChoiceField)
    field.choices = choices


class RoleForm(forms.Form):
    """A role of the place's own. Its permissions are ticked by group; the template draws them from `groups`."""

    name = forms.CharField(
        label=_("Name of the role"), max_length=60, error_messages={"required": _("Name the role.")},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip

    def __init__(self, *args: Any, mine: frozenset[str], **kwargs: Any) -> None:
        """`mine`: what the reader may do. The rest is shown and can't be given."""
        super().__init__(*args, **kwargs)
        self.mine = mine

    @property
    def ticked(self) -> set[str]:
        """What is ticked: as it was sent, else as the role has it."""
        if self.is_bound:
            data: Any = self.data
            return set(data.getlist("permissions"))
        return set(self.initial.get("permissions", ()))

    def has_locked(self) -> bool:
        """Whether the reader sees a box that they can't tick."""
        return bool(set(catalogue.CATALOGUES[place()]) - self.mine)

    def groups(self) -> list[dict[str, Any]]:
        """The place's catalogue by group, each permission with its box."""
        ticked = self.ticked
        everything = catalogue.CATALOGUES[place()]
        return [
            {"label": label, "permissions": [
                {"code": one.code, "label": one.label, "proof": one.proof, "ticked": one.code in ticked,
                 "locked": one.code not in self.mine}
                for one in permissions
            ]}
            for label, permissions in catalogue.words(place(), everything)
        ]  # fmt: skip
