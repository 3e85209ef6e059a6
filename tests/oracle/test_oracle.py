"""The recorded stories of the reference, replayed: the same visible behaviour but for what `accept.txt` names.

What is done instead is held word by word in `ours/`, so that an accepted difference cannot hide another one. After a
change on purpose write these files anew with `UPDATE_TRANSCRIPTS=1` and read what changed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oracle import compare
from oracle.replay import HERE, Story

OURS, REFERENCE = HERE / "ours", HERE / "transcripts"
NAMES = sorted(path.stem for path in (HERE / "scenarios").glob("*.yaml"))


@pytest.mark.looptime
@pytest.mark.parametrize("name", NAMES)
async def test_the_story_goes_as_the_reference_told_it(name: str, tmp_path: Path) -> None:
    """Same phases, weights, events, objects, hook calls and queries; every difference has its reason."""
    told = "\n".join(await Story(HERE / "scenarios" / f"{name}.yaml").play()) + "\n"
    kept, fresh = OURS / f"{name}.jsonl", tmp_path / f"{name}.jsonl"
    fresh.write_text(told)
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        kept.write_text(told)
    accept = tmp_path / "accept.txt"
    accept.write_text(
        "\n".join(line for line in (HERE / "accept.txt").read_text().splitlines() if line.split(" ")[0] == name)
    )
    assert compare.main([str(REFERENCE / f"{name}.jsonl"), str(fresh), "--accept", str(accept)]) == 0
    assert told == kept.read_text()


def test_every_difference_has_a_reason() -> None:
    """A line of the list names a scenario, a stream, and says why."""
    lines = [line for line in (HERE / "accept.txt").read_text().splitlines() if line and not line.startswith("#")]
    for line in lines:
        scenario, _, rest = line.partition(" ")
        assert scenario in NAMES
        assert len(rest.split()) > 4


def test_another_weight_would_be_seen(tmp_path: Path) -> None:
    """The judge is no rubber stamp: one weight more in our transcript is a difference."""
    kept = (OURS / "good.jsonl").read_text()
    assert '"weight": 40' in kept
    fresh = tmp_path / "good.jsonl"
    fresh.write_text(kept.replace('"weight": 40', '"weight": 45'))
    accept = [str(REFERENCE / "good.jsonl"), str(fresh), "--accept", str(HERE / "accept.txt")]
    assert compare.main(accept) == 1
