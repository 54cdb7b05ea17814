"""The tree of regions. A newer edition of the file is loaded by a migration like this one."""

from django.db import migrations

from shared_apps.regions import loading


def load(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        loading.load(cursor)


class Migration(migrations.Migration):
    dependencies = [("regions", "0001_initial")]

    operations = [migrations.RunPython(load, migrations.RunPython.noop)]
