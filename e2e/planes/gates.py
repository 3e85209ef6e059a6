"""A hook that holds releases until told: so a weight stands while visits are counted, however slow the machine is."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Gates:
    """Gates by the name of a canary, all closed; an operator asks at `url`."""

    def __init__(self) -> None:
        self._passes: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def let(self, name: str, times: int = 1) -> None:
        """Let a canary's releases pass so many times more."""
        with self._lock:
            self._passes[name] += times

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()

    def _asked(self, name: str) -> bool:
        with self._lock:
            self._passes[name] -= (found := self._passes[name] > 0)
        return found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        asked = self._asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200 if asked(body["name"]) else 403)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                """Nothing: the tests tell what matters."""

        return Handler
