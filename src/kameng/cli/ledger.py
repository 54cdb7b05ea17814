"""`kameng ledger`: prove it, roll it up, seal it."""

from __future__ import annotations

import json

import click

from kameng.cli import setup_django


@click.group()
def ledger() -> None:
    """The double-entry ledger."""


@ledger.command(short_help="Recompute every block, sum and balance.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(as_json: bool) -> None:
    """Recompute every block, sum and balance; exit status 1 when something does not hold."""
    setup_django()
    from kameng.db.context import MAIN, pointed_at
    from shared_apps.ledger.tasks import exported_heads
    from shared_apps.ledger.verification import verify as run

    with pointed_at(MAIN):
        verdict = run(heads=exported_heads())
    if as_json:
        click.echo(
            json.dumps(
                {
                    "sound": verdict.sound,
                    "transfers": verdict.transfers,
                    "entries": verdict.entries,
                    "blocks": verdict.blocks,
                    "unsealed": verdict.unsealed,
                    "head": verdict.head,
                    "broken": [str(item) for item in verdict.broken],
                }
            )
        )
    else:
        click.echo(
            f"{verdict.transfers} transfers, {verdict.entries} entries, {verdict.blocks} blocks sealed, "
            f"{verdict.unsealed} transfers not sealed yet\nhead {verdict.head}"
        )
        for item in verdict.broken:
            click.secho(f"BROKEN  {item}", fg="red")
        if verdict.sound:
            click.secho("The ledger holds.", fg="green")
    if not verdict.sound:
        raise SystemExit(1)


@ledger.command(short_help="Seal everything that is committed.")
def seal() -> None:
    """Seal everything that is committed; the heads go to ledger-heads.jsonl in the data folder."""
    setup_django()
    from shared_apps.ledger.tasks import exported_heads, seal_all

    made, heads = seal_all(), exported_heads()
    click.echo(f"{made} blocks sealed" + (f", head {heads[max(heads)]}" if heads else ""))


@ledger.command()
def rollup() -> None:
    """Bring balances and days up to now."""
    setup_django()
    from kameng.db.context import long_statements
    from kameng.lib import clock
    from shared_apps.ledger import services

    with long_statements(3600):  # By hand, because it was not done for long.
        count = services.roll_up(now=clock.utc_now())
    click.echo(f"{count} entries rolled up")


@ledger.command(short_help="Accounts and their balances.")
@click.argument("words", nargs=-1)
def accounts(words: tuple[str, ...]) -> None:
    """Accounts and their balances, debit positive; words narrow the codes."""
    setup_django()
    from django.db import connection

    from kameng.db.context import in_main

    with in_main(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT code, class, currency, public.ledger_balance_minor(id) FROM ledger_account "
            "WHERE code ILIKE ALL (%s::text[]) ORDER BY code",
            [[f"%{word}%" for word in words] or ["%"]],
        )
        for code, account_class, currency, balance in cursor.fetchall():
            click.echo(f"{code:50} {account_class:10} {currency} {balance:>16}")


@ledger.command(short_help="Let the count go on after a restore.")
def rebase() -> None:
    """After a restore onto another server: let the ledger's count go on from where it stood."""
    setup_django()
    from shared_apps.ledger import services

    click.echo(f"rebased by {services.rebase()}")
