"""How strong a password must be, by zxcvbn: guesses, not character classes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.password_validation import MinimumLengthValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

LEAST_SCORE = 2  # Of 0–4: more than 10^8 guesses.


class LengthValidator(MinimumLengthValidator):
    """Django's own, in words that have their Chinese: Django 5.2 changed its sentence and not its catalogue."""

    def get_error_message(self) -> str:
        return _("This password is too short. It must have at least %(count)s characters.") % {"count": self.min_length}


class StrengthValidator:
    """Django password validator."""

    def validate(self, password: str, user: Any = None) -> None:
        about = [str(getattr(user, "email", "")), str(getattr(user, "name", "")), "kameng"]
        # zxcvbn's work grows with the length; what is longer than this is strong by its length.
        result = zxcvbn(password[:72], user_inputs=[word for word in about if word])
        if result["score"] < LEAST_SCORE:
            raise ValidationError(
                _("This password is too easy to guess. Use a few unrelated words, or let your browser make one."),
                code="password_too_weak",
            )

    def get_help_text(self) -> str:
        return _("At least 10 characters; a few unrelated words are best.")
