"""django-hordak by itself: the least of a project that it runs in."""

from kameng.bench._peers import stock_database

SECRET_KEY = "of a bench alone"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "mptt", "hordak"]
DATABASES = {"default": stock_database("django.db.backends.postgresql")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DEFAULT_CURRENCY = HORDAK_INTERNAL_CURRENCY = "CNY"
CURRENCIES = ["CNY"]
USE_TZ = True
