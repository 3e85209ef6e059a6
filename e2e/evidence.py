"""What a run left behind, and what may not be in it: a secret that was planted, a request that our rules refuse.

Filled by places as they end; judged once, when the stage ends, over every log of the run, the events, the statuses and
the metrics of every operator, and the audit log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from e2e.planted import leaks

RECEIVED = "requestReceivedTimestamp"
DECISION = "authorization.k8s.io/decision"
ACCOUNTS = (":flagger", ":flagger-loadtester", ":flagger-dashboard")
"""Our service accounts, in whatever namespace."""


class Evidence:
    """`folder` is where everything of the run writes its log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._said: dict[str, str] = {}
        self.lacking: set[str] = set()
        """Users from whom a test took a right away on purpose."""

    def keep(self, what: str, text: str) -> None:
        """Keep what will be gone when the run is judged."""
        self._said[what] = text

    def texts(self) -> Mapping[str, str]:
        """Everything, by what it is."""
        logs = {path.name: path.read_text(errors="replace") for path in sorted(self._folder.rglob("*.log"))}
        return logs | self._said

    def judged(
        self, audited: Iterable[Mapping[str, Any]], unready: Collection[tuple[float, float]]
    ) -> tuple[list[str], list[str]]:
        """What is wrong, and lines that tell what was looked at.

        An API server that was started again refuses everybody until it has read the rules: in spans of `unready`
        (seconds since the epoch) a refusal says nothing of them.
        """
        texts, ours = self.texts(), [entry for entry in audited if _user(entry).endswith(ACCOUNTS)]
        forbidden = [entry for entry in ours if forbids(entry) and not within(epoch(entry[RECEIVED]), unready)]
        wrong = [entry for entry in forbidden if _user(entry) not in self.lacking]
        found, lacked = leaks(texts), len(forbidden) - len(wrong)
        size = sum(map(len, texts.values())) / 1e6
        told = [
            f"secrets: {len(found)} in {len(texts)} logs, lists of events and pages of metrics ({size:.1f} MB)",
            f"requests refused by our rules: {len(wrong)} of {len(ours)}; {lacked} where a test took a right away",
        ]
        unseen = ["no refusal was seen where a test took a right away"] if self.lacking and not lacked else []
        refused = [f"refused: {_user(entry)} {entry['verb']} {entry['requestURI']}" for entry in wrong]
        return [*found, *unseen, *refused], told


def forbids(entry: Mapping[str, Any]) -> bool:
    """Whether the authorizer refused a request.

    What comes too late for a namespace that is being deleted has the same status and no lack of rights.
    """
    return (entry.get("annotations") or {}).get(DECISION) == "forbid"


def epoch(stamp: str) -> float:
    """A time of the audit log, in seconds since the epoch."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def within(moment: float, spans: Iterable[tuple[float, float]]) -> bool:
    """Whether a moment lies in one of some spans of time."""
    return any(begin <= moment <= end for begin, end in spans)


def _user(entry: Mapping[str, Any]) -> str:
    return str(entry["user"]["username"])
