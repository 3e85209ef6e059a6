"""Who may see and steer releases, on the real API server: its roles, our roles, and the admission policy.

The operator is not asked: every request is a dry run, which the API server decides alone, or one that it refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from e2e.apps import whole
from e2e.environment import Environment, until
from e2e.stage import Stage, manifests
from pyflagger.api import actions
from pyflagger.cli.main import main

FAST = ("-min-interval", "1s")
DRY = ("--dry-run", "server")
GATE = {"name": "approve", "type": "confirm-promotion", "url": "http://127.0.0.1:1/"}

READS = {
    "list": ("list",),
    "get": ("get", "shop"),
    "explain": ("explain", "shop"),
    "history": ("history", "shop"),
    "wait": ("wait", "shop", "--for", "idle", "--timeout", "3s"),
    "actions": ("actions", "shop"),
    "gate list": ("gate", "list", "shop"),
    "events": ("events", "shop"),
}
ACTS = {
    "promote": ("promote", "shop"),
    "promote-full": ("promote", "shop", "--full"),
    "pause": ("pause", "shop"),
    "resume": ("resume", "shop"),
    "abort": ("abort", "shop"),
    "retry": ("retry", "shop"),
    "restart": ("restart", "shop"),
    "weight": ("weight", "shop", "10"),
    "undo": ("undo", "shop"),
    "open-gate": ("gate", "open", "shop", "approve"),
    "close-gate": ("gate", "close", "shop", "approve"),
}
NOT_VISIBLE = {"events"}
"""What `flagger-view` alone does not show. (The nodes here have no kubelet, so nobody reads logs.)"""

Ran = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def policy(stage: Stage) -> Iterator[None]:
    """The admission policy of our overlay and the roles of people."""
    roles = [obj for obj in manifests("operator") if obj["metadata"]["name"] in ("flagger-view", "flagger-act")]
    stage.apply(*roles)
    found = [obj for obj in manifests("ha") if obj["kind"].startswith("ValidatingAdmission")]
    stage.apply(*found)
    yield
    for obj in found:
        stage.kubectl("delete", obj["kind"], obj["metadata"]["name"])


@pytest.fixture
def ran(env: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ran:
    """Runs `flagger` as a user in the namespace of the test. Returns the exit status and what it printed."""
    monkeypatch.setenv("KUBECONFIG", str(env.stage.kubeconfig))

    def run(user: str, *words: str) -> tuple[int, str]:
        capsys.readouterr()
        with ThreadPoolExecutor(1) as thread:  # with an event loop of its own
            status = thread.submit(main, [*words, "-n", env.namespace, "--as", user]).result()
        out, err = capsys.readouterr()
        return status, out + err

    return run


def asked(ran: Ran, user: str, verb: str, *more: str, canary: str = "shop") -> tuple[int, str]:
    """A request of a user, as a dry run."""
    words = [canary if word == "shop" else word for word in ACTS[verb]]
    return ran(user, *words, "-m", "a test", *DRY, *more)


def bind(env: Environment, user: str, role: str, kind: str = "clusterrole") -> None:
    """Give a user a role in the namespace."""
    env.kubectl("create", "rolebinding", f"{user}-{role}", f"--{kind}={role}", f"--user={user}")


def active(ran: Ran) -> None:
    """Until the API server applies the policy: it learns of it a moment after it was stored."""
    until(lambda: asked(ran, "ann", "pause", "--by", "bo")[0] == 1, lambda: "the policy is not applied", 30)


def shown(table: dict[str, dict[str, int]]) -> str:
    """A matrix as text: a row a command, a column a user."""
    users = list(next(iter(table.values())))
    rows = [f"{command:<14}{'  '.join(str(row[user]).rjust(5) for user in users)}" for command, row in table.items()]
    return "\n".join([f"{'':<14}{'  '.join(user.rjust(5) for user in users)}", *rows])


def test_four_users_by_every_command(env: Environment, ran: Ran, policy: None, figure: Callable[[str], None]) -> None:
    """By Kubernetes' own roles: `view` sees all, `edit` acts too; elsewhere or without a role there is nothing."""
    env.operator(*FAST)
    env.apply(*whole("shop", analysis={"webhooks": [GATE]}))
    env.wait("shop", "Initialized")
    bind(env, "view", "view")
    bind(env, "act", "flagger-view")
    bind(env, "act", "flagger-act")
    bind(env, "ann", "edit")
    elsewhere = f"{env.namespace}-other"
    env.stage.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})
    env.stage.kubectl("create", "rolebinding", "other", "--clusterrole=edit", "--user=other", "-n", elsewhere)
    until(lambda: ran("ann", "list")[0] == 0, lambda: "the roles are not aggregated", 30)
    active(ran)
    sees = {"view": set(READS), "act": set(READS) - NOT_VISIBLE, "ann": set(READS), "other": set(), "none": set()}
    acts = {"view": set(), "act": set(ACTS), "ann": set(ACTS), "other": set(), "none": set()}
    found, wanted = dict[str, dict[str, int]](), dict[str, dict[str, int]]()
    for name, words in READS.items():
        found[name] = {user: ran(user, *words)[0] for user in sees}
        wanted[name] = {user: int(name not in sees[user]) for user in sees}
    wanted["wait"]["act"] = 4  # Without the target its revision is not known: the time runs out.
    for name in ACTS:
        found[name] = {user: asked(ran, user, name)[0] for user in acts}
        wanted[name] = {user: int(name not in acts[user]) for user in acts}
    assert shown(found) == shown(wanted)
    status, text = asked(ran, "view", "pause")
    assert status == 1 and 'User "view" cannot create resource "canaryactions" in API group "flagger.app"' in text
    assert (
        f"kubectl create rolebinding flagger-act-view --clusterrole=flagger-act --user=view -n {env.namespace}" in text
    )
    assert "no request" in ran("ann", "actions", "shop")[1], "dry runs store nothing"
    figure(f"rights: {len(found)} commands by {len(sees)} users, {len(found) * len(sees)} answers as in the table")
    env.stage.kubectl("delete", "namespace", elsewhere, "--wait=false")


def role(name: str, verbs: tuple[str, ...], canary: str) -> dict[str, Any]:
    """A role for some actions on one canary."""
    create = {"apiGroups": ["flagger.app"], "resources": ["canaryactions"], "verbs": ["create"]}
    chosen = {**create, "verbs": list(verbs), "resourceNames": [canary]}
    meta = {"name": name}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": [create, chosen]}


def test_a_right_for_each_action(env: Environment, ran: Ran, policy: None) -> None:
    """On call may pause and abort, leads may promote in full, and both may with one canary alone."""
    env.apply(*whole("shop"), *whole("plain", "kubernetes"))
    env.apply(role("oncall", ("pause", "abort"), "shop"), role("lead", ("promote-full",), "shop"))
    for user in ("oncall", "lead"):
        bind(env, user, user, "role")
        bind(env, user, "flagger-view")
    bind(env, "ann", "edit")
    active(ran)
    allowed = {"oncall": {"pause", "abort"}, "lead": {"promote-full"}, "ann": set(ACTS)}
    for user, verbs in allowed.items():
        assert {verb for verb in ACTS if asked(ran, user, verb)[0] == 0} == verbs, user
    status, text = asked(ran, "oncall", "promote")
    assert status == 1 and "oncall may not promote the canary shop: the verb promote on canaryactions" in text
    assert "rolebinding" not in text
    status, text = asked(ran, "oncall", "pause", canary="plain")
    assert status == 1 and "oncall may not pause the canary plain" in text
    assert asked(ran, "ann", "pause", canary="plain")[0] == 0


def request(env: Environment, **spec: Any) -> str:
    """A request as JSON."""
    path = f"/apis/flagger.app/v1beta1/namespaces/{env.namespace}/canaries/shop"
    uid = env.stage.plane.ask("GET", path)["metadata"]["uid"]
    made = actions.rendered("shop", env.namespace, uid, {"canary": "shop", "action": "pause", "by": "admin", **spec})
    return json.dumps(made | {"status": {"state": "Done"}})


def test_a_forged_name(env: Environment, ran: Ran, policy: None) -> None:
    """`spec.by` is who is logged in, whatever creates the object."""
    env.apply(*whole("shop"))
    bind(env, "ann", "edit")
    active(ran)
    status, text = asked(ran, "ann", "pause", "--by", "boss")
    assert status == 1 and "spec.by is boss, but the request is made by ann" in text
    text = env.kubectl("create", "--as", "ann", "-f", "-", said=request(env, by="boss"), check=False)
    assert "spec.by is boss, but the request is made by ann" in text
    text = env.kubectl("create", "--as", "ann", "-f", "-", said=request(env, by="ann"))
    assert "created" in text


WRONG = {
    "no weight": ({"action": "weight"}, "spec.weight is required by weight"),
    "a field of another action": ({"gate": "approve"}, "spec.gate belongs to open-gate and close-gate"),
    "an end that nothing follows": ({"then": "abort"}, "spec.then needs spec.until"),
    "another action": ({"action": "stop"}, 'Unsupported value: "stop"'),
    "a long reason": ({"reason": "x" * 513}, "Too long: may not be more than 512 bytes"),
    "nobody": ({"by": ""}, "spec.by in body should be at least 1 chars long"),
}


def test_a_request_is_not_changed(env: Environment) -> None:
    """Neither its spec afterwards, nor its status when it is created; the CEL rules are those of `actions.problem`."""
    env.apply(*whole("shop"))
    name = env.kubectl("create", "-f", "-", "-o", "name", said=request(env)).strip()
    stored = json.loads(env.kubectl("get", name, "-o", "json"))
    assert "status" not in stored
    said = env.kubectl("patch", name, "--type=merge", "-p", '{"spec":{"by":"boss"}}', check=False)
    assert "spec is immutable: create another CanaryAction" in said
    for case, (fields, text) in WRONG.items():
        said = env.kubectl("create", "-f", "-", said=request(env, **fields), check=False)
        assert text in said, (case, said)
