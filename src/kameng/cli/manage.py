"""`kameng manage COMMAND …`: Django's own commands with this copy's settings."""

from __future__ import annotations

import click

from kameng.cli import setup_django


@click.command("manage", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def manage(arguments: tuple[str, ...]) -> None:
    """Run a command of Django (`check`, `makemigrations`, `shell`); `kameng manage help` lists them."""
    if arguments in {(), ("--help",)}:
        click.echo(click.get_current_context().get_help())
        return
    setup_django()
    from django.core.management import execute_from_command_line

    execute_from_command_line(["kameng manage", *arguments])
