"""Receivers of alerts on loopback, which answer as the services do and keep what they get; gates for releases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

from pyflagger.objects import Obj

ANSWERS: Mapping[str, tuple[int, str]] = {
    "/slack": (200, "ok"),
    "/api/chat.postMessage": (200, '{"ok":true,"channel":"C1","ts":"1.2"}'),
    "/teams": (202, ""),
    "/discord/slack": (200, "ok"),
    "/rocket": (200, '{"success":true}'),
    "/gchat": (200, '{"name":"spaces/S/messages/1"}'),
    "/webhook": (204, ""),
    "/pagerduty": (202, '{"status":"success","message":"Event processed","dedup_key":"k"}'),
    "/opsgenie": (202, '{"result":"Request will be processed","took":0.1,"requestId":"r"}'),
    "/root/api/annotations": (200, '{"message":"Annotation added","id":1}'),
}
REPLIES: Mapping[str, str] = {"EHLO": "250 mail", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on"}


@dataclass
class Twins:
    """What the receivers got, in order. `busy`: how many requests each path still refuses with 503."""

    web: str = ""
    mail: str = ""
    got: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    busy: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    """The gates that answer 403. The gate NAME is at `/gate/NAME`."""

    def at(self, path: str) -> list[Any]:
        """The bodies that a receiver got."""
        return [body for place, _, body in self.got if place == path]

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """Status and body for one request."""
        if path.startswith("/gate/"):
            return (403, "closed") if path.removeprefix("/gate/") in self.closed else (200, "open")
        if self.busy.get(path):
            self.busy[path] -= 1
            return 503, "busy"
        self.got.append((path, headers, json.loads(body)))
        return ANSWERS.get(path, (404, "nothing is here"))


@contextmanager
def twins() -> Iterator[Twins]:
    """The receivers, while the block runs."""
    made = Twins()
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), type("Web", (_Web,), {"twins": made})) as web,
        ThreadingTCPServer(("127.0.0.1", 0), type("Mail", (_Mail,), {"twins": made})) as mail,
    ):
        made.web, made.mail = f"http://127.0.0.1:{web.server_port}", f"127.0.0.1:{mail.server_address[1]}"
        for server in (web, mail):
            Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield made
        finally:
            web.shutdown()
            mail.shutdown()


class _Web(BaseHTTPRequestHandler):
    twins: Twins

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, text = self.twins.answer(self.path, headers, body)
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """What is logged here is no part of the run."""


class _Mail(StreamRequestHandler):
    twins: Twins

    def handle(self) -> None:
        self._say("220 mail")
        while line := self.rfile.readline().decode().strip():
            command = line.split()[0].upper()
            self._say(REPLIES.get(command, "221 bye" if command == "QUIT" else "500 what"))
            if command == "DATA":
                self.twins.mails.append(self._message())
                self._say("250 queued")

    def _message(self) -> EmailMessage:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        return message_from_bytes(b"".join(lines), policy=policy.default)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def provider(kind: str, **spec: Any) -> Obj:
    """An AlertProvider of the same name as its type."""
    head = {"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider", "metadata": {"name": kind}}
    return head | {"spec": {"type": kind, **spec}}


def rule(name: str, severity: str = "info") -> Obj:
    """An entry of `analysis.alerts`."""
    return {"name": name, "severity": severity, "providerRef": {"name": name}}
