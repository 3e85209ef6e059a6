"""Messages to a mail server over real sockets: TLS, logins, refusals, and servers that misbehave."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.receiver import alert
from pyflagger.clock import SystemClock
from pyflagger.operator.alerting.dispatcher import Delivered, deliver
from pyflagger.operator.alerting.receivers import Receivers, provided
from pyflagger.operator.alerting.smtp import deliver_mail
from pyflagger.operator.options import Options
from pyflagger.operator.process.http import AiohttpHttp
from pyflagger.wire import HttpFailure, SmtpReply, SmtpRequest

PASSWORD = "planted-password"
LOGIN = base64.b64encode(f"\0bot@example.com\0{PASSWORD}".encode()).decode()
REQUEST = SmtpRequest(
    "127.0.0.1", 0, "none", "f@example.com", ("a@example.com", "b@example.com"), b"Subject: s\r\n\r\nb"
)
GOOD: Mapping[str, str] = {
    "EHLO": "250-mail\r\n250-AUTH PLAIN\r\n250 STARTTLS",
    "AUTH": "235 in",
    "STARTTLS": "220 go",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go on",
    ".": "250 queued",
    "QUIT": "221 bye",
}


class MailServer:
    """Replies to each command as its script says, and keeps the commands. `greeting`: None says nothing."""

    def __init__(self, tls: ssl.SSLContext | None = None, greeting: str | None = "220 mail", **replies: str) -> None:
        self.tls, self.greeting, self.commands = tls, greeting, list[str]()
        self.replies = GOOD | {name.rstrip("_"): reply for name, reply in replies.items()}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.greeting is not None:
            writer.write(f"{self.greeting}\r\n".encode())
        data = False
        while raw := await reader.readline():
            line = raw.decode().rstrip("\r\n")
            if data and line != ".":
                continue
            self.commands.append(line)
            command = line.split()[0].upper()
            reply = self.replies.get(line, self.replies.get(command, "500 what"))
            writer.write(f"{reply}\r\n".encode())
            data = command == "DATA" and reply.startswith("354")
            if command == "STARTTLS" and self.tls:
                await writer.start_tls(self.tls)
        writer.close()


@asynccontextmanager
async def served(server: MailServer, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a mail server; with `tls`, TLS from the first byte."""
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls) as listening:
        yield listening.sockets[0].getsockname()[1]


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[], ssl.SSLContext]:
    """Makes a certificate for 127.0.0.1 in `cert.pem`, which nothing trusts yet."""

    def made() -> ssl.SSLContext:
        words = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=mail -addext subjectAltName=IP:127.0.0.1"
        files = ("-keyout", "key.pem", "-out", "cert.pem")
        subprocess.run(["openssl", *words.split(), *files], cwd=tmp_path, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        return context

    return made


async def test_without_tls() -> None:
    """The commands in order; the name of this machine is not asked for."""
    server = MailServer()
    async with served(server) as port:
        assert await deliver_mail(replace(REQUEST, port=port)) == SmtpReply(250, "queued")
    assert server.commands == [
        "EHLO example.com",
        "MAIL FROM:<f@example.com>",
        "RCPT TO:<a@example.com>",
        "RCPT TO:<b@example.com>",
        "DATA",
        ".",
        "QUIT",
    ]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_with_tls(
    tls: str, certificate: Callable[[], ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login is sent with TLS only; a certificate that nobody knows is refused before it."""
    context = certificate()
    request = replace(REQUEST, tls=tls, login="bot@example.com", password=PASSWORD)
    for trusted in (False, True):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        server = MailServer(context)
        async with served(server, context if tls == "implicit" else None) as port:
            if trusted:
                assert (await deliver_mail(replace(request, port=port))).code == 250
            else:
                with pytest.raises(HttpFailure) as caught:
                    await deliver_mail(replace(request, port=port))
                assert caught.value.kind == "tls" and "CERTIFICATE_VERIFY_FAILED" in str(caught.value)
        assert (f"AUTH PLAIN {LOGIN}" in server.commands) is trusted


async def test_a_server_without_starttls() -> None:
    """Neither the password nor the message is sent without TLS."""
    server = MailServer(EHLO="250 mail")
    async with served(server) as port:
        with pytest.raises(HttpFailure, match="does not offer STARTTLS") as caught:
            await deliver_mail(replace(REQUEST, port=port, tls="starttls", login="bot", password=PASSWORD))
    assert caught.value.kind == "tls" and {line.split()[0] for line in server.commands} <= {"EHLO", "QUIT"}


@pytest.mark.parametrize(
    ("replies", "reply"),
    [
        ({"MAIL": "553 no such sender"}, SmtpReply(553, "no such sender")),
        ({"RCPT": "550 no such user"}, SmtpReply(550, "a@example.com: no such user")),
        ({"RCPT TO:<b@example.com>": "550 no such user"}, SmtpReply(550, "b@example.com: no such user")),
        ({"DATA": "451 later"}, SmtpReply(451, "later")),
        ({"._": "554 spam"}, SmtpReply(554, "spam")),
        ({"greeting": "421 busy"}, SmtpReply(421, "busy")),
    ],
)
async def test_refusals(replies: dict[str, str], reply: SmtpReply) -> None:
    """The reply of the step that failed, also if other recipients got the message."""
    async with served(MailServer(**replies)) as port:
        assert await deliver_mail(replace(REQUEST, port=port)) == reply


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [("HTTP/1.1 400 Bad Request", "malformed"), (None, "timeout"), ("", "malformed")],
)
async def test_servers_that_misbehave(greeting: str | None, kind: str) -> None:
    """Each is a failure of its own, and takes no longer than the timeout."""
    async with served(MailServer(greeting=greeting)) as port:
        with pytest.raises(HttpFailure) as caught:
            await deliver_mail(replace(REQUEST, port=port, timeout=0.3 if greeting is None else 60.0))
        assert caught.value.kind == kind and f"127.0.0.1:{port}" in str(caught.value)
    with pytest.raises(HttpFailure) as caught:
        await deliver_mail(replace(REQUEST, port=port))
    assert caught.value.kind == "connect"


async def delivered(server: MailServer, **spec: str) -> Delivered:
    """The end of an alert for an AlertProvider of type email."""
    async with served(server) as port, AiohttpHttp() as http:
        whole = {
            "type": "email",
            "address": f"smtp://127.0.0.1:{port}?tls=none",
            "channel": "a@x.y",
            "username": "f@x.y",
        }
        raw = {"metadata": {"name": "p", "namespace": "test"}, "spec": whole | spec}
        receivers = Receivers(Options(), lambda ref: raw, None)  # type: ignore[arg-type]
        return await deliver(http, SystemClock(), receivers, provided("test", "p"), alert(), attempts_max=1)


async def test_an_alert_by_mail() -> None:
    """From the AlertProvider to the mail server, and the text of a refusal."""
    assert (await delivered(MailServer())).outcome == "sent"
    refused = await delivered(MailServer(MAIL="550 who are you"))
    assert (refused.outcome, refused.text) == ("rejected", "the mail server answers: 550 who are you")
    hangs = await delivered(MailServer(greeting="HTTP/1.1 400 Bad Request"))
    assert hangs.outcome == "unreadable" and "not SMTP" in hangs.text
    proxied = await delivered(MailServer(), proxy="http://p.example")
    assert (proxied.outcome, proxied.text) == ("misconfigured", "a mail server has no HTTP proxy")
