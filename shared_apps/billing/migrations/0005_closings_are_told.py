from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_told_of_moves")]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="cancelled_by_closing",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
