"""Product pictures: checked, made smaller, encoded anew (which leaves out whatever was hidden in the file)."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageOps, UnidentifiedImageError

from kameng.accounts.types import Actor
from kameng.lib.errors import Invalid
from shared_apps.library.models import Product
from shared_apps.library.services._editing import update_product

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
EDGE = 1200  # The longer one, at most.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
QUALITY = 82


class PictureRefused(Invalid):
    """Not a picture that we can take."""

    code = "picture_refused"


def set_picture(*, product_id: int, stream: BinaryIO, by: Actor, now: datetime) -> Product:
    """Give a product its picture. Raises: PictureRefused, RowUnknown."""
    return update_product(product_id=product_id, picture=store_picture(stream), by=by, now=now)


def store_picture(stream: BinaryIO) -> str:
    """Keep a picture under MEDIA_ROOT/library/ by the hash of its content; answers its name. Raises: PictureRefused.

    The same picture twice is one file. It is served at /files/library/<name>.
    """
    content = _encoded(stream)
    name = f"{hashlib.sha256(content).hexdigest()[:32]}.webp"
    path = Path(settings.MEDIA_ROOT) / "library" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all, also when two upload it at once: the rename is one step.
        half = path.with_name(f".{name}.{os.getpid()}")
        half.write_bytes(content)
        half.replace(path)
    return name


def _encoded(stream: BinaryIO) -> bytes:
    raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise PictureRefused(_("The picture is larger than 10 MB. Please make it smaller."), field="picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # We have a limit of our own, below.
            picture: Image.Image = Image.open(io.BytesIO(raw), formats=FORMATS)
            if picture.width * picture.height > MAX_PIXELS:
                raise PictureRefused(_("The picture has more than 40 million points."), field="picture")
            picture = ImageOps.exif_transpose(picture)
            picture.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
            has_alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
            out = io.BytesIO()
            picture.convert("RGBA" if has_alpha else "RGB").save(out, "WEBP", quality=QUALITY, method=4)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        message = _("This is not a picture that we can read. Please use PNG, JPEG or WebP.")
        raise PictureRefused(message, field="picture") from error
    return out.getvalue()
