"""Shop addresses: the label before the platform's domain, as in `lucky-card.example.com`.

What is typed is normalised first (NFKC, lower case, outer white space), so that a full-width address works; then
what is no plain host label, or could pass for somebody else's, is refused in words that say what to do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence

from django.utils.translation import gettext_lazy as _

from kameng.lib import _reserved
from kameng.lib.errors import Invalid
from kameng.lib.words import shorten, worded

MIN_LENGTH, MAX_LENGTH = 3, 30
_PLAIN = re.compile(r"[a-z0-9-]+", re.ASCII)


class AddressRefused(Invalid):
    """The family of all refusals of a shop address."""

    code = "address_refused"


class AddressTooShort(AddressRefused):
    """Fewer than 3 characters, or nothing at all."""

    code = "address_too_short"


class AddressTooLong(AddressRefused):
    """More than 30 characters."""

    code = "address_too_long"


class AddressNotLatin(AddressRefused):
    """Letters of another script: a shop called 卡盟 needs a Latin address."""

    code = "address_not_latin"


class AddressMixedScript(AddressRefused):
    """Latin with letters of another script among them, which only look Latin: аpple."""

    code = "address_mixed_script"


class AddressBadCharacter(AddressRefused):
    """A dot, space, underscore, invisible or other character that no host label holds."""

    code = "address_bad_character"


class AddressHyphenMisplaced(AddressRefused):
    """A hyphen at either end, or two in a row."""

    code = "address_hyphen_misplaced"


class AddressEncoded(AddressRefused):
    """Begins with `xn--`: an encoded international name."""

    code = "address_encoded"


class AddressWithoutLetter(AddressRefused):
    """Digits only: reads like an order number or an IP address."""

    code = "address_without_letter"


class AddressReserved(AddressRefused):
    """A word the platform keeps for itself."""

    code = "address_reserved"


class AddressBrandLike(AddressRefused):
    """Could be taken for a bank, a payment service or the platform."""

    code = "address_brand_like"


def normalise(raw: str) -> str:
    """NFKC, lower case, without outer white space. Says nothing about validity."""
    return unicodedata.normalize("NFKC", raw[: MAX_LENGTH * 16]).strip().lower()


def validate(raw: str) -> str:
    """The address to store. Raises one of the AddressRefused family (field `slug`) for what must not be one."""
    slug = normalise(raw)
    _refuse_characters(slug)
    _refuse_shape(slug)
    if _is_reserved(slug):
        raise AddressReserved(
            worded(_("“%(slug)s” is kept for the platform. Choose another address."), slug=slug), field="slug"
        )
    if is_brand_like(slug):
        message = _("“%(slug)s” could be taken for a known company's own shop. Choose another address.")
        raise AddressBrandLike(worded(message, slug=slug), field="slug")
    return slug


def is_valid(raw: str) -> bool:
    """`validate` as a question."""
    try:
        validate(raw)
    except AddressRefused:
        return False
    return True


def suggest(wanted: str, taken: Callable[[Sequence[str]], Collection[str]], count: int = 4) -> list[str]:
    """Up to `count` free addresses near `wanted`, which itself may be taken or invalid.

    `taken` is asked once, with a short list, which of these are not free.
    """
    candidates = list(_candidates(wanted))[: count * 8]
    gone = set(taken(candidates))
    return [candidate for candidate in candidates if candidate not in gone][:count]


def _refuse_characters(slug: str) -> None:
    if not slug.isascii():
        foreign = next(char for char in slug if not char.isascii())
        shown = shorten(foreign) if foreign.isprintable() else f"U+{ord(foreign):04X}"
        if not any(char.isalpha() and not char.isascii() for char in slug):
            raise _bad_character(shown)
        if any("a" <= char <= "z" for char in slug):
            message = _("“%(char)s” is not a Latin letter, even if it looks like one. Type the address in a–z and 0–9.")
            raise AddressMixedScript(worded(message, char=shown), field="slug")
        message = _(
            "An address is written in Latin letters a–z, digits and hyphens; the shop's name can be in any language."
        )
        raise AddressNotLatin(message, field="slug")
    bad = next((char for char in slug if not _PLAIN.fullmatch(char)), None)
    if bad is not None:
        raise _bad_character(bad if bad.isprintable() and bad != " " else f"U+{ord(bad):04X}")


def _bad_character(shown: str) -> AddressBadCharacter:
    message = _("“%(char)s” can't be part of an address. Use letters a–z, digits and hyphens.")
    return AddressBadCharacter(worded(message, char=shown), field="slug")


def _refuse_shape(slug: str) -> None:
    if len(slug) < MIN_LENGTH:
        raise AddressTooShort(worded(_("An address has at least %(min)s characters."), min=MIN_LENGTH), field="slug")
    if len(slug) > MAX_LENGTH:
        raise AddressTooLong(worded(_("An address has at most %(max)s characters."), max=MAX_LENGTH), field="slug")
    if slug.startswith("xn--"):
        message = _("An address can't begin with “xn--”, which marks encoded names. Type it in plain letters.")
        raise AddressEncoded(message, field="slug")
    if slug[0] == "-" or slug[-1] == "-" or "--" in slug:
        message = _("Hyphens stand singly between letters or digits, not at the ends.")
        raise AddressHyphenMisplaced(message, field="slug")
    if not any("a" <= char <= "z" for char in slug):
        raise AddressWithoutLetter(_("An address needs at least one letter."), field="slug")


def _is_reserved(slug: str) -> bool:
    joined = slug.replace("-", "")
    return joined in _reserved.WORDS or _reserved.NUMBERED.fullmatch(joined) is not None


def _skeleton(text: str) -> str:
    """`text` as the eye takes it: 0 for o, 1 and l for i, rn for m. Only compared with other skeletons."""
    return text.translate(_reserved.LOOKALIKES).replace("rn", "m").replace("vv", "w")


def skeleton(slug: str) -> str:
    """An address as the eye takes it, hyphens apart: two with the same one are easily mistaken for each other."""
    return _skeleton(slug.replace("-", ""))


_ANYWHERE = tuple(_skeleton(brand) for brand in _reserved.BRANDS_ANYWHERE)
_AS_PART = frozenset(_skeleton(brand) for brand in _reserved.BRANDS_AS_PART)


def is_brand_like(slug: str) -> bool:
    """Whether a label could be taken for a bank, a payment service or the platform."""
    joined = skeleton(slug)
    parts = {_skeleton(part) for part in slug.split("-")} | {joined}
    return any(brand in joined for brand in _ANYWHERE) or not parts.isdisjoint(_AS_PART)


def _candidates(wanted: str) -> Iterator[str]:
    """Valid addresses near `wanted`, without repetition, the most natural first."""
    decomposed = unicodedata.normalize("NFKD", normalise(wanted))
    kept = "".join(char for char in decomposed if not unicodedata.combining(char))
    base = re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9]+", "-", kept)).strip("-")[: MAX_LENGTH - 6].strip("-")
    base = base or "lucky-card"  # Nothing Latin was typed: a neutral start is better than none.
    shapes = [
        "{0}",
        "{0}-shop",
        "{0}-card",
        "{0}-store",
        "my-{0}",
        "{0}-mall",
        "{0}-go",
        "the-{0}",
        "{0}-hub",
        "{0}-plus",
    ]
    shapes += ["{0}-" + str(number) for number in (8, 66, 88, 168, 520, 666, 888, *range(2, 40))]
    seen: set[str] = set()
    for shape in shapes:
        candidate = shape.format(base)
        if candidate not in seen and is_valid(candidate):
            seen.add(candidate)
            yield candidate
