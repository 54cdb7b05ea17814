"""Log in by email and password, in the schema of the host that was asked."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest

from kameng.accounts.models import User


class EmailBackend(BaseBackend):
    """No answer tells whether the address or the password was wrong, nor does the time it takes."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        if not username or password is None:
            return None
        user = User.objects.filter(email__iexact=username.strip()).first()
        if user is None:
            make_password(password)  # As much work as a check.
            return None
        return user if user.check_password(password) and user.is_active else None

    def get_user(self, user_id: int) -> User | None:
        return User.objects.select_related("own_role").filter(pk=user_id, is_active=True).first()
