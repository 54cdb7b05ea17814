"""A batch of codes by the name that people see."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Missing
from shared_apps.stock.models import CodeBatch


class BatchUnknown(Missing):
    """No such batch."""

    code = "batch_unknown"


def find_batch(public_id: str) -> CodeBatch:
    """Raises: BatchUnknown."""
    batch = CodeBatch.objects.filter(public_id=public_id).first()
    if batch is None:
        raise BatchUnknown(_("There is no such batch of codes."))
    return batch
