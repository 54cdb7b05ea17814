"""What the page of a substation shows of its life: steps, what is open, archives, domains, the proof of its erasure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext

from tenants import closing, domains
from tenants.archive import exports
from tenants.models import ErasureRecord, Substation, SubstationStep
from tenants.states import ExportState, SubstationEvent, SubstationState

LATEST = 10
TONES = {
    SubstationEvent.OPEN: "success", SubstationEvent.OPEN_ON_TRIAL: "success", SubstationEvent.RESUME: "success",
    SubstationEvent.KEEP: "success", SubstationEvent.SUBSCRIBE: "success", SubstationEvent.PAY: "success",
    SubstationEvent.SUSPEND: "warning", SubstationEvent.MISS_PAYMENT: "warning", SubstationEvent.BEGIN_CLOSING: "warning",
    SubstationEvent.CLOSE: "danger", SubstationEvent.ERASE: "danger",
}  # fmt: skip
_S = SubstationState
MAY_CLOSE = frozenset({_S.TRIAL, _S.ACTIVE, _S.PAST_DUE, _S.SUSPENDED})


def about(request: HttpRequest, row: Substation) -> dict[str, Any]:
    """The context of the page's part on the shop's life."""
    archives = [
        {
            "export": export, "under_way": export.state in exports.UNDER_WAY,
            "percent": round(100 * export.parts_done / export.parts_total) if export.parts_total else 0,
            "link": _link(request, row, export) if export.state == ExportState.DONE and not export.for_owner else "",
        }
        for export in exports.exports_of(row.pk)[:LATEST]
    ]  # fmt: skip
    return {
        "life": [(_told(step), TONES.get(SubstationEvent(step.event), "")) for step in row.lifecycle_steps.all()[:LATEST]],
        "matters": closing.open_matters(row) if row.state == _S.CLOSING else [],
        "closes_at": row.closing_at + timedelta(hours=settings.CLOSING_HOURS) if row.closing_at else None,
        "may_close": row.state in MAY_CLOSE, "archives": archives,
        "archive_under_way": any(item["under_way"] for item in archives),
        "may_export": row.state not in (_S.APPLIED, _S.PROVISIONING, _S.ERASED),
        "proof": ErasureRecord.objects.filter(substation=row).first(),
        "domains": domains.claims_of(row.pk),
    }  # fmt: skip


def archive_under_way(row: Substation) -> bool:
    """Whether one of the shop's archives waits or is being written."""
    return exports.exports_of(row.pk).filter(state__in=exports.UNDER_WAY).exists()


def _told(step: SubstationStep) -> SubstationStep:
    """With `told`: its reason in the reader's language where the product wrote it itself, else as a person typed it."""
    step.told = gettext(step.reason) if step.reason else ""  # type: ignore[attr-defined]
    return step


def _link(request: HttpRequest, row: Substation, export: Any) -> str:
    return reverse("console:fetch", args=[row.public_id, exports.make_link(export, request.get_host())])
