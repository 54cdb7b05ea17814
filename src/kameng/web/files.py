"""Files are kept in a folder per tenant, and a name can't lead out of it."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.files.storage import FileSystemStorage

from kameng.db.context import current_schema


class TenantStorage(FileSystemStorage):
    """FileSystemStorage below MEDIA_ROOT/<schema>; the folder is chosen at each call, not at start."""

    @property
    def base_location(self) -> str:
        return str(Path(settings.MEDIA_ROOT) / current_schema())

    @property
    def location(self) -> str:
        return str(Path(self.base_location).resolve())

    @property
    def base_url(self) -> str:
        return "/files/"
