"""`kameng demo`: the demonstration network."""

from __future__ import annotations

import json
import time

import click

from kameng.cli import data_folder, setup_django
from kameng.local._state import read_json, write_json


@click.group()
def demo() -> None:
    """The demonstration network."""


@demo.command(short_help="Load it, once.")
def load() -> None:
    """Load it, once: a library, 20,000 codes, three shops with a fortnight of orders. Safe to repeat."""
    setup_django()
    from django.conf import settings

    from kameng.accounts.types import SYSTEM
    from kameng.demo import catalogue, cities, network, orders
    from kameng.lib import clock
    from shared_apps.ledger.tasks import roll_up, seal_all
    from tenant_apps.finance import sync as finance

    marker = data_folder() / "demo.json"
    if read_json(marker):
        click.echo("The demonstration network is there.")
        return
    began = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - began:6.1f} s  {line}")

    now = clock.utc_now()
    network.load_plans()
    network.load_operator()
    catalogue.load(by=SYSTEM, now=now, say=say)
    network.load_stock(by=SYSTEM, now=now, say=say)
    shops = network.load_shops(now=now, say=say)
    account = orders.open_account(now)
    buyers = json.loads((catalogue.DATA / "shops.json").read_text(encoding="utf-8"))["buyers"]
    for number, substation in enumerate(shops):
        count = orders.load(substation, buyers, account, now=now, seed=number)
        finance.sync_statement(substation)
        say(f"{count} orders in {substation.slug}")
    cities.load(shops, by=SYSTEM, now=now)
    say("cities and leads")
    roll_up()
    seal_all()
    main = f"{settings.SCHEME}://{settings.BASE_DOMAIN}{settings.AUTHORITY}"
    logins = [
        {"what": "billing console", "url": f"{main}/console/", "user": network.OPERATOR, "password": network.PASSWORD}
    ]
    logins += [
        {"what": f"panel of {shop.name}", "url": f"{shop.url}/panel/", "user": shop.owner_email,
         "password": network.PASSWORD}
        for shop in shops
    ]  # fmt: skip
    write_json(marker, {"logins": logins, "shops": [shop.url for shop in shops]})  # Whole, or the next load goes on.
    say("ready")
