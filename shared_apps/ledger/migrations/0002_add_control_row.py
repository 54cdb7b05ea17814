"""The one row of control. Days are parted at the network's midnight, as set when the ledger began."""

from django.conf import settings
from django.db import migrations


def add_row(apps, schema_editor):
    control = apps.get_model("ledger", "Control")
    control.objects.using(schema_editor.connection.alias).get_or_create(id=1, defaults={"zone": settings.TIME_ZONE})


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [migrations.RunPython(add_row, migrations.RunPython.noop)]
