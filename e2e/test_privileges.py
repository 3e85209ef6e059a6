"""The operator may do what our manifests say and no more: enough for everything, and told plainly where it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from e2e.apps import IMAGE, scaler, whole
from e2e.environment import Environment, until
from pyflagger.objects import Obj

FAST = ("-min-interval", "1s")
SCALED: dict[str, Any] = {
    "autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "shop"}
}


def release(env: Environment, name: str, tag: str) -> None:
    """A new image."""
    env.kubectl("set", "image", f"deployment/{name}", f"web={IMAGE}:{tag}")


def test_a_role_is_enough(env: Environment) -> None:
    """One namespace: made, released, rolled back to nothing, deleted; every kind that we know; nothing is refused."""
    env.operator(*FAST, "-enable-leader-election=true")
    env.apply(scaler("shop"), *whole("shop", **SCALED, revertOnDeletion=True), *whole("plain", "kubernetes"))
    for name in ("shop", "plain"):
        env.wait(name, "Initialized")
        release(env, name, "6.0.1")
    for name in ("shop", "plain"):
        env.wait(name, "Succeeded")
    env.kubectl("delete", "canary", "shop", "plain", "--timeout=60s")
    assert env.refused() == []


def without(env: Environment, resource: str, *verbs: str) -> Callable[[], None]:
    """Take verbs of a resource out of the operator's Role; call the result to put them back."""
    env.stage.evidence.lacking.add(env.account)
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{env.namespace}/roles/flagger"
    role: Obj = env.stage.plane.ask("GET", path)
    rules = []
    for rule in role["rules"]:
        rest = [one for one in rule["resources"] if one != resource]
        if rest:
            rules.append(rule | {"resources": rest})
        if resource in rule["resources"]:
            rules.append(rule | {"resources": [resource], "verbs": [v for v in rule["verbs"] if v not in verbs]})
    merge = "application/merge-patch+json"
    env.stage.plane.ask("PATCH", path, {"rules": [rule for rule in rules if rule["verbs"]]}, merge)
    return lambda: env.stage.plane.ask("PATCH", path, {"rules": role["rules"]}, merge)


MISSING = {
    "reading": ("networking.k8s.io", "ingresses", ("get", "list", "watch"), "list"),
    "making": ("networking.k8s.io", "ingresses", ("create",), "create"),
    "changing": ("networking.k8s.io", "ingresses", ("patch",), "patch"),
    "tracking": ("", "secrets", ("list", "watch"), "list"),
    "copying": ("", "secrets", ("get",), "get"),
}


@pytest.mark.parametrize("case", MISSING)
def test_a_right_is_missing(env: Environment, case: str) -> None:
    """One text names verb, resource and namespace, on that canary and in the log; others go on; it mends itself."""
    group, resource, verbs, verb = MISSING[case]
    operator = env.operator(*FAST)
    put_back = without(env, resource, *verbs)
    operator.stop()
    operator.start()
    until(operator.ready, operator.tail, 30)
    env.apply(*with_secret("shop"), *whole("plain", "kubernetes"))
    env.wait("plain", "Initialized")
    release(env, "plain", "6.0.1")
    env.wait("plain", "Succeeded")
    if case == "changing":
        env.wait("shop", "Initialized")
        release(env, "shop", "6.0.1")
    words = f'cannot {verb} resource "{resource}" in API group "{group}" in the namespace "{env.namespace}"'
    until(lambda: words in " ".join(messages(env, "shop")), lambda: env.said("shop"), 30)
    assert sum(words in message for message in messages(env, "shop")) == 1
    assert not [message for message in messages(env, "plain") if "cannot" in message]
    until(lambda: words in blocked(env), lambda: str(env.status("shop")), 30)
    assert words in operator.log.read_text().replace('\\"', '"')
    put_back()
    env.wait("shop", "Succeeded" if case == "changing" else "Initialized", 90)
    until(lambda: not blocked(env), lambda: blocked(env), 30)
    assert sum(words in message for message in messages(env, "shop")) == 1


def with_secret(name: str) -> tuple[Obj, ...]:
    """An app that reads a Secret, too."""
    *around, canary = whole(name)
    (app,) = (obj for obj in around if obj["kind"] == "Deployment")
    app["spec"]["template"]["spec"]["containers"][0]["envFrom"].append({"secretRef": {"name": f"{name}-keys"}})
    keys = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-keys"}, "stringData": {"KEY": "none"}}
    return (keys, *around, canary)


def blocked(env: Environment) -> str:
    """What the condition says that the canary waits for; empty when it is not blocked."""
    conditions = env.status("shop").get("conditions", ())
    return " ".join(str(c["message"]) for c in conditions if c["type"] == "Blocked" and c["status"] == "True")


def messages(env: Environment, name: str) -> list[str]:
    """The texts of the Events of a canary."""
    events = json.loads(env.kubectl("get", "events", f"--field-selector=involvedObject.name={name}", "-o", "json"))
    return [str(event["message"]) for event in events["items"] if event["involvedObject"]["kind"] == "Canary"]
