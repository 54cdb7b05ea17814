"""Bring a database to what the code wants: roles, shared tables, definitions, template, script, spares."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from kameng.db import definitions, roles
from kameng.db.context import in_main
from tenants import spares, template
from tenants.models import SchemaScript

Say = Callable[[str], None]


def prepare(say: Say = lambda line: None, spare_count: int | None = None) -> None:
    """Run every step; each is safe to repeat, so a killed run is simply run again."""
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
    say("template schema")
    template.migrate_template()
    say("schema script")
    ensure_script()
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
