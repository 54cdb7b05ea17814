"""Giving a new shop its schema: a spare, our script, and django-tenants' own create, with few schemas present and many.

Two servers, so that each catalogue holds as many schemas as said: on each, our database, and beside it one of
django-tenants with its own backend, router and tenant and the same tenant apps. All start from a shop's row that is
there and end with a schema that holds the same tables; what was made is undone again, so that the number present stays.
Both sizes take turns within each round.
"""

from __future__ import annotations

import contextlib
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kameng.bench._apart import Apart
from kameng.bench._common import Report, database, environment, postgres_in, say
from kameng.local.errors import LocalError
from kameng.local.postgres import EmbeddedPostgres

# Issue 2, "Speed", provisioning.
ASKED_SPARE_S = 0.02
ASKED_GROWTH = 1.5
ASKED_LIBRARY = 50.0
WAYS = ("spare", "script", "library")
OURS = "kameng.bench._provisioning_ours"
LIBRARY = "kameng.bench._provisioning_library"
# Seconds by size ("few", "many") and way, a value a round.
Times = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Place:
    """The two programs at one server."""

    ours: Apart
    library: Apart


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in two servers of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    rounds, takes = (1, 2) if quick else (15, 5)
    sizes = {"few": 6, "many": 8} if quick else {"few": 20, "many": 500}
    with contextlib.ExitStack() as stack:
        servers = {size: stack.enter_context(postgres_in(data_dir / size)) for size in sizes}
        places = {size: _place(stack, postgres, data_dir / size) for size, postgres in servers.items()}
        _build(places, sizes)
        tables = _same_tables(places["few"])
        times = _measure(places, rounds, takes)
        _check_present(places, sizes)
        report = Report("provisioning", servers["few"], "django", "django-tenants", "psycopg2-binary")
    report.figures |= {"rounds": rounds, "takes_each": takes, "schemas": sizes, "tables_each": tables}
    return judge(report, times, sizes)


def _place(stack: contextlib.ExitStack, postgres: EmbeddedPostgres, folder: Path) -> Place:
    ours, library = database(postgres), database(postgres, "library")
    return Place(
        stack.enter_context(Apart(environment(ours, folder))),
        stack.enter_context(Apart(environment(library, folder, settings="kameng.bench._library_settings"))),
    )


def _build(places: dict[str, Place], sizes: dict[str, int]) -> None:
    """The schemas that are there already. Everybody builds at the same time: it is not measured."""
    say("preparing two servers, each with our database and one of django-tenants")
    for place in places.values():
        place.ours.send(f"{OURS}:begin")
        place.library.send(f"{LIBRARY}:begin")
    script = ""
    for place in places.values():
        script = place.ours.receive()
        place.library.receive()
    say(f"making {' and '.join(str(count) for count in sizes.values())} schemas in each")
    for size, place in places.items():
        place.ours.send(f"{OURS}:grow", sizes[size])
        place.library.send(f"{LIBRARY}:grow", sizes[size], script)
    for place in places.values():
        place.ours.receive()
        place.library.receive()
    _check_present(places, sizes)


def _check_present(places: dict[str, Place], sizes: dict[str, int]) -> None:
    """As many schemas as the result will say."""
    for size, place in places.items():
        found = {place.ours.call(f"{OURS}:present"), place.library.call(f"{LIBRARY}:present")}
        if found != {sizes[size]}:
            raise LocalError(f"{sizes[size]} schemas were to be present, and {sorted(found)} are.")


def _same_tables(place: Place) -> int:
    """How many tables a schema has: the same ones, whoever makes it. Also the library's first run, which is not measured."""
    mine, theirs = place.ours.call(f"{OURS}:tables"), place.library.call(f"{LIBRARY}:tables")
    if mine != theirs:
        raise LocalError(f"The schemas differ in these tables: {sorted(set(mine) ^ set(theirs))}")
    return len(mine)


def _measure(places: dict[str, Place], rounds: int, takes: int) -> Times:
    """Every way at every size once a round, in turn; of the spares, which are quick, several and their median."""
    acts = {
        "spare": lambda place: statistics.median(place.ours.call(f"{OURS}:take") for _ in range(takes)),
        "script": lambda place: place.ours.call(f"{OURS}:run_script"),
        "library": lambda place: place.library.call(f"{LIBRARY}:create"),
    }
    for place in places.values():  # Caches, first connections.
        for way in WAYS:
            acts[way](place)
    times: Times = {size: {way: [] for way in WAYS} for size in places}
    for turn in range(rounds):
        say(f"round {turn + 1} of {rounds}")
        shift = turn % len(WAYS)
        for way in (*WAYS[shift:], *WAYS[:shift]):
            for size, place in places.items():  # The same way one right after the other.
                times[size][way].append(acts[way](place))
    return times


def judge(report: Report, times: Times, sizes: dict[str, int]) -> dict[str, Any]:
    """The result of these times: seconds by size and way, a value a round."""
    for size, schemas in sizes.items():
        for way in WAYS:
            seconds = report.figure(f"{way}_s_{size}", times[size][way])
            if way == "spare":
                report.ask(f"taking a spare with {schemas} schemas, seconds", "≤", ASKED_SPARE_S, seconds)
    for way in WAYS:
        growth = report.ratio(f"{way}_many_to_few", times["many"][way], times["few"][way])
        if way == "spare":
            what = f"taking a spare with {sizes['many']} schemas, beside {sizes['few']}"
            report.ask(what, "≤", ASKED_GROWTH, growth)
    for size, schemas in sizes.items():
        got = report.ratio(f"library_to_spare_{size}", times[size]["library"], times[size]["spare"])
        report.ask(f"a spare beside django-tenants' own create, {schemas} schemas, times", "≥", ASKED_LIBRARY, got)
        report.ratio(f"library_to_script_{size}", times[size]["library"], times[size]["script"])
    return report.result()
