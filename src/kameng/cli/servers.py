"""`kameng pg` and `kameng redis`: where the running servers are, and a shell in them."""

from __future__ import annotations

import os

import click

from kameng.cli import data_folder
from kameng.local import endpoint
from kameng.local.errors import LocalError
from kameng.local.postgres import binaries


def _url(role: str) -> str:
    running = endpoint.load(data_folder())
    urls = {"app": running.database_url, "owner": running.database_owner_url, "superuser": running.superuser_url}
    if not urls[role]:
        raise LocalError("This copy uses a database of yours; we hold no superuser there.")
    return urls[role]


_role = click.option(
    "--role", type=click.Choice(["app", "owner", "superuser"]), default="owner", show_default=True, help="As whom."
)


@click.group()
def pg() -> None:
    """The Postgres of this copy, while it runs."""


@pg.command("url")
@_role
def pg_url(role: str) -> None:
    """Print its address, with the password."""
    click.echo(_url(role))


@pg.command("shell", context_settings={"ignore_unknown_options": True})
@_role
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def pg_shell(role: str, arguments: tuple[str, ...]) -> None:
    """Open psql in it; further arguments are psql's."""
    url = _url(role)
    program = str(binaries() / "psql")
    os.execv(program, [program, url, *arguments])


@click.group()
def redis() -> None:
    """The Redis of this copy, while it runs."""


@redis.command("url")
def redis_url() -> None:
    """Print its address, with the password."""
    click.echo(endpoint.load(data_folder()).redis_url)
