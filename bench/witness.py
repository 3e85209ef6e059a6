"""What the audit log says of the operator: how many requests of which kind, and every step of every canary.

The log is written by the API server, so it holds what was asked, whatever the operator believes.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from bench.environment import OPERATOR

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
TOKEN = "authentication.kubernetes.io/credential-id"
CANARY_SUFFIX = "-canary"


@dataclass(frozen=True)
class Request:
    """One request of the operator. `at`: seconds since the epoch when it came; `body` where the policy keeps it.

    `token` names the credential, so the process.
    """

    at: float
    verb: str
    resource: str
    name: str
    status: int
    body: Any
    token: str = ""

    @property
    def weight(self) -> int | None:
        """The canary's new share, if this request set one."""
        return self.asked_weight if self.status < 300 else None

    @property
    def asked_weight(self) -> int | None:
        """The canary's new share, if this request was to set one."""
        notes = ((self.body or {}).get("metadata") or {}).get("annotations") or {}
        return int(notes[WEIGHT] or 0) if self.resource == "ingresses" and WEIGHT in notes else None

    @property
    def is_unsure(self) -> bool:
        """Whether the answer leaves open what came of it."""
        return self.status == 0 or self.status >= 500

    @property
    def canary(self) -> str:
        """The canary that a request about a status or a canary Ingress is about."""
        return self.name.removesuffix(CANARY_SUFFIX)


class Witness:
    """Reads the log on from where it was."""

    def __init__(self, log: Path) -> None:
        self._log, self._at = log, 0

    def hear(self) -> list[Request]:
        """What the operator asked since the last time."""
        with self._log.open("rb") as file:
            file.seek(self._at)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._at += len(whole)
        return list(_requests(whole.splitlines()))


def _requests(lines: Iterable[bytes]) -> Iterator[Request]:
    for line in lines:
        event = json.loads(line)
        # A watch is told twice: when it begins and when it ends.
        wanted = "ResponseStarted" if event["verb"] == "watch" else "ResponseComplete"
        if event["user"]["username"] != OPERATOR or event["stage"] != wanted:
            continue
        about = event.get("objectRef") or {}
        resource = "/".join(filter(None, (about.get("resource", "-"), about.get("subresource"))))
        at = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
        status = (event.get("responseStatus") or {}).get("code", 0)
        token = str((event["user"].get("extra") or {}).get(TOKEN))
        yield Request(at, event["verb"], resource, about.get("name", ""), status, event.get("requestObject"), token)


def bill(requests: Iterable[Request]) -> Counter[str]:
    """Requests by verb and resource, renewals of Leases aside."""
    return Counter(f"{each.verb} {each.resource}" for each in requests if each.resource != "leases")


def walks(requests: Iterable[Request]) -> dict[str, list[int]]:
    """The weights that each canary was given, in order.

    Of a request whose client died the API server says that it failed, whether it was carried out or not. When the next
    one asks for something else, it was: an operator asks again for what did not come about.
    """
    asked: defaultdict[str, list[Request]] = defaultdict(list)
    for each in requests:
        if each.asked_weight is not None and (each.status < 300 or each.is_unsure):
            asked[each.canary].append(each)
    return {name: list(_carried_out(steps)) for name, steps in asked.items()}


def _carried_out(steps: Sequence[Request]) -> Iterator[int]:
    for step, following in zip_longest(steps, steps[1:]):
        repeated = following is not None and following.asked_weight == step.asked_weight
        if step.asked_weight is not None and not (step.is_unsure and repeated):
            yield step.asked_weight


def gaps(requests: Iterable[Request]) -> list[float]:
    """Seconds from each step of a canary to its next one."""
    before: dict[str, float] = {}
    found = []
    for each in requests:
        if each.weight is not None:
            if each.weight and each.canary in before:
                found.append(each.at - before[each.canary])
            before[each.canary] = each.at
    return found


def crooked(requests: Iterable[Request], steps: Sequence[int]) -> dict[str, list[int]]:
    """The canaries that did not go through every step exactly once, in order, and back to zero."""
    return {name: walk for name, walk in walks(requests).items() if walk != [*steps, 0]}


def first_step(requests: Iterable[Request], after: float) -> float | None:
    """Seconds from a moment to the first step of any canary after it."""
    return min((each.at - after for each in requests if each.weight is not None and each.at > after), default=None)
