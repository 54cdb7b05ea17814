"""The one address that channels call. On every host; the address names the account, not the shop."""

from __future__ import annotations

import structlog
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.transactions import own_transactions
from tenant_apps.payments import services

log = structlog.get_logger("payments")


def _plain(status: int, text: str) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")


@own_transactions
@method_decorator(csrf_exempt, name="dispatch")
class CallbackView(View):
    """POST /hooks/<channel>/<account>/: 2xx only once the event is stored; 400 what is not to be believed; 404 an
    account that is not ours; 413 too large."""

    http_method_names = ("post",)

    def post(self, request: HttpRequest, channel: str, account: str) -> HttpResponse:
        if int(request.META.get("CONTENT_LENGTH") or 0) > services.MAX_BODY:
            return _plain(413, "too large")
        body = request.read(services.MAX_BODY + 1)
        if len(body) > services.MAX_BODY:
            return _plain(413, "too large")
        try:
            answer = services.receive_callback(
                channel=channel, account_public_id=account, headers=request.headers, body=body, now=clock.utc_now()
            )
        except DomainError as refusal:
            log.info("payments.callback.refused", channel=channel, account=account, code=refusal.code)
            return _plain(404 if refusal.status == 404 else 400, refusal.code)
        return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)
