"""Everything that writes the shop's settings."""

from __future__ import annotations

import hashlib
import io
import zoneinfo
from datetime import datetime
from typing import Any, BinaryIO

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageOps, UnidentifiedImageError

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.lib.errors import Invalid
from kameng.ui.theme import is_hex
from tenant_apps.shop.models import ShopSettings
from tenant_apps.shop.selectors import CACHE_KEY, read_settings
from tenant_apps.shop.types import ShopInfo

EDITABLE = frozenset(
    {
        "name", "tagline", "accent", "notice", "about", "contact_qq", "contact_wechat", "contact_email",
        "service_hours", "language", "time_zone", "open", "seo_title", "seo_description",
    }
)  # fmt: skip
TEXT_LIMITS = {"notice": 2_000, "about": 10_000}  # Text columns have no limit of their own, and pages must stay light.
MAX_LOGO_BYTES = 2 * 1024 * 1024
MAX_LOGO_PIXELS = 25_000_000  # A small file can unpack to gigabytes.
LOGO_EDGE = 512
LOGO_FORMATS = frozenset({"PNG", "JPEG", "WEBP", "GIF"})


class SettingsInvalid(Invalid):
    """A setting can't be used; `field` names it. Nothing was saved."""

    code = "settings_invalid"


class LogoRefused(Invalid):
    """The file is no picture that we can show. The logo stays as it was."""

    code = "logo_refused"


def update_settings(*, by: Actor, now: datetime, **changes: Any) -> ShopInfo:
    """Change some settings of the current shop (`EDITABLE` names them); answers all of them as they are now.

    In the shop's scope. Raises: SettingsInvalid, and TypeError for a name that is no setting.
    """
    unknown = set(changes) - EDITABLE
    if unknown:
        raise TypeError(f"No settings of a shop: {sorted(unknown)}")
    clean = {name: value.strip() if isinstance(value, str) else value for name, value in changes.items()}
    with transaction.atomic():
        row = ShopSettings.objects.select_for_update().get(pk=1)
        changed = {name: value for name, value in clean.items() if getattr(row, name) != value}
        for name, value in changed.items():
            setattr(row, name, value)
        _check(row)
        if changed:
            row.save(update_fields=[*changed, "updated_at"])
            audit.record(action="shop.settings.updated", by=by, target="shop", at=now, changed=sorted(changed))
        return _fresh()


def set_logo(*, file: BinaryIO, by: Actor, now: datetime) -> ShopInfo:
    """Take a picture as the shop's logo: decoded, turned upright, at most 512 pixels, written anew as WebP, so that
    nothing else of the upload is ever served. Raises: LogoRefused.
    """
    data = _as_webp(file)
    name = f"logo-{hashlib.sha256(data).hexdigest()[:24]}.webp"
    with transaction.atomic():
        row = ShopSettings.objects.select_for_update().get(pk=1)
        if not default_storage.exists(f"shop/{name}"):
            default_storage.save(f"shop/{name}", ContentFile(data))
        row.logo = name
        row.save(update_fields=["logo", "updated_at"])
        audit.record(action="shop.logo.set", by=by, target="shop", at=now, logo=name)
        return _fresh()


def remove_logo(*, by: Actor, now: datetime) -> ShopInfo:
    """Go back to the name's first letter. The file stays: pages that are open still show it."""
    with transaction.atomic():
        row = ShopSettings.objects.select_for_update().get(pk=1)
        row.logo = ""
        row.save(update_fields=["logo", "updated_at"])
        audit.record(action="shop.logo.removed", by=by, target="shop", at=now)
        return _fresh()


def tick_first_step(*, step: str, by: Actor, now: datetime) -> ShopInfo:
    """Note that one of the first-days' steps was done; doing it again changes nothing."""
    with transaction.atomic():
        row = ShopSettings.objects.select_for_update().get(pk=1)
        if not row.first_steps.get(step):
            row.first_steps = {**row.first_steps, step: True}
            row.save(update_fields=["first_steps", "updated_at"])
            audit.record(action="shop.first_step.done", by=by, target="shop", at=now, step=step)
        return _fresh()


def _fresh() -> ShopInfo:
    """The settings as this transaction has them; the cache forgets its copy once they are committed."""
    transaction.on_commit(lambda: cache.delete(CACHE_KEY))
    return read_settings()


def _check(row: ShopSettings) -> None:
    if not row.name:
        raise SettingsInvalid(_("The shop needs a name."), field="name")
    if not is_hex(row.accent) or len(row.accent) != 7:
        raise SettingsInvalid(_("A colour is written like #3b5bdb."), field="accent")
    if row.language not in dict(settings.LANGUAGES):
        raise SettingsInvalid(_("The shop does not speak this language."), field="language")
    if row.time_zone not in zoneinfo.available_timezones():
        raise SettingsInvalid(_("There is no such time zone."), field="time_zone")
    for name, limit in TEXT_LIMITS.items():
        if len(getattr(row, name)) > limit:
            raise SettingsInvalid(_("This text is too long."), field=name, details={"limit": limit})
    try:
        row.clean_fields()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise SettingsInvalid(messages[0], field=field) from None


def _as_webp(file: BinaryIO) -> bytes:
    raw = file.read(MAX_LOGO_BYTES + 1)
    if len(raw) > MAX_LOGO_BYTES:
        raise LogoRefused(_("The picture is larger than 2 MB."), field="logo")
    try:
        with Image.open(io.BytesIO(raw), formats=sorted(LOGO_FORMATS)) as picture:
            if picture.width * picture.height > MAX_LOGO_PIXELS:
                raise LogoRefused(_("The picture has too many pixels."), field="logo")
            upright = ImageOps.exif_transpose(picture).convert("RGBA")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise LogoRefused(_("This file is no PNG, JPEG, WebP or GIF picture."), field="logo") from None
    upright.thumbnail((LOGO_EDGE, LOGO_EDGE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    upright.save(out, "WEBP", quality=90, method=4)
    return out.getvalue()
