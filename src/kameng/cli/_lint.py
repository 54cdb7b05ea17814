"""`kameng migrate --lint`: the tenant migrations, judged on a server that is gone afterwards."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from kameng.lib import crypto


def run() -> None:
    """Print every objection; ends with status 1 where there is one."""
    from kameng.local.postgres import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="kameng-lint-") as folder:
        postgres = EmbeddedPostgres(Path(folder), durable=False)
        postgres.start()
        try:
            count = _judge(postgres.app_url, postgres.owner_url, folder)
        finally:
            postgres.stop()
    if count:
        raise click.ClickException(f"{count} objections. docs/tenancy.md says how each is answered.")
    click.echo("The tenant migrations hold no lock for long, and code of the version before runs beside them.")


def _judge(database_url: str, owner_url: str, folder: str) -> int:
    os.environ.update(
        DATABASE_URL=database_url,
        DATABASE_OWNER_URL=owner_url,
        KAMENG_DATA=folder,
        KAMENG_SECRET_KEY="of a judgement alone, and long enough",
        KAMENG_CODE_KEYS=crypto.fresh_ring_json(),
    )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kameng.settings")
    import django

    django.setup()
    from django.db import connections

    from tenants.upgrades import lint

    try:
        findings = lint.judge()
    finally:
        connections.close_all()
    for finding in findings:
        click.echo(str(finding))
    return len(findings)
