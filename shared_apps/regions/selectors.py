"""What others read of regions, grants and leads. Main scope."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Prefetch, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from kameng.lib.words import in_english, shorten, worded
from shared_apps.regions.errors import GrantMissing, LeadMissing, RegionMissing, RegionUnclear
from shared_apps.regions.models import Lead, Region, RegionGrant
from shared_apps.regions.states import WAITING, LeadKind, LeadState

CHINA = "CN"
MOST_FOUND = 12  # Suggestions while somebody types.
MOST_WORDS = 6  # Of what somebody types; no name needs more to be found.
MOST_NAMED = 4  # Places of one name that a refusal counts up.
_SUFFIX = re.compile(r"(特别行政区|自治州|地区|盟|省|市|县)$")


def in_force(at: datetime) -> Q:
    """Of grants: those that hold at `at`."""
    return Q(starts_at__lte=at, ends_at__gt=at)


def holding(at: datetime) -> Q:
    """Of regions: those that somebody holds at `at`."""
    return Q(pk__in=RegionGrant.objects.filter(in_force(at)).values("region_id"))


# -- The tree.


def region(code: str) -> Region:
    """A region with what it lies in. Raises: RegionMissing."""
    found = Region.objects.select_related("parent__parent").filter(code=code).first()
    if found is None:
        raise RegionMissing(_("There is no such region."))
    return found


@dataclass(frozen=True, slots=True)
class Share:
    """A region and how much of it is held: `total` places can be, `held` of them are."""

    region: Region
    held: int
    total: int

    @property
    def fifths(self) -> int:
        """0 where nothing is held, 5 where everything is, 1 to 4 between: what a map colours by."""
        if not self.held:
            return 0
        return 5 if self.held >= self.total else 1 + min(3, 4 * self.held // self.total)


def shares(rows: Iterable[Region], at: datetime) -> list[Share]:
    """How much of each of these is held: of what lies right in it, or of itself where it is held whole."""
    regions = list(rows)
    inner = Region.objects.filter(parent__in=regions).order_by().values("parent_id")
    counted = inner.annotate(
        total=Count("pk", filter=Q(holdable=True)), held=Count("pk", filter=Q(holdable=True) & holding(at))
    )
    found = {row["parent_id"]: (row["held"], row["total"]) for row in counted}
    whole = set(Region.objects.filter(holding(at), pk__in=[one.pk for one in regions]).values_list("pk", flat=True))
    return [
        Share(one, int(one.pk in whole), 1) if one.holdable else Share(one, *found.get(one.pk, (0, 0)))
        for one in regions
    ]


def provinces(at: datetime) -> list[Share]:
    """China's, by code."""
    return shares(Region.objects.select_related("parent").filter(parent__code=CHINA), at)


def countries(at: datetime) -> list[Share]:
    """All but China, by name in the active language."""
    rows = Region.objects.filter(parent__isnull=True).exclude(code=CHINA)
    return sorted(shares(rows, at), key=lambda share: share.region.name)


def regions(
    *, query: str = "", parent: str = "", level: str = "", held: bool | None = None, at: datetime
) -> QuerySet[Region]:
    """Regions with what they lie in and who holds them now (`held_by`).

    Args:
        query: Parts of names, pinyin or initials, or a code; every word of it has to be found.
        parent: The code of what they lie right in.
        held: Only what can be held, and is, or is not.
    """
    rows = Region.objects.select_related("parent").prefetch_related(
        Prefetch(
            "grants", to_attr="held_by",
            queryset=RegionGrant.objects.filter(in_force(at)).select_related("substation"),
        )
    )  # fmt: skip
    for word in query.split():
        rows = rows.filter(Q(code__iexact=word) | _called(word) | _called(word, "parent__"))
    if parent:
        rows = rows.filter(parent__code=parent)
    if level:
        rows = rows.filter(level=level)
    if held is not None:
        rows = rows.filter(holding(at) if held else ~holding(at), holdable=True)
    return rows


def suggest(query: str) -> list[Region]:
    """Places that can be held and may be meant, the likeliest first: those that begin as typed, cities of China before."""
    text = _typed(query)[:60]
    if not text:
        return []
    words = _words(text)
    rows, first = _meant(words, code="code__istartswith"), words[0]
    begins = (
        Q(name_zh__startswith=first) | Q(name_en__istartswith=first) | Q(search__istartswith=first)
        | Q(search__icontains=f" {first}")
    )  # fmt: skip
    ranked = rows.alias(begins=begins).order_by(F("begins").desc(), "code")
    return list(ranked[:MOST_FOUND])


def resolve(text: str) -> Region:
    """The one place that can be held and is called so: by code, name, pinyin, or name with what it lies in.

    Raises: RegionUnclear, which counts up what it may be.
    """
    wanted = _plain(text)
    found = [
        row for row in _meant(_words(wanted), code="code__iexact") if _may_be(row, wanted) and wanted in _names(row)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        named = "; ".join(row.label for row in found[:MOST_NAMED])
        raise RegionUnclear(worded(_("There are several: %(named)s. Choose one."), named=named), field="region")
    raise RegionUnclear(
        worded(_("We don't know a city called “%(typed)s”. Choose one of the list, or leave it empty."), typed=shorten(text)),
        field="region",
    )  # fmt: skip


def _meant(words: list[str], *, code: str) -> QuerySet[Region]:
    """What can be held and may be called by these words, in whatever way; a little too much. `code`: how a code counts."""
    rows = Region.objects.select_related("parent").filter(holdable=True)
    for word in words:
        rows = rows.filter(Q(**{code: word}) | _called(word) | _named(word, "parent__"))
    return rows


def _words(text: str) -> list[str]:
    """The first few different words: anybody may ask, and each of them is looked for in every region."""
    return list(dict.fromkeys(text.replace(",", " ").split()))[:MOST_WORDS] or [text]


def _named(word: str, at: str = "") -> Q:
    """Of what has a region `at` ("region__"): those where `word` is a part of its name."""
    return Q(**{f"{at}name_zh__icontains": word}) | Q(**{f"{at}name_en__icontains": word})


def _called(word: str, at: str = "") -> Q:
    """As `_named`, or a part of its pinyin or initials."""
    return _named(word, at) | Q(**{f"{at}search__icontains": word})


def _typed(text: str) -> str:
    """One line of what can be seen: no control characters, which no name has and Postgres does not take."""
    return " ".join("".join(char if char.isprintable() else " " for char in text[:200]).split())


def _plain(text: str) -> str:
    return _typed(text).casefold()[:120]


def _may_be(row: Region, wanted: str) -> bool:
    """Whether `_names` can have it at all: asked first, for it costs a hundredth of them."""
    chinese, english = row.name_zh.casefold(), row.name_en.casefold()
    return (
        row.code.casefold() == wanted or english in wanted or chinese.startswith(wanted)
        or (chinese != "" and chinese in wanted) or row.search.casefold().startswith(wanted)
    )  # fmt: skip


def _names(row: Region) -> set[str]:
    """All that it is called, plainly: 苏州市, 苏州, suzhou, 320500, 江苏省 苏州市, suzhou, jiangsu."""
    short = _SUFFIX.sub("", row.name_zh)
    pinyin = row.search.split()[:1] if row.name_zh else [row.search]
    called = [
        row.code,
        row.name_zh,
        short,
        row.name_en,
        *pinyin,
        row.label_in(english=False),
        row.label_in(english=True),
    ]
    return {_plain(name) for name in called if name}


def labels(codes: Iterable[str]) -> dict[str, str]:
    """Code → name with what it lies in, in the active language."""
    rows = Region.objects.select_related("parent").filter(code__in=list(codes))
    return {row.code: row.label for row in rows}


def _chinas() -> QuerySet[Region]:
    """China's places that can be held."""
    return Region.objects.filter(Q(parent__code=CHINA) | Q(parent__parent__code=CHINA), holdable=True)


def city_labels() -> list[str]:
    """What can be held in China, by name in the active language: about 370."""
    found = [row.label for row in _chinas().select_related("parent")]
    return sorted(found) if in_english() else found


# -- Who holds what.


def holder(region_id: int, at: datetime) -> RegionGrant | None:
    """The grant under which a region is held at `at`."""
    return RegionGrant.objects.select_related("substation").filter(in_force(at), region_id=region_id).first()


def grant(public_id: str) -> RegionGrant:
    """A grant with its region and shop. Raises: GrantMissing."""
    rows = RegionGrant.objects.select_related("region__parent", "substation")
    found = rows.filter(public_id=public_id).first()
    if found is None:
        raise GrantMissing(_("There is no such grant."))
    return found


def grants(
    *, query: str = "", substation_id: int | None = None, region_id: int | None = None, when: str = "",
    at: datetime | None = None,
) -> QuerySet[RegionGrant]:  # fmt: skip
    """Grants with region and shop, the newest first. `when`: "now", "later" or "over", seen from `at`."""
    rows = RegionGrant.objects.select_related("region__parent", "substation")
    for word in query.split():
        rows = rows.filter(
            _called(word, "region__") | Q(region__code=word) | Q(public_id=word)
            | Q(substation__name__icontains=word) | Q(substation__slug__icontains=word)
        )  # fmt: skip
    if substation_id is not None:
        rows = rows.filter(substation_id=substation_id)
    if region_id is not None:
        rows = rows.filter(region_id=region_id)
    if when and at is not None:
        rows = rows.filter(
            {"now": in_force(at), "later": Q(starts_at__gt=at, ends_at__gt=F("starts_at"))}.get(
                when, Q(ends_at__lte=at)
            )
        )
    return rows


@dataclass(frozen=True, slots=True)
class Totals:
    """Of China's places that can be held: how many, and how many are. Of all: shops that hold one, leads that wait."""

    places: int
    held: int
    shops: int
    waiting: int


def totals(at: datetime) -> Totals:
    """What the console says above its map."""
    places = _chinas()
    now = RegionGrant.objects.filter(in_force(at))
    return Totals(
        places=places.count(), held=places.filter(holding(at)).count(),
        shops=now.order_by().values("substation_id").distinct().count(), waiting=waiting_count(),
    )  # fmt: skip


# -- Leads.


def waiting_count() -> int:
    """Leads that wait for the main station: nobody's city, declined, or not answered."""
    return Lead.objects.filter(state__in=WAITING).count()


def leads(*, query: str = "", state: str = "", kind: str = "", region: str = "") -> QuerySet[Lead]:
    """Leads with region, shop and whom they were offered to, the newest first.

    Args:
        query: Parts of a name, phone, mail, city or shop, or an id.
        state: A state, or "WAITING": what waits for the main station.
        region: The code of the region, or of one that it lies in.
    """
    rows = Lead.objects.select_related("region__parent", "substation", "grant__substation")
    for word in query.split():
        rows = rows.filter(
            Q(name__icontains=word) | Q(phone__icontains=word) | Q(email__icontains=word) | Q(public_id=word)
            | _called(word, "region__")
            | Q(substation__name__icontains=word) | Q(substation__slug__icontains=word)
            | Q(grant__substation__slug__icontains=word)
        )  # fmt: skip
    if state == "WAITING":
        rows = rows.filter(state__in=WAITING)
    elif state:
        rows = rows.filter(state=state)
    if kind:
        rows = rows.filter(kind=kind)
    if region:
        rows = rows.filter(
            Q(region__code=region) | Q(region__parent__code=region) | Q(region__parent__parent__code=region)
        )
    return rows


def lead_counts() -> dict[str, int]:
    """How many leads are in each state, and `WAITING` for those that wait for the main station."""
    found = dict(Lead.objects.order_by().values_list("state").annotate(count=Count("pk")))
    waiting = sum(found.get(state, 0) for state in WAITING)
    return {**found, "WAITING": waiting}


def lead(public_id: str) -> Lead:
    """A lead with region, shop and whom it was offered to. Raises: LeadMissing."""
    found = leads().filter(public_id=public_id).first()
    if found is None:
        raise LeadMissing(_("There is no such lead."))
    return found


@dataclass(frozen=True, slots=True)
class Contact:
    """How to reach somebody; empty where nothing was left, or it was removed."""

    name: str
    phone: str
    email: str


def contact(row: Lead) -> Contact:
    """What somebody left who asked, or the owner of the shop that was opened. For who may see it: that is the caller's."""
    if row.kind == LeadKind.SHOP and row.substation is not None:
        return Contact(row.substation.owner_name, "", row.substation.owner_email)
    return Contact(row.name, row.phone, row.email)


def offers_to(substation_id: int, *, at: datetime) -> list[Lead]:
    """What waits for a holder's answer, the most urgent first."""
    return list(leads().filter(_offered_to(substation_id, at)).order_by("lapses_at", "pk"))


def offer_count(substation_id: int, *, at: datetime) -> int:
    """How many offers wait for a holder's answer."""
    return Lead.objects.filter(_offered_to(substation_id, at)).count()


def _offered_to(substation_id: int, at: datetime) -> Q:
    return Q(grant__substation_id=substation_id, state=LeadState.OFFERED, lapses_at__gt=at)


def answered_by(substation_id: int) -> QuerySet[Lead]:
    """What was offered to a holder and is decided, the newest first."""
    rows = leads().filter(grant__substation_id=substation_id)
    return rows.exclude(state=LeadState.OFFERED).order_by("-answered_at", "-pk")
