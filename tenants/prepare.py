"""Bring a database to what the code wants: roles, shared tables, definitions, template, script, substations, spares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from kameng.db import definitions, roles
from kameng.db.context import in_main
from tenants import spares, template
from tenants.models import SchemaScript
from tenants.upgrades import rendering, running, state

Say = Callable[[str], None]


def prepare(say: Say = lambda line: None, spare_count: int | None = None) -> running.Report:
    """Run every step; each is safe to repeat, so a killed run is simply run again.

    A substation that can't follow keeps its version and is in the report; it does not stop the rest. Another run at the
    same time is waited for. A database that is ahead of this code keeps its tenant schemas as they are.
    """
    with running.only_runner(wait=True):
        prepare_shared(say)
        try:
            prepare_template(say)
        except rendering.TemplateAhead as ahead:
            say(str(ahead))
            return running.Report(template.schema_version())
        say("substations")
        report = running.fan_out()
        fill_spares(say, spare_count)
    return report


def prepare_shared(say: Say) -> None:
    """Everything in the shared schema."""
    wrapper = template.owner()
    say("roles and rights")
    with transaction.atomic(using=settings.OWNER_ALIAS), wrapper.cursor() as cursor:
        roles.ensure_roles(cursor)
    say("shared tables")
    template.migrate_shared()
    say("functions and rules")
    with transaction.atomic(using=settings.OWNER_ALIAS), wrapper.cursor() as cursor:
        definitions.apply(cursor)
        roles.grant_shared(cursor)
    say("accounts of the main station")
    for path in settings.PREPARE_STEPS:
        import_string(path)()
    with transaction.atomic(using=settings.OWNER_ALIAS):
        state.record_definitions()  # Last: what was killed before this is done once more.


def prepare_template(say: Say) -> list[Any]:
    """The template and its script; answers the steps that every other schema has to take. Raises: TemplateAhead."""
    say("template schema")
    steps = rendering.bring_forward(lambda name: say(f"template schema: {name}"))
    say("schema script")
    ensure_script()
    return steps


def fill_spares(say: Say, spare_count: int | None = None) -> None:
    """Make the pool full again."""
    say("spare schemas")
    spares.fill(settings.SPARE_SCHEMAS if spare_count is None else spare_count)


def ensure_script() -> SchemaScript:
    """Render the script of the present version unless it is kept already."""
    version = template.schema_version()
    with in_main():
        kept = SchemaScript.objects.filter(version=version).first()
    if kept is not None:
        return kept
    sql = template.render_script()
    with in_main():
        return SchemaScript.objects.get_or_create(version=version, defaults={"sql": sql})[0]
