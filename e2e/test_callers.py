"""The load tester before a real API server: whose tokens it lets in, and what it says to the rest."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.apps import IMAGE, app, canary, settings
from e2e.controlplane import Child
from e2e.environment import Environment, until
from e2e.stage import Stage, manifests
from pyflagger_sandbox.network.ingress import free_port

AUDIENCE = "flagger-loadtester"
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/flagger-loadtester"


class LoadTesterProcess:
    """A load tester under its account with the flags of kustomize/tester-auth."""

    def __init__(self, env: Environment) -> None:
        (deployment,) = [obj for obj in manifests("tester-auth") if obj["kind"] == "Deployment"]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        port = free_port()
        flags = ["loadtester", *container["command"][1:], "-host=127.0.0.1", f"-port={port}"]
        kubeconfig = env.stage.install("tester-auth", env.namespace, "flagger-loadtester")
        argv = [sys.executable, "-m", "pyflagger.cli.main", *flags]
        environ = {"KUBECONFIG": str(kubeconfig), "NO_PROXY": "127.0.0.1"}
        log = env.stage.folder / f"loadtester-{env.namespace}.log"
        self.url, self.child = f"http://127.0.0.1:{port}", Child("loadtester", argv, log, environ)
        env.started(self.child)
        until(lambda: self.asked("/healthz", "", "")[0] == 200, self.child.tail, 30)

    def asked(self, path: str, token: str, namespace: str) -> tuple[int, str]:
        """Status and text of an answer; 0 when there is none."""
        body = json.dumps({"name": "shop", "namespace": namespace}).encode()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url + path, body, headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
                return int(answer.status), str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)


@pytest.fixture
def tester(env: Environment) -> Iterator[LoadTesterProcess]:
    """A load tester, and the account of the operator for all namespaces."""
    cluster = manifests("cluster")
    env.stage.apply(*(obj for obj in cluster if obj["kind"] in ("Namespace", "ServiceAccount")))
    yield LoadTesterProcess(env)


def expired(stage: Stage, token: str) -> str:
    """A token as the API server made it an hour before it ran out, an hour ago: signed with its own key."""
    head, claims, _ = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    past = int(time.time()) - 3600
    said |= {"exp": past, "iat": past - 3600, "nbf": past - 3600}
    signed = f"{head}.{encoded(json.dumps(said).encode())}"
    command = ["openssl", "dgst", "-sha256", "-sign", str(stage.folder / "sa.key")]
    done = subprocess.run(command, input=signed.encode(), capture_output=True, check=True)
    return f"{signed}.{encoded(done.stdout)}"


def encoded(data: bytes) -> str:
    """As the parts of a token are written."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_who_is_let_in(tester: LoadTesterProcess, env: Environment) -> None:
    """The operator's token everywhere, an account's in its namespace, and no other: each is told why."""
    stage, here = env.stage, env.namespace
    stage.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci", "namespace": here}})
    good = stage.token("flagger-system", "flagger", AUDIENCE)
    mine = stage.token(here, "ci", AUDIENCE)
    head, claims, signature = good.split(".")
    not_for_us = f"Unauthorized: the API server rejects this token for the audience {AUDIENCE}"
    cases = {
        "the operator": (good, here, 202, ""),
        "the operator elsewhere": (good, "elsewhere", 202, ""),
        "an account at home": (mine, here, 202, ""),
        "an account elsewhere": (
            mine,
            "elsewhere",
            403,
            f"Forbidden: {here}/ci may act for canaries of namespace",
        ),
        "nobody": ("", here, 401, "Unauthorized: send a token"),
        "a token for the API server": (stage.token("flagger-system", "flagger"), here, 401, not_for_us),
        "a token for others": (stage.token("flagger-system", "flagger", "vault"), here, 401, not_for_us),
        "a token that ran out": (expired(stage, good), here, 401, not_for_us),
        "a token of another": (f"{head}.{claims}.{signature[::-1]}", here, 401, not_for_us),
        "no service account": ("admintoken", here, 401, not_for_us),
        "nonsense": ("nonsense", here, 401, not_for_us),
    }
    for case, (token, namespace, status, text) in cases.items():
        said = tester.asked("/gate/open", token, namespace)
        assert said[0] == status and said[1].startswith(text), f"{case}: {said}"
    log = tester.child.log.read_text()
    assert "has expired" in log, "the log tells what the API server said"
    assert not [case for case, (token, *_) in cases.items() if token and token in log]


def test_the_right_to_ask_is_missing(tester: LoadTesterProcess, env: Environment) -> None:
    """Nobody is let in, answer and log say which right it is, and all is well as soon as it is there."""
    stage = env.stage
    stage.evidence.lacking.add(f"system:serviceaccount:{env.namespace}:flagger-loadtester")
    binding = stage.plane.ask("GET", BINDING)
    stage.plane.ask("DELETE", BINDING)
    good = stage.token("flagger-system", "flagger", AUDIENCE)
    _, text = until(lambda: found if (found := tester.asked("/gate/open", good, "x"))[0] == 503 else None)
    assert "may not create tokenreviews.authentication.k8s.io" in text and "kustomize/tester-auth" in text
    log = tester.child.log.read_text()
    assert text in log and 'cannot create resource \\"tokenreviews\\"' in log and good not in log
    stage.apply({key: binding[key] for key in ("apiVersion", "kind", "roleRef", "subjects")} | named(binding))
    until(lambda: tester.asked("/gate/open", good, "x")[0] == 202, tester.child.tail, 20)


def named(obj: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Of its metadata, the name."""
    return {"metadata": {"name": obj["metadata"]["name"]}}


def test_a_release_behind_a_gate(tester: LoadTesterProcess, env: Environment, tmp_path: Path) -> None:
    """The operator brings its projected token; strangers do not open the gate, whoever may does, and it is promoted."""
    token = tmp_path / "token"
    token.write_text(env.stage.token(env.namespace, "default", AUDIENCE))
    env.operator("-min-interval", "1s", "-hook-token-file", str(token), "-hook-token-urls", f"{tester.url}/")
    gate = {"name": "gate", "type": "confirm-rollout", "url": f"{tester.url}/gate/check"}
    shop = canary("shop", "kubernetes", analysis={"webhooks": [gate]})
    env.apply(settings("shop"), app("shop"), shop)
    env.wait("shop", "Initialized")
    env.kubectl("set", "image", "deployment/shop", f"web={IMAGE}:6.0.1")
    env.wait("shop", "Waiting")
    assert tester.asked("/gate/open", "", env.namespace)[0] == 401
    assert tester.asked("/gate/open", token.read_text(), env.namespace)[0] == 202
    env.wait("shop", "Succeeded")
