"""The start-up as a person reads it: one line a step, a spinner while it lasts, the addresses at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

TITLE_WIDTH = 22
DETAIL_WIDTH = 60
PLAIN_WIDTH = 200


class Step:
    """The step under way. `say` shows what it is at; what was said last stays beside its tick."""

    def __init__(self, title: str, status: Status) -> None:
        self.title = title
        self.detail = ""
        self._status = status

    def say(self, detail: str) -> None:
        """Show `detail` beside the title, cut to a line."""
        self.detail = detail if len(detail) <= DETAIL_WIDTH else detail[: DETAIL_WIDTH - 1] + "…"
        self._status.update(f"{self.title:<{TITLE_WIDTH}} [dim]{escape(self.detail)}[/dim]")


class Screen:
    """Plain lines where the output is no terminal."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = PLAIN_WIDTH  # A log has no edge to fold at.

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A step of the start-up: ✓ and its seconds when it is done, ✗ when it raises."""
        began = time.monotonic()
        with self.console.status(title) as status:
            step = Step(title, status)
            try:
                yield step
            except BaseException:
                self.console.print(f"[red]✗[/red] {title}")
                raise
        took = f"{time.monotonic() - began:.1f} s"
        self.console.print(
            f"[green]✓[/green] {title:<{TITLE_WIDTH}} {escape(step.detail):<{DETAIL_WIDTH}} [dim]{took}[/dim]"
        )

    def note(self, text: str) -> None:
        """One sentence, with the time: it comes while the servers run."""
        self.console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {escape(text)}", soft_wrap=True)

    def warn(self, text: str) -> None:
        """A sentence that asks for something."""
        self.console.print(f"[yellow]![/yellow] {escape(text)}", soft_wrap=True)

    def addresses(self, rows: Sequence[tuple[str, str]]) -> None:
        """Name and address, a line each, free of decoration that would break a copied link."""
        self.console.print()
        for name, url in rows:
            self.console.print(f"  {escape(name):<{TITLE_WIDTH}} [bold cyan]{escape(url)}[/bold cyan]", soft_wrap=True)

    def logins(self, rows: Sequence[tuple[str, str, str, str]]) -> None:
        """What, address, user, password of the demonstration."""
        if not rows:
            return
        table = Table(title="Log-ins of the demonstration", title_justify="left", box=None, padding=(0, 2))
        for heading in ("", "Address", "User", "Password"):
            table.add_column(heading, no_wrap=heading == "Address", overflow="fold")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.console.print()
        self.console.print(table)
