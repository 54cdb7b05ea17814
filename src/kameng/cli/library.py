"""`kameng library import|export`: the main station's catalogue as one flat file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kameng.cli import setup_django

if TYPE_CHECKING:
    from kameng.accounts.types import Actor
    from kameng.lib.tabular import RowError

SHOWN = 50


@click.group()
def library() -> None:
    """Import and export the master library (CSV or XLSX, a row per SKU)."""


@library.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing.")
@click.option("--accept-good", is_flag=True, help="Write the good rows of a file that has bad ones.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write what is wrong to a CSV file.")
def import_(file: Path, dry_run: bool, accept_good: bool, report: Path | None) -> None:
    """Import FILE. With bad rows in it nothing is written, unless --accept-good."""
    setup_django()
    from kameng.lib import clock
    from shared_apps.library import services
    from shared_apps.library.types import LibraryImport

    def progress(_result: LibraryImport, fraction: float) -> None:
        bar.update(max(int(fraction * 100) - bar.pos, 0))

    with file.open("rb") as stream, click.progressbar(length=100, label=file.name, file=sys.stderr) as bar:
        result = services.import_library(
            stream=stream, filename=file.name, by=command_line(), now=clock.utc_now(), dry_run=dry_run,
            accept_good=accept_good, progress=progress,
        )  # fmt: skip
        progress(result, 1)
    found = result.report
    show_problems(found.errors, found.errors_total)
    for warning in found.warnings:
        click.echo(f"! {warning}")
    if report is not None:
        report.write_bytes(b"".join(found.to_csv()))
    click.echo(f"{found.rows} rows: {found.good} good, {found.bad} bad, {found.blank} blank.")
    if result.applied:
        click.echo(
            f"SKUs: {result.skus_made} made, {result.skus_changed} changed. Products: {result.products_made} made, "
            f"{result.products_changed} changed. Supply prices: {result.prices_changed} changed. "
            f"Categories made: {result.categories_made}, brands: {result.brands_made}."
        )
    elif dry_run:
        click.echo("Dry run: nothing was written.")
    if not (found.ok or result.applied or dry_run):
        raise click.ClickException("Nothing was written. Mend these rows, or add --accept-good to import the others.")


@library.command("export", short_help="Export everything to FILE (.csv or .xlsx).")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(file: Path) -> None:
    """Export everything to FILE (.csv or .xlsx); `kameng library import` reads it back."""
    setup_django()
    from shared_apps.library import services

    half = file.with_name(f".{file.name}.part")  # Whole or not at all.
    with half.open("wb") as out:
        if file.suffix.lower() == ".xlsx":
            services.export_xlsx(out)
        else:
            out.writelines(services.export_csv())
    half.replace(file)
    click.echo(f"{file}: {file.stat().st_size:,} bytes.")


def command_line() -> Actor:
    """Who acts from a shell: the user of the machine, by name."""
    import getpass

    from kameng.accounts.types import Actor, ActorKind

    return Actor(ActorKind.SYSTEM, f"command line ({getpass.getuser()})")


def show_problems(errors: list[RowError], total: int) -> None:
    """Row, column, value, problem and cure of the first of them."""
    for error in errors[:SHOWN]:
        place = f"row {error.row}" + (f", {error.column}" if error.column else "")
        value = f" “{error.value}”" if error.value else ""
        click.echo(f"  {place}{value}: {error.problem} {error.cure}")
    if total > SHOWN:
        click.echo(f"  … and {total - SHOWN} more.")
