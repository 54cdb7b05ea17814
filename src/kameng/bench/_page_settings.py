"""The settings that are served, with one more address: the hello page."""

from kameng.settings import *  # noqa: F403  # The one difference is below.

ROOT_URLCONF = "kameng.bench._page_urls"
