"""Who acts in a request."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from kameng.accounts.types import Actor, ActorKind


def client_ip(request: HttpRequest) -> str:
    """The peer's address. Behind our own proxy, kameng.middleware has put the visitor's there already."""
    return str(request.META.get("REMOTE_ADDR", ""))[:45]


def actor(request: HttpRequest) -> Actor:
    """The logged-in person or the token; a visitor otherwise."""
    user: Any = getattr(request, "user", None)
    request_id = getattr(request, "request_id", "")
    token = getattr(request, "auth", None)
    if token is not None and hasattr(token, "prefix"):
        return Actor(ActorKind.TOKEN, str(token.name), token.pk, client_ip(request), request_id, user.permissions)
    if getattr(user, "is_support", False):
        return Actor(ActorKind.SUPPORT, str(user), None, client_ip(request), request_id, user.permissions)
    if user is not None and user.is_authenticated:
        return Actor(ActorKind.USER, str(user), user.pk, client_ip(request), request_id, user.permissions)
    return Actor(ActorKind.BUYER, "buyer", None, client_ip(request), request_id)
