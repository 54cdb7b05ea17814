"""Settings of the test suite: the same, with cheap passwords and tasks that run when they are called."""

from kameng.settings import *  # noqa: F403  # The one place where a star import says what is meant.

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_TASK_ALWAYS_EAGER = False
POW_BITS = 4
STORAGES = {
    "default": {"BACKEND": "kameng.web.files.TenantStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
