"""A traffic provider in a distribution of its own: it releases like ours; when it breaks, it is named and contained."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from extension.distribution import forget, install
from pyflagger import plugins
from pyflagger.clock import SystemClock
from pyflagger.plugins import Contained, PluginBusy, PluginFailed, bounded, retried
from pyflagger.routing import registry
from pyflagger.testing import check_router
from stage.manifests import analysis, canary
from stage.trouble import Pair

BROKEN = """
from acme_router import Acme


class Router(Acme):
    def set(self, *args, **more):
        {trouble}
"""
RAISING = BROKEN.format(trouble="raise KeyError('no such road')")
HANGING = BROKEN.format(trouble="import threading; threading.Event().wait()")

DEAF = """
from acme_router import Acme


class Router(Acme):
    def reads(self, canary, options):
        import threading; threading.Event().wait()
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example, and three that break: two in the middle of a release, one as soon as its Canary appears."""
    install(tmp_path, monkeypatch, raising=RAISING, hanging=HANGING, deaf=DEAF)
    yield
    forget()


@pytest.mark.usefixtures("_installed")
def test_the_example_conforms() -> None:
    """What we show to others is held to what we ask of them."""
    from acme_router import Acme  # type: ignore[import-not-found]

    assert "acme" in registry.known_providers()
    check_router(Acme)


async def weights(pair: Pair) -> tuple[int, int]:
    """What the plugin's proxy would read: primary, canary."""
    said = (await pair.stage.get("Service", "sick-weights", "sick"))["metadata"]["annotations"]
    return int(said["acme.example/primary"]), int(said["acme.example/canary"])


@pytest.mark.looptime
@pytest.mark.usefixtures("_installed")
async def test_a_plugin_releases_like_ours() -> None:
    """Promoted, with its weights where its proxy reads them, and nothing left of the release."""
    pair = Pair()
    metric = {"name": "success", "interval": "1m", "query": "success", "thresholdRange": {"min": 99}}
    await pair.begin(spoilt=canary("sick", provider="acme", analysis=analysis(metrics=[metric])))
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.weight(20)
    primary, weight = await weights(pair)
    assert weight >= 20 and primary + weight == 100
    await pair.phase("sick", "Succeeded")
    assert await weights(pair) == (100, 0)
    await pair.calm_is_prompt()


@pytest.mark.looptime
@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    "name, said",
    [
        ("raising", "reconcile.*KeyError: 'no such road'"),
        ("hanging", "reconcile.*has not returned within 2 s"),
        ("deaf", "reads.*has not returned within 2 s"),
    ],
)
async def test_a_plugin_that_breaks_is_named_and_disturbs_nobody(name: str, said: str) -> None:
    """Its canary says whose fault it is; the other one is released as if nothing were."""
    pair = Pair()
    await pair.begin(spoilt=canary("sick", provider=name))
    text = await pair.tells(f"traffic provider {name}.*{said}")
    assert "Fix or reinstall the package" in text
    await pair.release("calm")
    await pair.calm_is_prompt()


# The containment itself ---------------------------------------------------------------------------------------------


class Stuck:
    """Hangs until it is let go, then answers."""

    limit = 7

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.calls = 0

    def work(self, number: int) -> int:
        """The number, once the gate is open."""
        self.calls += 1
        self.gate.wait(5)
        return number


def test_a_call_that_hangs_is_made_once_until_it_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pile of threads grows while it hangs, and afterwards it is asked again."""
    monkeypatch.setattr(plugins, "PATIENCE_SECONDS", 0.02)
    stuck = Stuck()
    contained = Contained(stuck, "thing x")
    for said in ("has not returned", "not called", "not called"):
        with pytest.raises(PluginFailed, match=f"thing x, work.*{said}"):
            contained.work(1)
    assert stuck.calls == 1
    stuck.gate.set()
    assert contained._caller._last is not None and contained._caller._last.wait(5)
    assert contained.work(2) == 2 and contained.limit == 7


class Slow:
    """Answers each new question only after its caller has gone on, and counts the questions."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked: list[tuple[int, ...]] = []

    def work(self, *numbers: int) -> int:
        """The sum, late."""
        self.asked.append(numbers)
        self.gate.wait(5)
        self.gate.clear()
        return sum(numbers)


async def test_a_slow_call_is_awaited_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt starts again with each answer that came late; no question is asked twice, and others go on."""
    monkeypatch.setattr(plugins, "GRACE_SECONDS", 0.005)
    slow = Slow()
    contained, going_on = Contained(slow, "thing x"), 0

    async def others() -> None:
        nonlocal going_on
        while True:
            await SystemClock().sleep(0)
            going_on += 1
            slow.gate.set()

    async def attempt() -> int:
        return int(contained.work(1, 2) + contained.work(3, 4))

    beside = asyncio.ensure_future(others())
    assert await retried(attempt) == 10
    beside.cancel()
    assert slow.asked == [(1, 2), (3, 4)] and going_on > 0


async def test_an_attempt_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that is slow each time, and is asked something new each time, is named."""
    monkeypatch.setattr(plugins, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(plugins, "WAITS_MAX", 3)
    slow, number = Slow(), iter(range(3))
    contained = Contained(slow, "thing x")

    async def attempt() -> None:
        asyncio.get_running_loop().call_soon(slow.gate.set)
        contained.work(next(number))

    with pytest.raises(PluginFailed, match=r"thing x, work.*on each call"):
        await retried(attempt)
    assert len(slow.asked) == 3


async def test_in_the_event_loop_nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of an attempt a call that has not returned at once has failed."""
    monkeypatch.setattr(plugins, "GRACE_SECONDS", 0.005)
    slow = Slow()
    contained = Contained(slow, "thing x")
    for _ in range(2):
        with pytest.raises(PluginBusy, match=r"thing x, work.*has not returned within 0\.005 s"):
            contained.work(1)
    slow.gate.set()


@pytest.mark.parametrize("error", [SystemExit(3), RecursionError("deep"), Exception("x" * 10_000)])
def test_whatever_is_raised_is_told_in_short(error: BaseException) -> None:
    """Not even an exit gets out."""

    def call() -> None:
        raise error

    with pytest.raises(PluginFailed) as caught:
        bounded("thing x", call)
    assert type(error).__name__ in str(caught.value) and len(str(caught.value)) <= 500 and caught.value.problem.todo
