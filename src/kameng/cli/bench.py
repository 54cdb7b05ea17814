"""`kameng bench`: measure, beside what it is to be compared with, in one run; one JSON object a bench."""

from __future__ import annotations

import importlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

import click

from kameng.cli._signals import Stop, raise_on_signals
from kameng.local._processes import die_with_parent

NAMES = ("provisioning", "sync", "ledger", "sale", "page", "migrate", "tenants")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a bench, a line each; progress is on stderr.")
@click.option("--quick", is_flag=True, help="Small sizes: shows that it runs, says little about speed.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Also write NAME.json into this folder.")
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop when the program that started this one ends.")
def bench(names: tuple[str, ...], as_json: bool, quick: bool, out: Path | None, with_parent: bool) -> None:
    """Run the named benches, or all. Each starts servers of its own in a folder of its own, and leaves neither."""
    raise_on_signals()
    if with_parent:
        die_with_parent(signal.SIGTERM)
    missed: list[str] = []
    try:
        for name in names or NAMES:
            result = _run(name, quick)
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                (out / f"{name}.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
            if as_json:
                click.echo(json.dumps(result, ensure_ascii=False))
            else:
                _print(result)
            missed += [f"{name}: {line['what']}" for line in result["asked"] if not line["holds"]]
    except Stop as stop:
        sys.exit(stop.status)
    if missed and not quick:
        raise click.ClickException("Short of what was asked: " + "; ".join(missed))


def _run(name: str, quick: bool) -> dict[str, Any]:
    from kameng.bench import _common

    click.echo(f"bench {name}", err=True)
    module = importlib.import_module(f"kameng.bench.{name}")
    with _common.workplace(name) as folder:
        result: dict[str, Any] = module.run(folder, quick=quick)
    return result


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=result["name"], title_justify="left")
    for heading in ("what", "asked", "got", ""):
        table.add_column(heading)
    for line in result["asked"]:
        table.add_row(str(line["what"]), str(line["asked"]), str(line["got"]), "holds" if line["holds"] else "SHORT")
    console = Console()
    console.print(table)
    console.print_json(json.dumps({"figures": result["figures"], "ratios": result["ratios"]}, ensure_ascii=False))
