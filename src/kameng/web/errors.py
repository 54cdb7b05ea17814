"""Refusals and failures as pages, fragments and JSON; one shape each."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from kameng.lib.errors import DomainError, Forbidden, Refused


def wants_json(request: HttpRequest) -> bool:
    return request.path.startswith("/api/") or "application/json" in request.headers.get("Accept", "")


def error_json(error: DomainError) -> dict[str, Any]:
    """The API's one error shape."""
    body: dict[str, Any] = {"code": error.code, "message": str(error.message), "field": error.field or None}
    if error.details:
        body["details"] = error.details
    return {"error": body}


def refusal(request: HttpRequest, error: DomainError) -> HttpResponse:
    """The answer to a refusal that no form took up."""
    if wants_json(request):
        response: HttpResponse = JsonResponse(error_json(error), status=error.status)
    elif getattr(request, "htmx", False):
        # A toast: the page keeps what was typed.
        response = render(request, "web/refusal_fragment.html", {"error": error}, status=error.status)
        response["HX-Retarget"] = "#toasts"
        response["HX-Reswap"] = "beforeend"
    else:
        context = {"error": error, "message": error.message, "status": error.status}
        response = render(request, [f"{error.status}.html", "web/refusal.html"], context, status=error.status)
    if "retry_after_s" in error.details:
        response["Retry-After"] = str(error.details["retry_after_s"])
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW."""
    return refusal(
        request,
        Forbidden(_("This form is too old. Go back, reload the page and send it again; nothing was changed.")),
    )


def _page(status: int, code: str, title: str) -> Any:
    """A view that answers `status` with its page; `title` is for programs."""

    def view(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
        if wants_json(request):
            return JsonResponse({"error": {"code": code, "message": str(_(title)), "field": None}}, status=status)
        return render(request, f"{status}.html", status=status)

    return view


bad_request = _page(400, "bad_request", gettext_noop("That request can't be understood."))
permission_denied = _page(403, "forbidden", gettext_noop("You may not open this page."))
not_found = _page(404, "not_found", gettext_noop("There is nothing here."))


def server_error(request: HttpRequest) -> HttpResponse:
    """A surprise: the page needs no database and no context."""
    if wants_json(request):
        return JsonResponse(
            {
                "error": {
                    "code": "server_error",
                    "message": _("Something broke on our side. Nothing was changed."),
                    "field": None,
                }
            },
            status=500,
        )
    return render(None, "500.html", status=500)


__all__ = ["Refused", "bad_request", "csrf_failure", "error_json", "not_found", "permission_denied", "refusal"]
