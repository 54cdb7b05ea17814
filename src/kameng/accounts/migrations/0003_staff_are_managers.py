from django.db import migrations


class Migration(migrations.Migration):
    """Who was called staff is a manager. Nothing is lost: a manager may do what staff might.

    Old code that still serves treats MANAGER like its STAFF (no owner, no viewer), and this code reads STAFF as MANAGER
    (`accounts.catalogue`), so that neither minds in which order they meet a shop. What old code writes meanwhile is
    read the same way; a later release fills once more and drops the name.
    """

    code_runs_without = True
    dependencies = [("accounts", "0002_roles_factors_sessions")]
    operations = [
        migrations.RunSQL(
            "UPDATE accounts_user SET role = 'MANAGER' WHERE role = 'STAFF'",
            "UPDATE accounts_user SET role = 'STAFF' WHERE role = 'MANAGER'",
        )
    ]
