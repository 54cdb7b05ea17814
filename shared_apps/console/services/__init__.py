"""The console's own deeds, each with its audit record; everything else is the services of the apps it shows."""

from shared_apps.console.services._jobs import JobRefused, retry_job
from shared_apps.console.services._keys import ROTATION_JOB, RotationRefused, rotate_keys
from shared_apps.console.services._people import INVITATION_JOB, invite, invite_again

__all__ = [
    "INVITATION_JOB", "ROTATION_JOB", "JobRefused", "RotationRefused", "invite", "invite_again", "retry_job", "rotate_keys",
]  # fmt: skip
