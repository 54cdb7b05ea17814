"""`kameng migrate`: bring every schema to what the code wants, under supervision."""

from __future__ import annotations

import time

import click

from kameng.cli import setup_django


@click.command()
@click.option("--only", multiple=True, metavar="SCHEMA", help="These schemas alone; of one that failed, for one.")
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Schemas at once.")
@click.option(
    "--lock-timeout", type=click.FloatRange(0.05, 60), default=1.0, show_default=True, metavar="SECONDS",
    help="How long a schema's upgrade waits for a lock (and lets requests queue behind it) before it steps back.",
)  # fmt: skip
@click.option("--spares", type=click.IntRange(0), default=None, help="Ready schemas afterwards (KAMENG_SPARE_SCHEMAS).")
@click.option("--check", is_flag=True, help="Only say whether there is anything to do; status 1 when there is.")
@click.option("--lint", is_flag=True, help="Judge the tenant migrations of the code, on a scratch server of its own.")
def migrate(only: tuple[str, ...], jobs: int, lock_timeout: float, spares: int | None, check: bool, lint: bool) -> None:
    """Upgrade the shared schema, the template and every substation to the code.

    Run it before the new code serves. Killed anywhere, it is simply run again. A schema that fails keeps its old
    version, is named with the reason, and is tried again by the next run.
    """
    if lint:
        from kameng.cli import _lint

        _lint.run()
        return
    from kameng.jobs import apps as job_apps

    job_apps.JobsConfig.at_once = False  # Most runs find nothing to do, and they are to be quick.
    setup_django()
    from django.utils import translation

    from tenants.upgrades import state

    translation.activate("en")  # As everything else that this command says.
    began = time.monotonic()
    found = state.look()
    if found.is_current and not only:
        shops, ready = sum(found.shops.values()), sum(found.spares.values())
        click.echo(
            f"Nothing to do: {shops:,} substations and {ready:,} spare schemas are at version {found.version[:8]}. "
            f"({time.monotonic() - began:.2f} s)"
        )
        return
    if check:
        raise click.ClickException("To be done: " + "; ".join(found.missing))
    job_apps.load()
    from django.db import Error

    from kameng.cli import _upgrade  # Only now: with nothing to do, nobody waits for bars and tables to be loaded.
    from kameng.db.lost import connection_is_lost

    try:
        report = _upgrade.upgrade(only, jobs, int(lock_timeout * 1000), spares)
    except Error as error:
        if not connection_is_lost(error):
            raise
        raise click.ClickException(
            f"The database went away: {' '.join(str(error).split())}. Each schema is at one version or at the next. Run "
            "`kameng migrate` again when the database is back; it goes on from there."
        ) from error
    _upgrade.say(report, time.monotonic() - began)
    if report.failed or report.stopped:
        raise SystemExit(1)
