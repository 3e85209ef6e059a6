"""Releases that people steer, on the real API server: their own rights, the operator's Role, and GitOps beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.apps import whole
from e2e.environment import Environment, until
from e2e.test_privileges import release, without
from e2e.test_rights import bind, policy
from pyflagger.cli.main import main
from pyflagger.objects import Obj

__all__ = ["policy"]
FAST = ("-min-interval", "1s")
Says = Callable[..., str]


@pytest.fixture
def says(env: Environment, policy: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Says:
    """Runs a command as Ann, who may edit the namespace. Returns what it printed, and checks its exit status."""
    monkeypatch.setenv("KUBECONFIG", str(env.stage.kubeconfig))
    bind(env, "ann", "edit")
    asks = ("auth", "can-i", "create", "canaryactions.flagger.app", "--as", "ann")
    until(lambda: "yes" in env.kubectl(*asks, check=False), lambda: "the roles are not aggregated", 30)

    def run(*words: str, status: int = 0) -> str:
        capsys.readouterr()
        with ThreadPoolExecutor(1) as thread:  # with an event loop of its own
            found = thread.submit(main, [*words, "-n", env.namespace, "--as", "ann"]).result()
        out, err = capsys.readouterr()
        assert found == status, out + err
        return out + err

    return run


def slow(env: Environment) -> None:
    """A canary that takes a minute at each weight."""
    env.apply(*whole("shop", analysis={"interval": "1m"}))
    env.wait("shop", "Initialized")


def at_weight(env: Environment, weight: int) -> None:
    """Until the canary has a weight."""
    until(lambda: env.status("shop").get("canaryWeight") == weight, lambda: str(env.status("shop")), 60)


def test_a_release_that_a_person_steers(env: Environment, says: Says) -> None:
    """Paused, moved, let go, aborted, run again and promoted, each in a moment, with the operator's Role alone."""
    env.operator(*FAST)
    slow(env)
    release(env, "shop", "6.0.1")
    env.wait("shop", "Progressing")
    where = f"shop.{env.namespace}"
    assert f"Canary weight of {where} set to 30 by ann: more" in says("weight", "shop", "30", "-m", "more")
    at_weight(env, 30)
    assert f"Paused {where} at canary weight 30 by ann: looking" in says("pause", "shop", "-m", "looking")
    assert "ann: looking" in says("list")
    assert f"Resumed {where} by ann" in says("resume", "shop")
    assert f"Rolling back {where} aborted by ann: no" in says("abort", "shop", "-m", "no", "-y")
    env.wait("shop", "Failed")
    assert f"Retrying {where} by ann" in says("retry", "shop")
    env.wait("shop", "Progressing")
    assert "asked for by ann: urgent" in says("promote", "shop", "--full", "-m", "urgent", "-y")
    env.wait("shop", "Succeeded", 90)
    (container,) = env.get("deployment", "shop-primary")["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith(":6.0.1")
    states = {each["spec"]["action"]: each["status"]["state"] for each in requests(env)}
    assert states == dict.fromkeys(("weight", "pause", "resume", "abort", "retry", "promote"), "Done")
    assert env.refused() == []


def requests(env: Environment) -> list[Obj]:
    """The requests of the namespace."""
    found = json.loads(env.kubectl("get", "canaryactions", "-o", "json"))
    return [*found["items"]]


def test_an_operator_that_is_away(env: Environment, says: Says) -> None:
    """The request stands, and the operator takes it when it is back, unless it has expired by then."""
    operator = env.operator(*FAST)
    slow(env)
    operator.stop()
    text = says("pause", "shop", "-m", "night", "--wait", "2s", "--expires", "10m", status=4)
    assert "no operator has answered within 2s" in text
    says("resume", "shop", "--wait", "0", "--expires", "1s")
    operator.start()
    until(lambda: all(each.get("status") for each in requests(env)), lambda: str(requests(env)), 60)
    states = {each["spec"]["action"]: each["status"]["state"] for each in requests(env)}
    assert states == {"pause": "Done", "resume": "Expired"}
    assert env.status("shop")["hold"]["reason"] == "night"


def test_an_operator_without_the_right(env: Environment, says: Says) -> None:
    """It may not watch requests: releases go on, and a request stays without an answer."""
    operator = env.operator(*FAST)
    put_back = without(env, "canaryactions", "get", "list", "watch")
    operator.stop()
    operator.start()
    until(operator.ready, operator.tail, 30)
    env.apply(*whole("shop"))
    env.wait("shop", "Initialized")
    says("pause", "shop", "--wait", "1s", status=4)
    release(env, "shop", "6.0.1")
    env.wait("shop", "Succeeded", 90)
    put_back()
