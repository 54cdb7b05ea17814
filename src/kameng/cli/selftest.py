"""`kameng selftest`: try the walls between shops, as web and worker do before they serve."""

from __future__ import annotations

import time

import click

from kameng.cli import setup_django


@click.command(short_help="Try the walls between shops.")
def selftest() -> None:
    """Try each wall between shops and say which holds; status 1 when one does not. Nothing is written."""
    setup_django()
    from kameng import selftest as walls

    began = time.monotonic()
    findings = walls.run()
    for one in findings:
        click.echo(f"{'DOWN ' if one.problem else 'holds'}  {one.wall}")
        if one.problem:
            click.echo(f"       {one.problem}\n       {one.cure}")
    broken = [one for one in findings if one.problem]
    if broken:
        raise click.ClickException(f"{len(broken)} of {len(walls.WALLS)} walls are down. Web and worker don't start.")
    click.echo(f"All {len(findings)} walls hold. ({time.monotonic() - began:.2f} s)")
