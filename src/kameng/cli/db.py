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
    """Roles, shared tables, functions, template, schema script, spare schemas. Safe to repeat."""
    setup_django()
    from kameng.db.context import in_main
    from shared_apps.stock import selectors
    from tenants import prepare as steps

    began = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - began:6.2f} s  {line}")

    steps.prepare(say, spares)
    with in_main():
        if not selectors.keys_fit():
            raise LocalError(
                "The codes in this database can't be read with this copy's keys. Put the secrets.json of the copy that "
                f"made them into {data_folder()}, or set KAMENG_CODE_KEYS."
            )
    say("ready")


@db.command(short_help="Versions of the substations, and the spares.")
def status() -> None:
    """The version that the code wants, the substations that have it, and the spares."""
    setup_django()
    from kameng.db.context import in_main
    from tenants import provisioning, template
    from tenants.models import Substation

    version = template.schema_version()
    with in_main():
        total = Substation.objects.exclude(schema_version="").count()
        current = Substation.objects.filter(schema_version=version).count()
    click.echo(f"version {version}\nsubstations {current} of {total} at it\nspares {provisioning.free_spares()}")
