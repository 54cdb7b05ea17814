"""`kameng db`: bring the database to what the code wants."""

from __future__ import annotations

import time

import click

from kameng.cli import data_folder, setup_django
from kameng.local.errors import LocalError


@click.group()
def db() -> None:
    """Prepare and look after the database."""


@db.command(short_help="Bring the database to what the code wants.")
@click.option(
    "--spares", type=int, default=None, help="How many ready schemas to keep (default: KAMENG_SPARE_SCHEMAS)."
)
def prepare(spares: int | None) -> None:
    """Roles, shared tables, functions, template, schema script, substations, spare schemas. Safe to repeat."""
    setup_django()
    from kameng import selftest
    from kameng.db.context import in_main
    from shared_apps.stock import selectors
    from tenants import prepare as steps

    began = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - began:6.2f} s  {line}")

    report = steps.prepare(say, spares)
    for outcome in report.failed:
        say(f"{outcome.unit.shop} ({outcome.unit.schema}) stays at its old version: {outcome.problem}")
    with in_main():
        if not selectors.keys_fit():
            raise LocalError(
                "The codes in this database can't be read with this copy's keys. Put the secrets.json of the copy that "
                f"made them into {data_folder()}, or set KAMENG_CODE_KEYS."
            )
    try:
        selftest.require()  # Web and worker would not start; said here, it is the last line that somebody reads.
    except selftest.WallsDown as down:
        raise LocalError(str(down)) from down
    say("ready")


@db.command(short_help="Versions of the substations, and the spares.")
def status() -> None:
    """The version that the code wants, the substations that have it, and the spares."""
    setup_django()
    from tenants import provisioning
    from tenants.upgrades import state

    found = state.look()
    click.echo(f"version {found.version}")
    click.echo(f"substations {found.shops.get(found.version, 0)} of {sum(found.shops.values())} at it")
    click.echo(f"spares {provisioning.free_spares() if found.shops or found.spares else 0}")
    for line in found.missing:
        click.echo(f"to be done: {line}")
