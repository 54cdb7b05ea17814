"""A name server on this machine: what stands in `zone` is what the outside says. It speaks DNS over UDP, and nothing else."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset


class NameServer:
    """`zone[name, "TXT"] = ["…"]`; a name that is in no entry does not exist. `silent`: it answers nobody. `broken`:
    SERVFAIL."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.silent = False
        self.broken = False
        self.asked: list[tuple[str, str]] = []
        self.address = ""

    def answer(self, wire: bytes) -> bytes | None:
        query = dns.message.from_wire(wire)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        self._fill(response, name, kind)
        if not response.answer and not any(known == name for known, _kind in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()

    def _fill(self, response: Any, name: str, kind: str) -> None:
        """The records of a name, and, as a resolver does, of what it is an alias of."""
        for _step in range(8):
            own = self.zone.get((name, kind), [])
            alias = self.zone.get((name, "CNAME"), [])
            if own:
                values = {"TXT": [f'"{value}"' for value in own], "CNAME": [f"{value}." for value in own]}.get(
                    kind, own
                )
                response.answer.append(dns.rrset.from_text(f"{name}.", 60, dns.rdataclass.IN, kind, *values))
            if own or kind == "CNAME" or not alias:
                return
            response.answer.append(dns.rrset.from_text(f"{name}.", 60, dns.rdataclass.IN, "CNAME", f"{alias[0]}."))
            name = alias[0]

    @contextmanager
    def running(self) -> Iterator[NameServer]:
        """Serve on a free port of 127.0.0.1."""
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                wire, socket = self.request
                answer = outer.answer(wire)
                if answer is not None:
                    socket.sendto(answer, self.client_address)

        with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
            self.address = f"127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
