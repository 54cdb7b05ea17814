"""Which names a shop may bring as its own domain. Pure: no database, no DNS.

What is pasted is cleaned first (scheme, path, dot at the end), written as DNS has it (UTS 46, punycode), and then what is no
name, is ours or nobody's, or could pass for somebody else's, is refused in words that say what to do.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import cache

import idna
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from publicsuffixlist import PublicSuffixList

from kameng.lib import slugs
from kameng.lib.errors import Invalid
from kameng.lib.words import shorten, worded

CHALLENGE = "_kameng-challenge"
# The challenge stands in front of the name, and DNS takes 253 characters.
MAX_LENGTH = 253 - len(CHALLENGE) - 1
# Names that no public resolver answers for (RFC 6761, RFC 2606, RFC 8375, RFC 9476).
NOWHERE = frozenset(
    {"localhost", "local", "internal", "test", "example", "invalid", "onion", "alt", "arpa", "home", "lan"}
)
# Scripts that are written together in one word; any other mixture is there to deceive (UTS 39, highly restrictive).
TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
# Cyrillic, Greek and Armenian letters that the eye takes for Latin ones: a word of nothing else reads as a Latin word.
AS_LATIN = str.maketrans("аеорсухіјѕһԁԛԝкмнтвгпьӏɡαβεζηικμνορτυχγωոսցհ", "aeopcyxijshdqwkmhtbrnblgabezhikmnoptyxywnugh")
# Latin letters that no decomposition makes plain, by the words of their names in Unicode: ɢ is LATIN LETTER SMALL CAPITAL G, ø
# LATIN SMALL LETTER O WITH STROKE, ı LATIN SMALL LETTER DOTLESS I. A letter that has a name of its own is taken for another.
_BY_NAME = {
    "AE": "ae", "ALPHA": "a", "AO": "ao", "AU": "au", "AV": "av", "AY": "ay", "BETA": "b", "CHI": "x", "DELTA": "d", "ENG": "n",
    "ESH": "f", "ETH": "d", "EZH": "z", "GAMMA": "y", "IOTA": "i", "KRA": "k", "LAMBDA": "l", "OE": "oe", "OMEGA": "w",
    "OO": "oo", "PHI": "f", "SCHWA": "e", "SHARP S": "b", "THORN": "p", "UPSILON": "u", "WYNN": "p",
}  # fmt: skip
_SHAPES = "BARRED|CLOSED|DOTLESS|HALF|INSULAR|INVERTED|LONG|OPEN|REVERSED|SCRIPT|SIDEWAYS|SMALL|STIRRUP|TAILLESS|TOP|BOTTOM|TURNED"
_NAMED = re.compile(
    rf"LATIN (?:SMALL LETTER|LETTER SMALL CAPITAL) (?:(?:{_SHAPES}|SMALL CAPITAL) )*([A-Z]|{'|'.join(_BY_NAME)})(?: WITH .*)?"
)
# Those whose name says another thing than the eye does, or nothing.
_BY_EYE = {
    "ǀ": "l", "ǃ": "i", "œ": "oe", "ʌ": "a", "ɯ": "w", "ʍ": "m", "ɥ": "y", "ʉ": "u", "ᵻ": "i", "ᵾ": "u", "ꭇ": "r", "ꭏ": "u",
    "ꝇ": "l", "ꝛ": "r", "ꞻ": "a", "ꞽ": "i", "ꞿ": "u", "ƅ": "b", "ƨ": "s", "ƽ": "s",
}  # fmt: skip
_LATIN_ENDS = 0x1E000  # The last of them, of phonetics, are below.


class DomainRefused(Invalid):
    """The family: the name can't be a shop's own domain. Nothing was added."""

    code = "domain_refused"


class NotAName(DomainRefused):
    """No host name: a space, an underscore, one label alone, a port."""

    code = "domain_not_a_name"


class NameTooLong(DomainRefused):
    """More than 253 characters in all, or than 63 between two dots."""

    code = "domain_too_long"


class Wildcard(DomainRefused):
    """A star stands for many names; each is added by itself."""

    code = "domain_wildcard"


class IpAddress(DomainRefused):
    """An address of a machine, of version 4 or 6: it has no name to prove."""

    code = "domain_ip"


class OurOwn(DomainRefused):
    """The platform's own host or a name below it."""

    code = "domain_ours"


class PublicSuffix(DomainRefused):
    """A name under which anybody may have one: com, com.cn, github.io."""

    code = "domain_public_suffix"


class Lookalike(DomainRefused):
    """Letters of several scripts in one word, or one that reads as a name that it is not."""

    code = "domain_lookalike"


def clean(raw: str) -> str:
    """The name as DNS has it. Raises: the DomainRefused family (field `domain`)."""
    text = _bare(raw)
    if len(text) > 4 * MAX_LENGTH:
        raise _too_long()
    if "*" in text:
        raise Wildcard(
            _("A wildcard can't be connected. Add each name that your buyers type, such as shop.example.com."),
            field="domain",
        )
    if _is_ip(text):
        raise IpAddress(
            _("This is an IP address. A shop is connected by a name, such as shop.example.com."), field="domain"
        )
    name = _encoded(text)
    if len(name) > MAX_LENGTH:
        raise _too_long()
    _refuse_ours(name)
    _refuse_suffix(name)
    _refuse_lookalike(name)
    return name


def is_apex(name: str) -> bool:
    """Whether a name is registered as it is (example.com.cn): DNS allows no CNAME there."""
    return _suffixes().privatesuffix(name) == name


def shown(name: str) -> str:
    """As a person reads it."""
    try:
        return str(idna.decode(name))
    except idna.IDNAError:
        return name


def _bare(raw: str) -> str:
    text = raw[:2_000].strip().lower()
    for scheme in ("https://", "http://"):
        text = text.removeprefix(scheme)
    text = text.split("/", 1)[0]
    # Full stops of other scripts are dots; idna says so too, and the checks before it need to know.
    return text.translate({0x3002: ".", 0xFF0E: ".", 0xFF61: "."}).rstrip(".")


def _is_ip(text: str) -> bool:
    bare = text.strip("[]").split("%")[0]
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        # 127.1, 0x7f.1 and 2130706433 are addresses to a browser: its last label begins with a digit.
        last = bare.rsplit(".", 1)[-1]
        return last.isdigit() or (
            last.startswith("0x") and len(last) > 2 and all(c in "0123456789abcdef" for c in last[2:])
        )
    return True


def _encoded(text: str) -> str:
    try:
        name = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
        for label in name.split("."):
            idna.decode(label)  # What claims to be encoded must be.
    except idna.IDNAError as error:
        if len(text) > MAX_LENGTH:
            raise _too_long() from error
        raise _no_name(text) from error
    except UnicodeError as error:
        raise _no_name(text) from error
    if "." not in name:
        raise _no_name(text)
    return name


def _no_name(text: str) -> NotAName:
    message = _("“%(name)s” is no domain name. It looks like shop.example.com, without a port, a path or spaces.")
    return NotAName(worded(message, name=shorten(text)), field="domain")


def _too_long() -> NameTooLong:
    return NameTooLong(worded(_("A domain has at most %(max)s characters."), max=MAX_LENGTH), field="domain")


def _refuse_ours(name: str) -> None:
    base = settings.BASE_DOMAIN
    if name == base or name.endswith(f".{base}"):
        message = _(
            "%(name)s belongs to the platform. Your shop has its address here already; add a domain of your own."
        )
        raise OurOwn(worded(message, name=name), field="domain")


def _refuse_suffix(name: str) -> None:
    ending = name.rsplit(".", 1)[-1]
    if ending in NOWHERE and ending not in settings.DOMAIN_TEST_ENDINGS:
        message = _("Names that end in .%(ending)s are not reached from outside. Add a registered domain.")
        raise PublicSuffix(worded(message, ending=ending), field="domain")
    if _suffixes().privatesuffix(name) is None:
        message = _("%(name)s is nobody's own: anybody may have a name below it. Add yours, such as shop.%(name)s.")
        raise PublicSuffix(worded(message, name=name), field="domain")


def _refuse_lookalike(name: str) -> None:
    readable = shown(name)
    own = readable.removesuffix("." + shown(str(_suffixes().publicsuffix(name))))
    for label in own.split("."):
        scripts = {_script(char) for char in label} - {""}
        if len(scripts) > 1 and not any(scripts <= group for group in TOGETHER):
            message = _(
                "“%(label)s” mixes letters of several scripts, which only look alike. Use one script for a name."
            )
            raise Lookalike(worded(message, label=label), field="domain")
        plain = _plain(label)
        pretends = scripts != {"LATIN"} or any(_is_no_spelling(char) for char in label)
        if not label.isascii() and plain.isascii() and pretends:
            message = _("“%(label)s” reads as “%(plain)s” and is not it. Buyers could not tell them apart.")
            raise Lookalike(worded(message, label=label, plain=plain), field="domain")
        # Of a word in which Latin stands among Chinese, what is Latin; other scripts have no part of it that reads by itself.
        if (plain.isascii() or "LATIN" in scripts) and slugs.is_brand_like(re.sub(r"[^a-z0-9-]+", "-", plain)):
            message = _("“%(label)s” could be taken for a known company's own site. Connect another domain.")
            raise Lookalike(worded(message, label=label), field="domain")


def _plain(label: str) -> str:
    """A label as the eye reads it, in plain letters where there is one for each."""
    if label.isascii():
        return label
    folded = unicodedata.normalize("NFKD", label).translate(AS_LATIN).translate(_plain_letters())
    return "".join(char for char in folded if not unicodedata.combining(char))


def _is_no_spelling(char: str) -> bool:
    """Small capitals and the g of phonetics: hardly a language is written with them, and a name in them is there to deceive."""
    name = unicodedata.name(char, "")
    return "SMALL CAPITAL" in name or "SCRIPT G" in name


@cache
def _plain_letters() -> dict[int, str]:
    """Letters beyond ASCII to those that they are read as; made once a process, when a name of other letters comes."""
    named = {code: _NAMED.fullmatch(unicodedata.name(chr(code), "")) for code in range(0x80, _LATIN_ENDS)}
    letters = {code: _BY_NAME.get(found[1], found[1].lower()) for code, found in named.items() if found}
    return letters | {ord(char): plain for char, plain in _BY_EYE.items()}


def _script(char: str) -> str:
    """The first word of a letter's name is its script; digits and hyphens have none."""
    return unicodedata.name(char, "").split(" ")[0] if char.isalpha() else ""


@cache
def _suffixes() -> PublicSuffixList:
    """Mozilla's list as the package brings it; read once a process. No network is asked."""
    return PublicSuffixList()
