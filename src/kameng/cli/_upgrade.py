"""What `kameng migrate` shows while it upgrades, and afterwards."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from kameng.cli._screen import PLAIN_WIDTH, Screen
from tenants import prepare
from tenants.upgrades import running
from tenants.upgrades.running import Outcome, Report, Watch

NAMED = 3  # Of those that wait for a lock.
LINE_EVERY_S = 5.0  # Where nobody watches a bar, a line in the log so often.


def upgrade(only: tuple[str, ...], jobs: int, lock_timeout_ms: int, spares: int | None) -> Report:
    """Bring the shared schema, the template, every substation and the spares to the code, with a line or a bar for each."""
    screen = Screen()
    with running.only_runner():
        if not only:  # A single schema is mended; the rest of the database stays as it is.
            with screen.step("Shared schema") as step:
                prepare.prepare_shared(step.say)
            with screen.step("Template") as step:
                made = prepare.prepare_template(step.say)
                step.say(f"{len([one for one in made if one.migration])} migrations recorded")
        with _watched(screen.console) as watch:
            report = running.fan_out(only=only, jobs=jobs, lock_timeout_ms=lock_timeout_ms, watch=watch)
        if not only and not report.stopped:
            with screen.step("Spare schemas") as step:
                prepare.fill_spares(step.say, spares)
    return report


class _Rate(ProgressColumn):
    """Schemas a second, over the last seconds."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim")


@contextmanager
def _watched(console: Console) -> Iterator[Watch]:
    """A bar with rate and time left, or with what is waited for; in a log, a line every few seconds."""
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("Substations", total=None)

            def bar(done: int, of: int, locked: Collection[str]) -> None:
                words = escape(_waits(locked)) if locked else "Substations"
                progress.update(task, completed=done, total=of, description=words)

            yield bar
        return
    began = last = time.monotonic()

    def line(done: int, of: int, locked: Collection[str]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < LINE_EVERY_S or not (done or locked):
            return
        last = now
        rate = done / (now - began)
        # How long a lock is held, nobody knows: no seconds left beside its name.
        rest = _waits(locked) if locked else f"{rate:,.0f}/s, {(of - done) / rate:,.0f} s left"
        console.print(f"  {done:,} of {of:,} schemas, {escape(rest)}")

    yield line


def _waits(locked: Collection[str]) -> str:
    """Which schemas wait for a lock, the first few by name."""
    names = list(locked)
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"waiting for a lock: {', '.join(names[:NAMED])}{more}"


def say(report: Report, seconds: float) -> None:
    """What came of it, `seconds` in all: the sum, and each schema that failed with its reason."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    rate = f", {1000 * report.seconds / report.moved:.1f} ms each" if report.moved else ""
    console.print(
        f"Upgraded {report.moved:,} schemas to version {report.version[:8]} in {report.seconds:.1f} s{rate}"
        + (f"; {report.retried:,} tries again after a lock" if report.retried else "")
        + (f"; {len(report.replaced):,} spare schemas replaced" if report.replaced else "")
        + f". {seconds:.1f} s in all."
    )
    if report.failed:
        console.print(_failures(report.failed))
        console.print(
            "They stay at their old version, and their shops show a notice where the new code can't serve it."
        )
        again = " ".join(f"--only {outcome.unit.schema}" for outcome in report.failed[:3])
        console.print(f"Mend them, then run `kameng migrate` again (or `kameng migrate {again}`).")
    if report.stopped:
        console.print(
            "[red]Stopped:[/red] none succeeded, so it is the migration and not the shops. Nothing else was tried."
        )


def _failures(failed: list[Outcome]) -> Table:
    table = Table(title=f"[red]{len(failed):,} failed[/red]", title_justify="left", box=None, padding=(0, 2))
    for heading in ("Schema", "Shop", "Reason"):
        table.add_column(heading, overflow="fold")
    for outcome in failed:
        table.add_row(outcome.unit.schema, escape(outcome.unit.shop or "spare"), escape(outcome.problem))
    return table
