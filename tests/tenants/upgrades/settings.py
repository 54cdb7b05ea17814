"""Settings of the processes that these tests start: the code that a test has deployed is named by a variable."""

import json
import os

from kameng.settings_test import *  # noqa: F403  # The same, and one thing more.

MIGRATION_MODULES = json.loads(os.environ["KAMENG_TEST_MIGRATIONS"])
