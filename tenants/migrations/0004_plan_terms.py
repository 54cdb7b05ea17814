from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0003_lifecycle"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="signup", name="signup_holds_address"),
        migrations.AddField(
            model_name="plan",
            name="yearly_fee_minor",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="plan",
            name="deposit_minor",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="plan",
            name="trial_days",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="plan",
            name="grace_days",
            field=models.PositiveSmallIntegerField(db_default=7, default=7),
        ),
        migrations.AddField(
            model_name="plan",
            name="settlement_days",
            field=models.PositiveSmallIntegerField(db_default=1, default=1, help_text="T+n; 0: the same day."),
        ),
        migrations.AddField(
            model_name="plan",
            name="max_listings",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="plan",
            name="max_staff",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="plan",
            name="max_own_products",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="plan",
            name="api_allowed",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddField(
            model_name="plan",
            name="own_domain_allowed",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddField(
            model_name="signup",
            name="interval",
            field=models.CharField(
                choices=[("MONTH", "Monthly"), ("YEAR", "Yearly")], db_default="MONTH", default="MONTH", max_length=5
            ),
        ),
        migrations.AlterField(
            model_name="signup",
            name="state",
            field=models.CharField(
                choices=[
                    ("VERIFYING", "Waiting for the mail code"),
                    ("PAYING", "Waiting for payment"),
                    ("VERIFIED", "Mail verified"),
                    ("PROVISIONING", "Being made"),
                    ("LIVE", "Live"),
                    ("FAILED", "Failed; can be tried again"),
                    ("EXPIRED", "Expired"),
                ],
                default="VERIFYING",
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="signup",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ("PAYING", "VERIFIED", "PROVISIONING", "FAILED"))),
                fields=("slug",),
                name="signup_holds_address",
            ),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("deposit_minor__gte", 0),
                    ("monthly_fee_minor__gte", 0),
                    ("opening_fee_minor__gte", 0),
                    ("yearly_fee_minor__gte", 0),
                ),
                name="plan_fees_not_negative",
            ),
        ),
    ]
