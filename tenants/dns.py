"""What DNS says of a domain, asked of the resolver that settings name (or the machine's own). Outside any transaction."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from django.conf import settings

LIFETIME_S = 5.0  # Of one question.
PATIENCE_S = 10.0  # Of all that one look-up asks: a slow name server must not hold a worker for a minute.
CHAIN = 8  # CNAMEs that are followed; more is a mistake or a loop.


class DnsAway(Exception):
    """No answer at all: says nothing about the domain, and is asked again later."""


@dataclass(frozen=True)
class Answers:
    """What stands there now; empty where nothing does."""

    texts: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()  # The chain of CNAMEs, first to last, lower case, without the dot at the end.
    addresses: tuple[str, ...] = field(default=())


def look_up(domain: str, challenge: str) -> Answers:
    """TXT at the challenge's name, and where the domain itself leads. Raises: DnsAway."""
    resolver, until = _resolver(), time.monotonic() + PATIENCE_S
    texts = tuple(
        b"".join(row.strings).decode("utf-8", "replace").strip() for row in _records(resolver, challenge, "TXT", until)
    )
    aliases: list[str] = []
    name = domain
    for _step in range(CHAIN):
        found = [str(row.target).rstrip(".").lower() for row in _records(resolver, name, "CNAME", until)]
        if not found:
            break
        aliases.append(found[0])
        name = found[0]
    addresses = tuple(
        sorted(str(row.address) for kind in ("A", "AAAA") for row in _records(resolver, domain, kind, until))
    )
    return Answers(texts, tuple(aliases), addresses)


def _resolver() -> dns.resolver.Resolver:
    servers = settings.DNS_RESOLVERS
    resolver = dns.resolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [_server(text) for text in servers]
    resolver.search = []  # A name is whole; nothing is added to it.
    return resolver


def _server(text: str) -> dns.nameserver.Nameserver:
    """`192.0.2.53` or `192.0.2.53:5353`."""
    address, _colon, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    return dns.nameserver.Do53Nameserver(address, int(port or 53))


def _records(resolver: dns.resolver.Resolver, name: str, kind: str, until: float) -> list[Any]:
    left = until - time.monotonic()
    if left <= 0:
        raise DnsAway("The name servers take too long.")
    resolver.lifetime = min(LIFETIME_S, left)
    try:
        return list(resolver.resolve(dns.name.from_text(name + "."), kind, raise_on_no_answer=False))
    except (dns.resolver.NXDOMAIN, dns.resolver.YXDOMAIN):
        return []
    except (dns.exception.Timeout, dns.resolver.NoNameservers, OSError) as error:
        raise DnsAway(str(error)) from error
    except dns.exception.DNSException as error:  # An empty label, a name that is too long with the challenge.
        raise DnsAway(str(error)) from error
