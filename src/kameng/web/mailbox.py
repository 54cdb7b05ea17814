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


def messages(query: str = "") -> list[StoredMail]:
    """What is kept, newest first; with a query, those that hold each of its words in recipient, subject or text."""
    folder = Path(settings.MAILBOX_DIR)
    if not folder.is_dir():
        return []
    words = query.casefold().split()
    found = [mail for path in sorted(folder.glob("*.eml"), reverse=True) if (mail := _read(path)) is not None]
    if not words:
        return found
    return [mail for mail in found if all(word in f"{mail.to} {mail.subject} {mail.text}".casefold() for word in words)]


def _read(path: Path) -> StoredMail | None:
    """A message as it lies there; None when another process has thrown it away since it was listed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, ParsedMessage)
    body = parsed.get_body(preferencelist=("plain", "html"))
    return StoredMail(
        name=path.stem,
        at=datetime.fromtimestamp(int(path.stem.split("-")[0]) / 1e9, tz=UTC),
        to=str(parsed["To"]),
        subject=str(parsed["Subject"]),
        text=str(body.get_content()) if body else "",
    )
