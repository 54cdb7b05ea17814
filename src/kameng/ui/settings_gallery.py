"""The gallery on its own, without a database: `python -m kameng.ui.gallery_server`. Production never reads this."""

from __future__ import annotations

from pathlib import Path

DEBUG = True
SECRET_KEY = "gallery"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "kameng.ui.urls"
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LANGUAGE_COOKIE_NAME = "kameng_lang"
CURRENCY = "CNY"
LOCALE_PATHS = [Path(__file__).parent / "locale"]
INSTALLED_APPS = [
    "django.contrib.staticfiles",
    "django_htmx",
    "django_cotton.apps.SimpleAppConfig",
    "kameng.ui",
]
MIDDLEWARE = [
    "kameng.ui.gallery_server.Nonce",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                "django_cotton.cotton_loader.Loader",
                "django.template.loaders.app_directories.Loader",
            ],
            "builtins": ["django_cotton.templatetags.cotton", "kameng.ui.templatetags.ui", "django.templatetags.i18n"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
            ],
        },
    }
]
STATIC_URL = "/static/"
DATABASES: dict[str, dict[str, object]] = {}
