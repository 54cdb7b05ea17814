"""`kameng codes import|status|rotate`: the stock of card codes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO, cast

import click

from kameng.cli import setup_django
from kameng.cli.library import command_line, show_problems


@click.group()
def codes() -> None:
    """Import card codes; keep them under the current key."""


@codes.command("import", short_help="Import FILE (CSV, XLSX, or a code a line).")
@click.option("--sku", "sku_code", required=True, help="The code of the SKU that they are sold as.")
@click.option("--note", default="", help="Kept with the batch.")
@click.option("--dry-run", is_flag=True, help="Count and report the same, write nothing.")
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Write all that is wrong to a CSV file."
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
def import_(sku_code: str, file: Path, note: str, dry_run: bool, report: Path | None) -> None:
    """Import FILE (CSV, XLSX, or a code a line; - for standard input). May be repeated: double codes are left out."""
    setup_django()
    from kameng.db.context import in_main
    from kameng.lib import clock
    from kameng.lib.tabular import Report
    from shared_apps.library import selectors as library
    from shared_apps.stock import services
    from shared_apps.stock.types import CodeImport

    with in_main():
        sku = library.sku_by_code(sku_code)

    def progress(result: CodeImport) -> None:
        bar.update(max(int(result.fraction * 100) - bar.pos, 0))

    now = clock.utc_now()
    with click.open_file(str(file), "rb") as stream, click.progressbar(length=100, file=sys.stderr) as bar:
        binary = cast("BinaryIO", stream)
        result = services.import_codes(
            sku=sku, stream=binary, filename=file.name, by=command_line(), now=now, note=note, dry_run=dry_run,
            progress=progress,
        )  # fmt: skip
        progress(result)
    if not dry_run:
        services.count_now(sku_ids=[sku.pk], now=now)
    show_problems(result.problems, result.problems_total)
    if report is not None:
        told = Report(filename=file.name, errors=result.problems, errors_total=result.problems_total)
        report.write_bytes(b"".join(told.to_csv()))
    click.echo(
        f"{result.lines} codes: {result.imported} {'would be ' if dry_run else ''}imported, "
        f"{result.repeated_in_file} twice in the file, {result.in_stock_already} in the stock already, "
        f"{result.rejected} rejected; {result.blank} blank lines."
    )
    if result.stopped_at_row is not None:
        raise click.ClickException(f"Reading stopped at line {result.stopped_at_row}; what came before it is kept.")


@codes.command("status", short_help="Keys in use, and SKUs that run low.")
def status() -> None:
    """Say which key is current, how many codes are under older ones, and which SKUs run low."""
    setup_django()
    from kameng.db.context import in_main
    from shared_apps.stock import selectors

    with in_main():
        keys = selectors.key_status()
        scarce = selectors.low_stock(limit=20)
    click.echo(f"Current key {keys.current}; {keys.remaining} codes are under other keys.")
    for row in scarce:
        click.echo(f"  {row.sku.code:<30} {row.available:>8}  {row.state}")


@codes.command("rotate")
def rotate() -> None:
    """Encrypt again what is not under the current key. May be stopped and run again at any time."""
    setup_django()
    from kameng.db.context import in_main
    from shared_apps.receipts import services as receipts
    from shared_apps.stock import services
    from shared_apps.stock.types import Rotation

    def progress(done: Rotation) -> None:
        click.echo(f"{done.rotated} done, {done.remaining} to go", err=True)

    with in_main():
        accounts = receipts.reseal_accounts()
    click.echo(f"{accounts} merchant accounts sealed again.", err=True)
    done = services.rotate(progress=progress)
    click.echo(f"{done.rotated} codes are under key {done.current} now; {done.remaining} are under other keys.")
    if done.remaining:
        raise click.ClickException("Some codes were being sold just now. Run it again.")
