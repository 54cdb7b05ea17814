"""Names in two languages, for the library's rows and for their copies in the shops."""

from __future__ import annotations

from typing import Any

from django.db import models

from kameng.lib.words import in_english


def localized(row: Any, field: str) -> str:
    """`row`'s text in the reader's language, or in Chinese where it has no other."""
    english = in_english() and getattr(row, f"{field}_en")
    return str(english or getattr(row, f"{field}_zh"))


class Named(models.Model):
    """A name in both languages; `name` is the reader's."""

    name_zh = models.CharField(max_length=120)
    name_en = models.CharField(max_length=120, blank=True, default="")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return localized(self, "name")
