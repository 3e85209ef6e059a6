"""A case on a sandbox with a real Traefik: applied, released, and visited all the while; who was answered, and how.

Used by the `real` tests of this room. Time is wall time: visitors know no other.
"""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from walkthrough.sandboxed import Sandbox, Visitor, sandbox

FOLDER = Path(__file__).parent
PHASE_SECONDS_MAX = 90.0
LOOK_SECONDS = 0.2


class Cluster:
    """A running sandbox, and what a user does on it."""

    def __init__(self, place: Sandbox) -> None:
        self.place = place
        self.kubectl, self.object = place.kubectl, place.object

    def apply(self, case: str, *flags: str) -> None:
        """Apply a file of this room; `--server-side` and the like are flags."""
        self.kubectl("apply", *flags, "-f", str(FOLDER / case))

    def apply_part(self, case: str, *, canaries: bool, **filled: object) -> None:
        """The Canaries of a file of this room, or everything else in it, with some words of it replaced."""
        text = (FOLDER / case).read_text()
        for word, value in filled.items():
            text = text.replace(word, str(value))
        chosen = [doc for doc in text.split("\n---\n") if ("kind: Canary" in doc) is canaries]
        self.kubectl("apply", "-f", "-", said="\n---\n".join(chosen))

    def status(self, namespace: str, canary: str) -> dict[str, Any]:
        """The status of a Canary; empty before it has one."""
        return dict(self.object("-n", namespace, "canary", canary).get("status") or {})

    def condition(self, namespace: str, canary: str, kind: str) -> str:
        """The message of a condition that is True; empty when it is not."""
        found = self.status(namespace, canary).get("conditions") or ()
        return next((each["message"] for each in found if each["type"] == kind and each["status"] == "True"), "")

    def until(self, what: Callable[[], bool], shown: Callable[[], object], seconds: float = PHASE_SECONDS_MAX) -> None:
        """Wait until something is so; `shown` is what a failure prints."""
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, f"not within {seconds:g} s: {shown()}"
            threading.Event().wait(LOOK_SECONDS)

    def phase(self, namespace: str, canary: str, *wanted: str, seconds: float = PHASE_SECONDS_MAX) -> str:
        """Wait for one of these phases; which one it is."""
        self.until(
            lambda: self.status(namespace, canary).get("phase") in wanted,
            lambda: (self.status(namespace, canary), self.events(namespace)),
            seconds,
        )
        return str(self.status(namespace, canary)["phase"])

    def blocked(self, namespace: str, canary: str, seconds: float = PHASE_SECONDS_MAX) -> str:
        """Wait until the Canary is blocked; the text that says why."""
        self.until(
            lambda: bool(self.condition(namespace, canary, "Blocked")),
            lambda: (self.status(namespace, canary), self.events(namespace)),
            seconds,
        )
        return self.condition(namespace, canary, "Blocked")

    def events(self, namespace: str) -> list[str]:
        """The texts of all events of a namespace, in the order in which they were created."""
        return [str(event["message"]) for event in self.object("-n", namespace, "events")["items"]]

    def release(self, namespace: str, deployment: str, image: str, container: str = "app") -> None:
        """What `kubectl set image` does."""
        self.kubectl("-n", namespace, "set", "image", f"deployment/{deployment}", f"{container}={image}")

    def answers(self, host: str, path: str = "/") -> int:
        """The status code that one visitor gets."""
        request = urllib.request.Request(self.place.places["ingress"].rstrip("/") + path, headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def serves(self, host: str, path: str = "/", seconds: float = 30.0) -> None:
        """Wait until the ingress knows a host and its pods: from then on every visit counts."""
        self.until(lambda: self.answers(host, path) == 200, lambda: self.answers(host, path), seconds)

    @contextmanager
    def visited(self, *hosts: str, pause: float = 0.02) -> Iterator[dict[str, Visitor]]:
        """Visitors of each host, about 50 a second, while the block runs; read `failed` and `versions` after it."""
        ingress = self.place.places["ingress"]
        crowd = {host: Visitor(ingress, host, pause) for host in hosts}
        for visitor in crowd.values():
            visitor.start()
        try:
            yield crowd
        finally:
            for visitor in crowd.values():
                visitor.leave()


@contextmanager
def cluster(*flags: str) -> Iterator[Cluster]:
    """A sandbox whose operator looks every second, while the block runs."""
    with sandbox("-min-interval", "1s", *flags) as place:
        yield Cluster(place)
