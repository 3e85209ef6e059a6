"""Flagger's own binary and ours take turns over the same canaries, in every phase of a release.

No release starts anew, no weight jumps, no visit fails. Run by `make e2e-swap`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from e2e import apps
from e2e.environment import Environment, until
from e2e.planes.gates import Gates
from e2e.stage import Operator
from e2e.swap.parts import reference
from e2e.swap.watch import Watch
from e2e.visitors import Visitors
from pyflagger.objects import Obj
from pyflagger_sandbox.network.ingress import free_port

pytestmark = pytest.mark.long

INTERVAL = 10.0
"""Seconds: the shortest interval of Flagger."""

TURN_SECONDS = 2.5 * INTERVAL
"""Each operator looks at every canary at least twice in a turn."""

OLD, NEW = "6.0.0", "6.0.1"
HELD = {
    "steps": ("confirm-traffic-increase", "Progressing", 1),
    "waits": ("confirm-rollout", "Waiting", 0),
    "asks": ("confirm-promotion", "WaitingPromotion", 0),
}
"""Canaries by name: the hook that holds them, their phase then, and how often the hook lets them pass before."""

WEIGHTS = [0, 20, 40, 0]


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


@pytest.fixture
def gates() -> Iterator[Gates]:
    """The hooks that hold releases."""
    made = Gates()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def turns(env: Environment) -> Turns:
    """Nobody acts yet."""
    return Turns(env)


def app(name: str, gates: Gates, hook: str = "", **analysis: object) -> tuple[Obj, ...]:
    """An app whose releases a hook holds."""
    hooks = [{"name": "gate", "type": hook, "url": gates.url, "timeout": "2s"}] if hook else []
    more = {"interval": f"{INTERVAL:g}s", "threshold": 1, "webhooks": hooks, **analysis}
    return apps.whole(name, analysis=more)


def release(env: Environment, *names: str) -> None:
    """A new image for each app."""
    for name in names:
        env.kubectl("set", "image", f"deployment/{name}", f"web={apps.IMAGE}:{NEW}")


def phases(env: Environment, *names: str) -> dict[str, tuple[str, int]]:
    """Phase and weight of canaries."""
    told = {name: env.status(name) for name in names}
    return {name: (status["phase"], status["canaryWeight"]) for name, status in told.items()}


def hashes(env: Environment, *names: str) -> dict[str, str]:
    """The hash of the revision of each."""
    return {name: env.status(name)["lastAppliedSpec"] for name in names}


def visited(env: Environment, stack: ExitStack, *names: str) -> list[Visitors]:
    """Visitors of each app from now on."""
    ingress = env.stage.urls["ingress"]
    return [stack.enter_context(Visitors(ingress, f"{name}.local", per_second=10, threads=1)) for name in names]


def test_every_phase_that_lasts(turns: Turns, env: Environment, gates: Gates, figure: Callable[[str], None]) -> None:
    """Held in a step, at both gates, failed, and idle: Flagger begins, both take turns, ours ends, Flagger goes on.

    The release that waited for its start is ours alone: `flagger migrate back` prepares it for Flagger.
    """
    names = (*HELD, "fails", "idle")
    turns.theirs()
    for name, (hook, _, passes) in HELD.items():
        env.apply(*app(name, gates, hook))
        gates.let(name, passes)
    env.apply(*app("fails", gates, "rollout"), *app("idle", gates))
    for name in names:
        env.wait(name, "Initialized")
    with ExitStack() as stack:
        until(lambda: all(served(env, name) for name in names))
        visitors, watch = visited(env, stack, *names), stack.enter_context(Watch(env))
        release(env, *HELD, "fails")
        for name, (_, phase, _) in HELD.items():
            env.wait(name, phase, 180)
        env.wait("fails", "Failed", 180)
        until(lambda: env.status("steps")["canaryWeight"] == 20, lambda: env.said("steps"))
        before, theirs = phases(env, *names), hashes(env, *names)
        for take in (turns.ours, turns.theirs, turns.ours, turns.theirs, turns.ours):
            take()
            turn_over()
            now = phases(env, *names)
            assert {name: phase for name, (phase, _) in now.items()} == {n: phase for n, (phase, _) in before.items()}
            assert hashes(env, *names) == theirs
        for name in HELD:
            gates.let(name, 100)
        for name in HELD:
            env.wait(name, "Succeeded", 180)
        turns.nobody()
        assert f"waits.{env.namespace}: its phase becomes Initializing" in back(env)
        turns.theirs()
        turn_over()
        after = hashes(env, *names)
        assert {name for name in names if after[name] != theirs[name]} == {"waits"}, "only ours knew its revision"
        assert phases(env, *names) == {
            "steps": ("Succeeded", 0),
            "asks": ("Succeeded", 0),
            "waits": ("Initialized", 0),
            "fails": ("Failed", 0),
            "idle": ("Initialized", 0),
        }
    assert [each.failed for each in visitors] == [[]] * len(names)
    assert watch.weights["steps"] == watch.weights["asks"] == watch.weights["waits"] == WEIGHTS
    assert watch.phases["idle"] == ["Initialized"] and watch.phases["fails"][-1] == "Failed"
    total = sum(each.count().total() for each in visitors)
    held = ", ".join(sorted({phase for phase, _ in before.values()}))
    figure(f"swapped six times in {held}: {total} visits, 0 failed")


def back(env: Environment) -> str:
    """What `flagger migrate back --write` says."""
    words = ["migrate", "back", "--write", "--kubeconfig", str(env.stage.kubeconfig)]
    done = subprocess.run([sys.executable, "-m", "pyflagger.cli.main", *words], capture_output=True, text=True)
    return done.stdout + done.stderr


def served(env: Environment, name: str) -> bool:
    """Whether the ingress serves an app."""
    with Visitors(env.stage.urls["ingress"], f"{name}.local", per_second=20, threads=1) as visitors:
        until(lambda: visitors.count() or visitors.failed)
    return not visitors.failed


@pytest.mark.parametrize(
    ("first", "swap_at"), [("theirs", "Promoting"), ("theirs", "Finalising"), ("ours", "Promoting")]
)
def test_a_promotion(
    turns: Turns, env: Environment, gates: Gates, figure: Callable[[str], None], first: str, swap_at: str
) -> None:
    """Begun by one, ended by the other, which then releases nothing anew. Ours is Finalising for a moment only."""
    turns.theirs()
    env.apply(*app("shop", gates, stepWeightPromotion=20))
    env.wait("shop", "Initialized")
    with ExitStack() as stack:
        until(lambda: served(env, "shop"))
        visitors, watch = visited(env, stack, "shop"), stack.enter_context(Watch(env))
        release(env, "shop")
        env.wait("shop", "Progressing")
        turns.nobody()
        (turns.theirs if first == "theirs" else turns.ours)()
        env.wait("shop", swap_at, 120)
        (turns.ours if first == "theirs" else turns.theirs)()
        env.wait("shop", "Succeeded", 120)
        turn_over()
        assert phases(env, "shop") == {"shop": ("Succeeded", 0)}
    assert visitors[0].failed == []
    assert watch.weights["shop"] == [0, 20, 40, 20, 0]
    figure(f"{swap_at} begun by {first}: weights {watch.weights['shop']}, {visitors[0].count().total()} visits")


def test_one_lease_for_both(turns: Turns, env: Environment) -> None:
    """In a rolling update the second operator waits, whatever namespace the flag names."""
    flags = ("-enable-leader-election=true", "-leader-election-namespace=kube-system")
    theirs = turns.theirs(*flags)
    until(
        lambda: "Successfully acquired lease" in theirs.tail() or "Acting as elected leader" in theirs.tail(),
        theirs.tail,
    )
    words = ("-namespace", env.namespace, *flags)
    ours = env.stage.operator(env.stage.account(env.namespace), *words, name=f"{env.namespace}-second")
    env.started(ours)
    until(lambda: "holds it" in ours.tail(), ours.tail, 30)
    assert "flagger_leader 0.0" in ours.page("/metrics")
    theirs.stop()
    until(lambda: "flagger_leader 1.0" in ours.page("/metrics"), ours.tail, 90)
