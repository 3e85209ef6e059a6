"""The `podcli` of podinfo's image, against a small server that stands for the proxy and for the pod."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from pyflagger_sandbox.podinfo import podcli


class Pod(BaseHTTPRequestHandler):
    """Answers by the path: `/503`, or `/flaky` for 200 from the second time on."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.asked.append(" ".join(word for word in (self.command, self.path, body) if word))
        path = self.path.rpartition("/")[2]
        code = (503 if len(self.asked) == 1 else 200) if path == "flaky" else int(path)
        self.send_response(code)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """A server that is told everything, whatever host is asked for."""
    with HTTPServer(("127.0.0.1", 0), Pod) as server:
        Pod.asked.clear()
        monkeypatch.setenv("http_proxy", f"http://test:127.0.0.1@127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


HTTP = {
    "passes": (
        "localhost:9898/200",
        0,
        ["GET http://localhost:9898/200"],
        {"status code": 200, "response size": "2 B"},
    ),
    "not modified": ("http://podinfo.test/304", 0, ["GET http://podinfo.test/304"], {"status code": 304}),
    "fails": ("localhost:9898/503", 1, ["GET http://localhost:9898/503"], {"status code": 503}),
    "fails again": ("localhost/404 --retry=1 --delay=1ms", 1, ["GET http://localhost/404"] * 2, {"status code": 404}),
    "second try": ("x/flaky --retry 3 --delay=1ms", 0, ["GET http://x/flaky"] * 2, {"status code": 200}),
    "a question": ("x/200 --method=POST --body=hey --timeout=3s", 0, ["POST http://x/200 hey"], {"status code": 200}),
}


@pytest.mark.parametrize("name", HTTP)
def test_http(name: str, proxy: HTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code, what the server was asked, and the last line."""
    words, code, asked, said = HTTP[name]
    assert podcli.main(["check", "http", *words.split()]) == code
    assert Pod.asked == asked
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == len(asked) and said.items() <= lines[-1].items()
    assert [line["msg"] for line in lines][-1] == ("check failed" if code else "check succeed")


@pytest.mark.parametrize("kind", ["tcp", "grpc"])
def test_a_port_of_the_pod(kind: str, proxy: HTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """`localhost` is the pod; a port without a listener fails."""
    assert podcli.main(["check", kind, f"localhost:{proxy.server_port}"]) == 0
    assert podcli.main(["check", kind, "localhost:1"]) == 1
    assert podcli.main(["check", kind, "localhost:ninety"]) == 1
    assert "refused" in capsys.readouterr().err


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The reason is told."""
    monkeypatch.delenv("http_proxy", raising=False)
    assert podcli.main(["check", "http", "127.0.0.1:1"]) == 1
    assert "Connection refused" in json.loads(capsys.readouterr().err)["error"]


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the image's tag."""
    monkeypatch.setenv(podcli.IMAGE, "localhost:5000/podinfo:6.0.1")
    assert podcli.main(["version"]) == 0
    assert capsys.readouterr().out == "6.0.1\n"


@pytest.mark.parametrize("words", ["", "check", "check http", "check ws ws://x", "check http x --delay=soon"])
def test_words_that_make_no_sense(words: str) -> None:
    """They end it before anything is asked."""
    with pytest.raises(SystemExit):
        podcli.main(words.split())
