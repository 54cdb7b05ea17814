"""`kameng substation export|import`: a shop as one file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from kameng.cli import setup_django
from kameng.cli.library import command_line


@click.group()
def substation() -> None:
    """A shop as one file, and a file as a shop."""


@substation.command("export", short_help="Write everything that a shop owns to FILE.")
@click.argument("slug")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(slug: str, file: Path) -> None:
    """Write everything that the shop at SLUG owns to FILE (a zip). Sold codes stay behind: those are its owner's to fetch."""
    setup_django()
    from kameng.db.context import in_main
    from kameng.lib import clock
    from tenants import selectors
    from tenants.archive import writing
    from tenants.archive.exports import NothingToExport
    from tenants.states import UNREACHABLE

    with in_main():
        shop = selectors.substation(slug)
    if shop.state in UNREACHABLE:
        raise NothingToExport(f"{slug} is {shop.get_state_display()}: there is nothing to export.")
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            written = writing.write(substation=shop, out=out, now=clock.utc_now(), progress=_say)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"{file}: {written.rows:,} rows, {written.size_bytes:,} bytes, SHA-256 {written.sha256}")


def _say(done: object) -> None:
    from tenants.archive.writing import Progress

    assert isinstance(done, Progress)
    click.echo(f"{done.done} of {done.total}, {done.rows:,} rows", err=True)


@substation.command("import", short_help="Make a new shop of FILE.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--slug", required=True, help="The new shop's address.")
@click.option("--owner-email", default="", help="Whose shop it will be; empty: as the archive says.")
@click.option("--plan", "plan_code", default="", help="The new shop's plan; empty: as the archive says.")
def import_(file: Path, slug: str, owner_email: str, plan_code: str) -> None:
    """Make a new shop at --slug of FILE, an archive that this installation wrote. All of it or nothing.

    Its people choose new passwords; its ledger begins empty. Killed in the middle: run it again.
    """
    setup_django()
    from kameng.lib import clock
    from tenants.archive import loading

    loaded = loading.load(
        path=file, slug=slug, owner_email=owner_email, plan_code=plan_code, by=command_line(), now=clock.utc_now(),
        say=lambda line: click.echo(line, err=True),
    )  # fmt: skip
    shop = loaded.substation
    click.echo(f"{shop.url}: {loaded.rows:,} rows and {loaded.files:,} files. {shop.owner_email} owns it.")
    click.echo(f"Its people choose a password at {shop.url}/password/forgot/")
