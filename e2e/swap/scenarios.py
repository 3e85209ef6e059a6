"""What is swapped when: Flagger's own binary and ours take turns over the same canaries, in every phase."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock

from e2e import apps
from e2e.environment import Environment, until
from e2e.planes.apps import deployment, host, service_and_ingress, traefik_route
from e2e.planes.gates import Gates
from e2e.planes.proxies import NAMESPACE as GATEWAYS
from e2e.swap.turns import INTERVAL, Held, Turns, held, turn_over
from e2e.swap.watch import Watch
from e2e.visitors import Visitors
from pyflagger.api import actions
from pyflagger.objects import Obj

OLD, NEW = "6.0.0", "6.0.1"
HOLDING = {
    "steps": ("confirm-traffic-increase", "Progressing", 1),
    "waits": ("confirm-rollout", "Waiting", 0),
    "asks": ("confirm-promotion", "WaitingPromotion", 0),
}
"""Canaries by name: the hook that holds them, their phase then, and how often the hook lets them pass before."""

WEIGHTS = [0, 20, 40, 0]
THERE_AND_BACK = [0, 20, 40, 20, 0]
WAY_BACK = Lock()
"""For whoever leaves canaries that only ours knows: `flagger migrate back` prepares those of every namespace."""

SLOW_START_SECONDS = 25
"""A primary takes so long to get ready that a swap finds the phase Initializing."""


@dataclass(frozen=True)
class Scene:
    """Where a swap is played. `traefik`: the URL of a Traefik for other kinds of routes; `figure` prints a line."""

    env: Environment
    traefik: str
    figure: Callable[[str], None]

    @property
    def name(self) -> str:
        """Of the app; hosts are of it, and one ingress serves all namespaces."""
        return self.env.namespace


def app(name: str, *hooks: Obj, **analysis: object) -> tuple[Obj, ...]:
    """An app on the ingress whose releases these hooks hold."""
    canary = apps.canary(name, analysis=slow(*hooks, **analysis))
    return apps.settings(name), deployment(name), apps.ingress(name), canary


def slow(*hooks: Obj, **analysis: object) -> Obj:
    """An analysis by the shortest interval that both operators have."""
    return {"interval": f"{INTERVAL:g}s", "threshold": 1, "webhooks": list(hooks), **analysis}


def hook(kind: str, url: str, timeout: str = "2s") -> Obj:
    """A hook of a release."""
    return {"name": "gate", "type": kind, "url": url, "timeout": timeout}


def on_traefik(name: str) -> tuple[Obj, ...]:
    """An app to which both operators send visitors by a TraefikService."""
    made = apps.canary(name, "traefik")
    made["spec"]["analysis"] = slow(stepWeight=20, maxWeight=40, stepWeightPromotion=20)
    return apps.settings(name), deployment(name), *traefik_route(name), made


def on_gateway(name: str) -> tuple[Obj, ...]:
    """An app behind a Gateway, to which both operators send visitors by an HTTPRoute.

    The reference to the Gateway has its defaults: without them Flagger writes the route anew in each of its turns.
    """
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "traefik", "namespace": GATEWAYS}
    service = {"port": 80, "targetPort": 9898, "hosts": [host(name)], "gatewayRefs": [parent]}
    made = apps.canary(name, "gatewayapi:v1", service=service)
    made["spec"]["analysis"] = slow(stepWeight=20, maxWeight=40, stepWeightPromotion=20)
    return apps.settings(name), deployment(name), made


def on_ingress(name: str) -> tuple[Obj, ...]:
    """An app on the ingress whose visitors return to the primary in steps."""
    return app(name, stepWeightPromotion=20)


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


def pods(env: Environment) -> set[str]:
    """The primaries' pods."""
    names = env.kubectl("get", "pods", "-o", "name").split()
    return {name for name in names if "-primary-" in name}


@contextmanager
def visited(way: str, *hosts: str) -> Iterator[list[Visitors]]:
    """Visitors of each host from when it is served until the end."""
    for each in hosts:
        until(partial(served, way, each))
    with ExitStack() as stack:
        yield [stack.enter_context(Visitors(way, each, per_second=10, threads=1)) for each in hosts]


def served(way: str, at: str) -> bool:
    """Whether a proxy serves a host."""
    with Visitors(way, at, per_second=20, threads=1) as visitors:
        until(lambda: visitors.count() or visitors.failed)
    return not visitors.failed


def every_phase_that_lasts(scene: Scene) -> None:
    """Held in a step, at both gates, failed, and idle: Flagger begins, both take turns, ours ends, Flagger goes on.

    The release that waited for its start is ours alone: `flagger migrate back` prepares it for Flagger.
    """
    env, names, gates, turns = scene.env, (*HOLDING, "fails", "idle"), Gates(), Turns(scene.env)
    turns.theirs()
    for name, (kind, _, passes) in HOLDING.items():
        env.apply(*app(name, hook(kind, gates.url)))
        gates.let(name, passes)
    env.apply(*app("fails", hook("rollout", gates.url)), *app("idle"))
    for name in names:
        env.wait(name, "Initialized")
    with visited(env.stage.urls["ingress"], *(f"{name}.local" for name in names)) as visitors, Watch(env) as watch:
        release(env, *HOLDING, "fails")
        for name, (_, phase, _) in HOLDING.items():
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
        with WAY_BACK:
            for name in HOLDING:
                gates.let(name, 100)
            for name in HOLDING:
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
    gates.close()
    assert [each.failed for each in visitors] == [[]] * len(names)
    assert watch.weights["steps"] == watch.weights["asks"] == watch.weights["waits"] == WEIGHTS
    assert watch.phases["idle"] == ["Initialized"] and watch.phases["fails"][-1] == "Failed"
    total = sum(each.count().total() for each in visitors)
    told = ", ".join(sorted({phase for phase, _ in before.values()}))
    scene.figure(f"swapped six times in {told}: {total} visits, 0 failed")


def back(env: Environment, *, write: bool = True) -> str:
    """What `flagger migrate back` says, with `--write` or without."""
    words = ["migrate", "back", *(["--write"] if write else []), "--kubeconfig", str(env.stage.kubeconfig)]
    done = subprocess.run([sys.executable, "-m", "pyflagger.cli.main", *words], capture_output=True, text=True)
    return done.stdout + done.stderr


def promotion(
    scene: Scene, *, first: str, swap_at: str = "Promoting", made: Callable[[str], tuple[Obj, ...]] = on_ingress
) -> None:
    """Begun by `first`, ended by the other, which then releases nothing anew."""
    env, name, turns = scene.env, scene.name, Turns(scene.env)
    way = (env.stage.urls["ingress"], f"{name}.local") if made is on_ingress else (scene.traefik, host(name))
    turns.theirs()
    env.apply(*made(name))
    env.wait(name, "Initialized")
    with visited(*way) as (visitors,), Watch(env) as watch:
        release(env, name)
        env.wait(name, "Progressing")
        turns.of(first)
        env.wait(name, swap_at, 120)
        turns.of(other(first))
        env.wait(name, "Succeeded", 120)
        turn_over()
        assert phases(env, name) == {name: ("Succeeded", 0)}
    assert visitors.failed == []
    assert watch.weights[name] == THERE_AND_BACK
    scene.figure(f"weights {watch.weights[name]}, {visitors.count().total()} visits, 0 failed")


def other(whose: str) -> str:
    """The other operator."""
    return "theirs" if whose == "ours" else "ours"


def finalising_of_ours(scene: Scene) -> None:
    """Ours is Finalising for a moment only, unless a `post-rollout` hook takes its time: Flagger ends the release."""
    env, name, turns = scene.env, scene.name, Turns(scene.env)
    turns.theirs()
    with held() as end:
        env.apply(*app(name, hook("post-rollout", end.url, "60s")))
        env.wait(name, "Initialized")
        with visited(env.stage.urls["ingress"], f"{name}.local") as (visitors,), Watch(env) as watch:
            release(env, name)
            env.wait(name, "Progressing")
            turns.ours()
            finalising(env, name, end)
            turns.theirs()
            end.let_go.set()
            env.wait(name, "Succeeded", 120)
            turn_over()
            assert phases(env, name) == {name: ("Succeeded", 0)}
    assert visitors.failed == []
    assert watch.weights[name] == WEIGHTS
    scene.figure(f"weights {watch.weights[name]}, {visitors.count().total()} visits, 0 failed")


def finalising(env: Environment, name: str, end: Held) -> None:
    """Until the hook at the end of a release was asked and holds it."""
    until(end.asked.is_set, lambda: env.said(name), 120)
    assert env.status(name)["phase"] == "Finalising"


def initializing(scene: Scene, *, first: str) -> None:
    """An app that already serves is initialized: begun by `first`, ended by the other, and `first` goes on.

    What ours has initialized, `flagger migrate back` prepares for Flagger.
    """
    env, name, turns = scene.env, scene.name, Turns(scene.env)
    env.apply(apps.settings(name), *late(name))
    with WAY_BACK, visited(env.stage.urls["ingress"], f"{name}.local") as (visitors,), Watch(env) as watch:
        turns.of(first)
        env.apply(apps.canary(name, analysis=slow()))
        env.wait(name, "Initializing")
        until(lambda: pods(env))
        made = pods(env)
        turns.of(other(first))
        assert env.status(name)["phase"] == "Initializing", "the swap came too late"
        env.wait(name, "Initialized", 120)
        turn_over()
        turns.nobody()
        if first == "theirs":
            assert f"{name}.{env.namespace}: its phase becomes Initializing" in back(env)
        turns.of(first)
        turn_over()
        assert phases(env, name) == {name: ("Initialized", 0)} and pods(env) == made
    assert visitors.failed == []
    assert {*watch.phases[name]} <= {"", "Initializing", "Initialized"}
    scene.figure(f"{visitors.count().total()} visits, 0 failed")


def late(name: str) -> tuple[Obj, ...]:
    """An app that takes long to get ready, and the user's Service and Ingress."""
    made = deployment(name)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    container["readinessProbe"]["initialDelaySeconds"] = SLOW_START_SECONDS
    service, _ = service_and_ingress(name)
    return made, service, apps.ingress(name)


def one_lease_for_both(scene: Scene) -> None:
    """In a rolling update the second operator waits, whatever namespace the flag names."""
    env, turns = scene.env, Turns(scene.env)
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


def paused(scene: Scene) -> None:
    """Two releases of Flagger that a user pauses at ours: Flagger goes on with one, and holds the suspended one.

    Of the first it drops the pause from the status, so ours goes on, too. The other one keeps it.
    """
    env, names, turns = scene.env, (scene.name, f"{scene.name}-held"), Turns(scene.env)
    goes_on, held_one = names
    turns.theirs()
    for name in names:
        env.apply(*app(name))
        env.wait(name, "Initialized")
    with visited(env.stage.urls["ingress"], *(f"{name}.local" for name in names)) as visitors, Watch(env) as watch:
        release(env, *names)
        for name in names:
            until(partial(at, env, name, 20), partial(env.said, name), 120)
        turns.ours()
        for name in names:
            env.apply(asked(env, name, "pause"))
            until(partial(is_held, env, name), partial(env.said, name))
        turn_over()
        assert phases(env, *names) == dict.fromkeys(names, ("Progressing", 20))
        turns.nobody()
        told = back(env, write=False)
        assert all(f"{name}.{env.namespace}: paused by ann: Flagger knows no pause" in told for name in names), told
        env.kubectl("patch", "canary", held_one, "--type=merge", "-p", '{"spec":{"suspend":true}}')
        turns.theirs()
        until(partial(at, env, goes_on, 40), partial(env.said, goes_on), 120)
        assert phases(env, held_one) == {held_one: ("Progressing", 20)}
        turns.ours()
        env.wait(goes_on, "Succeeded", 120)
        env.kubectl("patch", "canary", held_one, "--type=merge", "-p", '{"spec":{"suspend":false}}')
        assert is_held(env, held_one) and not is_held(env, goes_on)
        env.apply(asked(env, held_one, "resume"))
        env.wait(held_one, "Succeeded", 120)
        until(lambda: watch.weights[held_one][-1] == 0, partial(env.said, held_one))
    assert [each.failed for each in visitors] == [[], []]
    assert {name: watch.weights[name] for name in names} == dict.fromkeys(names, WEIGHTS)
    scene.figure(
        f"paused: weights {watch.weights[held_one]}, {sum(v.count().total() for v in visitors)} visits, 0 failed"
    )


def at(env: Environment, name: str, weight: int) -> bool:
    """Whether a canary has a weight."""
    return bool(env.status(name).get("canaryWeight") == weight)


def is_held(env: Environment, name: str) -> bool:
    """Whether a canary is paused."""
    return "hold" in env.status(name)


def asked(env: Environment, name: str, action: str) -> Obj:
    """What a command such as `flagger pause` creates."""
    uid = env.get("canary", name)["metadata"]["uid"]
    made = actions.rendered(name, env.namespace, uid, {"canary": name, "action": action, "by": "ann"})
    made["metadata"]["name"] = f"{name}-{action}"
    return made


SCENARIOS: Mapping[str, Callable[[Scene], None]] = {
    "phases": every_phase_that_lasts,
    "promoting-of-theirs": partial(promotion, first="theirs"),
    "promoting-of-ours": partial(promotion, first="ours"),
    "finalising-of-theirs": partial(promotion, first="theirs", swap_at="Finalising"),
    "finalising-of-ours": finalising_of_ours,
    "traefik-of-theirs": partial(promotion, first="theirs", made=on_traefik),
    "traefik-of-ours": partial(promotion, first="ours", made=on_traefik),
    "gateway-of-theirs": partial(promotion, first="theirs", made=on_gateway),
    "gateway-of-ours": partial(promotion, first="ours", made=on_gateway),
    "initializing-of-theirs": partial(initializing, first="theirs"),
    "initializing-of-ours": partial(initializing, first="ours"),
    "paused": paused,
    "lease": one_lease_for_both,
}
"""By name; those that take longest come first."""
