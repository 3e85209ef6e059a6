"""The two operators of a namespace, of which one acts at a time, and a hook that holds the end of a release."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from e2e.environment import Environment, until
from e2e.stage import Operator
from e2e.swap.parts import reference
from pyflagger_sandbox.network.ingress import free_port

INTERVAL = 10.0
"""Seconds: the shortest interval of Flagger."""

TURN_SECONDS = 2.5 * INTERVAL
"""Each operator looks at every canary at least twice in a turn."""

HELD_SECONDS_MAX = 60.0


class Turns:
    """The operators of one namespace, of which one acts at a time."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self._ours = env.stage.install("namespaced", env.namespace)
        self._number = 0
        self._acting: Operator | None = None

    def theirs(self, *flags: str) -> Operator:
        """Let Flagger act."""
        stage, port = self.env.stage, free_port()
        words = ["-metrics-server", stage.urls["metrics"], "-mesh-provider", "nginx", "-port", str(port)]
        where = ["-kubeconfig", str(stage.kubeconfig), "-namespace", self.env.namespace]
        environ = {"http_proxy": stage.urls["proxy"], "NO_PROXY": "127.0.0.1"}
        argv = [str(reference()), *where, *words, "-control-loop-interval", "1s", *flags]
        log, url = stage.folder / f"{self._name('theirs')}.log", f"http://127.0.0.1:{port}"
        return self._turn(Operator(log.stem, argv, log, environ, url=url), "/healthz")

    def ours(self, *flags: str) -> Operator:
        """Let ours act."""
        words = ("-namespace", self.env.namespace, *flags)
        return self._turn(self.env.stage.operator(self._ours, *words, name=self._name("ours")), "/readyz")

    def of(self, whose: str) -> Operator:
        """Let `ours` or `theirs` act."""
        return self.ours() if whose == "ours" else self.theirs()

    def nobody(self) -> None:
        """Stop who acts."""
        if self._acting is not None:
            self._acting.stop()
        self._acting = None

    def _turn(self, operator: Operator, page: str) -> Operator:
        self.nobody()
        self.env.started(operator)
        self._acting = operator
        until(lambda: operator.page(page), operator.tail, 30)
        return operator

    def _name(self, who: str) -> str:
        self._number += 1
        return f"{self.env.namespace}-{self._number}-{who}"


def turn_over() -> None:
    """Wait for both looks of a turn, by wall time: that nothing happens is only seen by waiting."""
    threading.Event().wait(TURN_SECONDS)


class Held:
    """A hook that answers nobody until it is let go. `asked` is set by the first call."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()
        self.url = ""


@contextmanager
def held() -> Iterator[Held]:
    """Such a hook on loopback."""
    made = Held()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            made.asked.set()
            made.let_go.wait(HELD_SECONDS_MAX)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Nothing: the tests tell what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.let_go.set()
        server.shutdown()
        server.server_close()
