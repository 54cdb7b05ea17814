"""A browser's User-Agent in words that its owner recognises: "Chrome on Windows". A guess; nothing is decided by it."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext as _

# The first that is found counts: most browsers also call themselves by the names of those below them.
_BROWSERS = (
    ("MicroMessenger", "WeChat"), ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"),
    ("UCBrowser", "UC Browser"), ("QQBrowser", "QQ Browser"), ("Firefox/", "Firefox"), ("FxiOS", "Firefox"),
    ("HeadlessChrome", "Chrome"), ("CriOS", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"),
)  # fmt: skip
_SYSTEMS = (
    ("HarmonyOS", "HarmonyOS"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
    ("Mac OS X", "Mac"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


def of(request: HttpRequest) -> str:
    """What the browser calls itself, as it is kept: 300 characters at most."""
    return str(request.META.get("HTTP_USER_AGENT", ""))[:300]


def words(agent: str) -> str:
    """The browser and its system, as far as they can be told."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("An unknown device")
