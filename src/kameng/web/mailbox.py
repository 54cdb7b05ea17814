"""Mail without a network: messages are files in the data folder, with a page to read them."""

from __future__ import annotations

import email
import email.policy
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage as ParsedMessage
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

KEPT = 500


class MailboxBackend(BaseEmailBackend):
    """Writes each message to MAILBOX_DIR, atomically."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.MAILBOX_DIR)
        folder.mkdir(parents=True, exist_ok=True)
        for message in email_messages:
            name = f"{time.time_ns()}-{os.getpid()}.eml"
            part = folder / f".{name}"
            part.write_bytes(message.message().as_bytes())
            part.replace(folder / name)
        for old in sorted(folder.glob("*.eml"))[:-KEPT]:
            old.unlink(missing_ok=True)
        return len(email_messages)


@dataclass(frozen=True)
class StoredMail:
    """One message as the page shows it."""

    name: str
    at: datetime
    to: str
    subject: str
    text: str


def messages(limit: int = 100) -> list[StoredMail]:
    """The newest messages first."""
    folder = Path(settings.MAILBOX_DIR)
    return [_read(path) for path in sorted(folder.glob("*.eml"), reverse=True)[:limit]] if folder.is_dir() else []


def _read(path: Path) -> StoredMail:
    parsed = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(parsed, ParsedMessage)
    body = parsed.get_body(preferencelist=("plain", "html"))
    return StoredMail(
        name=path.stem,
        at=datetime.fromtimestamp(int(path.stem.split("-")[0]) / 1e9, tz=UTC),
        to=str(parsed["To"]),
        subject=str(parsed["Subject"]),
        text=str(body.get_content()) if body else "",
    )
