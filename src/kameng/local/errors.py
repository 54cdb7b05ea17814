"""What goes wrong on one machine, in words for the person at the terminal."""

from __future__ import annotations


class LocalError(Exception):
    """Starting or stopping failed; the message says what and what to do about it."""
