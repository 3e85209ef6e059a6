"""The kubelet's pure parts: environment, images, addresses, statuses, what a probe's command asks."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pyflagger.clock import LoopClock
from pyflagger.objects import Obj
from pyflagger_sandbox.kubelet.env import (
    ConfigProblem,
    Source,
    command_line,
    environment,
    expand,
    sources,
    volumes,
)
from pyflagger_sandbox.kubelet.images import Entry, Images, Launch, StartFailed, parse
from pyflagger_sandbox.kubelet.logs import LINE_BYTES_MAX, LINES_MAX, Log
from pyflagger_sandbox.kubelet.network import Addresses, Exhausted, OneAddress
from pyflagger_sandbox.kubelet.probes import Timing, asked_over_network
from pyflagger_sandbox.kubelet.programs import builtin_images
from pyflagger_sandbox.kubelet.status import ContainerState, phase, pod_status, qos, running, terminated, waiting

POD: Obj = {
    "metadata": {
        "name": "web-1",
        "namespace": "test",
        "uid": "u",
        "labels": {"app": "web"},
        "annotations": {"team.io/x": "a"},
    },
    "spec": {"nodeName": "node-a", "containers": []},
}
FOUND: dict[Source, Obj | None] = {
    Source("ConfigMap", "settings"): {"kind": "ConfigMap", "data": {"COLOR": "red", "SIZE": "1"}},
    Source("Secret", "keys"): {"kind": "Secret", "data": {"token": base64.b64encode(b"abc").decode()}},
}


def env_of(**container: Any) -> dict[str, str]:
    """The environment of a container, its host name left out."""
    values = environment(POD, container, FOUND, "127.80.0.7")
    assert values.pop("HOSTNAME") == "web-1"
    return values


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ({"value": "plain"}, "plain"),
        ({"value": None}, ""),
        ({"value": "$(COLOR)-$(NONE)-$$(COLOR)"}, "red-$(NONE)-$(COLOR)"),
        ({"valueFrom": {"configMapKeyRef": {"name": "settings", "key": "SIZE"}}}, "1"),
        ({"valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}, "abc"),
        ({"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, "web-1"),
        ({"valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}, "test"),
        ({"valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}, "web"),
        ({"valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['team.io/x']"}}}, "a"),
        ({"valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['none']"}}}, ""),
        ({"valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}, "node-a"),
        ({"valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}, "127.80.0.7"),
        ({"valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}, "2000m"),
        ({"valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}}, "0"),
    ],
)
def test_environment(entry: Obj, wanted: str) -> None:
    """Every way to give a variable its value."""
    first = {"name": "COLOR", "value": "red"}
    values = env_of(env=[first, {"name": "X"} | entry], resources={"limits": {"cpu": "2000m"}})
    assert values == {"COLOR": "red", "X": wanted}


def test_environment_in_bulk() -> None:
    """`envFrom` with prefixes, later over earlier, single variables over all."""
    bulk = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}, "prefix": "KEY_"}]
    values = env_of(envFrom=bulk, env=[{"name": "COLOR", "value": "blue"}])
    assert values == {"COLOR": "blue", "SIZE": "1", "KEY_token": "abc"}


@pytest.mark.parametrize(
    ("container", "text"),
    [
        ({"envFrom": [{"configMapRef": {"name": "none"}}]}, 'configmap "none" not found'),
        ({"envFrom": [{"secretRef": {"name": "none"}}]}, 'secret "none" not found'),
        (
            {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "no"}}}]},
            "couldn't find key no in Secret test/keys",
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.no"}}}]},
            "unsupported fieldPath: spec.no",
        ),
    ],
)
def test_environment_that_cannot_be_made(container: Obj, text: str) -> None:
    """The texts that `kubectl describe` shows."""
    with pytest.raises(ConfigProblem) as caught:
        env_of(**container)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "container",
    [
        {"envFrom": [{"configMapRef": {"name": "none", "optional": True}}]},
        {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": True}}}]},
        {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k", "optional": True}}}]},
    ],
)
def test_optional_references(container: Obj) -> None:
    """What is optional and not there is left out."""
    assert env_of(**container) == {}


def test_sources_and_volumes() -> None:
    """Everything that a pod refers to, by kind and name."""
    containers = [
        {
            "envFrom": [{"secretRef": {"name": "a"}}],
            "env": [
                {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "b", "key": "k"}}},
                {"name": "Y", "value": "1"},
            ],
        }
    ]
    mounted = [
        {"name": "v1", "configMap": {"name": "c"}},
        {"name": "v2", "secret": {"secretName": "d"}},
        {"name": "v3", "secret": {"secretName": "e", "optional": True}},
        {"name": "v4", "projected": {"sources": [{"secret": {"name": "f"}}]}},
        {"name": "v5", "emptyDir": {}},
    ]
    pod = {"spec": {"containers": containers, "volumes": mounted}}
    assert sources(pod) == {Source("Secret", "a"), Source("ConfigMap", "b")}
    wanted = {"v1": Source("ConfigMap", "c"), "v2": Source("Secret", "d"), "v4": Source("Secret", "f")}
    assert volumes(pod) == wanted


def test_command_line() -> None:
    """Command, then arguments, variables filled in; nothing when the image is to decide."""
    container = {"command": ["./podinfo", "--port=$(PORT)"], "args": ["--level=info"]}
    assert command_line(container, {"PORT": "80"}) == ("./podinfo", "--port=80", "--level=info")
    assert command_line({}, {}) == ()
    assert expand("$$(A) $(A)", {"A": "1"}) == "$(A) 1"


@pytest.mark.parametrize(
    ("reference", "repository", "tag", "name"),
    [
        ("stefanprodan/podinfo:3.1.0", "stefanprodan/podinfo", "3.1.0", "podinfo"),
        ("podinfo", "podinfo", "latest", "podinfo"),
        ("localhost:5000/podinfo", "localhost:5000/podinfo", "latest", "podinfo"),
        ("ghcr.io/x/podinfo:6@sha256:abc", "ghcr.io/x/podinfo", "6", "podinfo"),
        ("ghcr.io/x/podinfo@sha256:abc", "ghcr.io/x/podinfo", "latest", "podinfo"),
    ],
)
def test_image_references(reference: str, repository: str, tag: str, name: str) -> None:
    """Registries with ports, digests and missing tags."""
    image = parse(reference)
    assert (image.repository, image.tag, image.name) == (repository, tag, name)


def test_image_table() -> None:
    """By name or by whole repository; anything else cannot be pulled, and the text helps."""

    async def program(launch: object) -> Any: ...

    async def other(launch: object) -> Any: ...

    images = Images({"podinfo": Entry(program), "ghcr.io/mine/podinfo": Entry(other)})
    assert images.pull(parse("any/podinfo:3.1.0")) is program
    assert images.pull(parse("ghcr.io/mine/podinfo:1")) is other
    with pytest.raises(LookupError, match=r"nginx:1: not found; the sandbox has ghcr.io/mine/podinfo, podinfo"):
        images.pull(parse("nginx:1"))
    with pytest.raises(LookupError, match="no such tag"):
        images.pull(parse("podinfo:typo"))


def test_addresses_go_round() -> None:
    """Each owner has one, a freed one is used again only after all others were."""
    pool = Addresses("127.80.0.0/29")
    given = [pool.take(n) for n in range(6)]
    assert given == [f"127.80.0.{n}" for n in range(1, 7)]
    assert pool.take(3) == "127.80.0.4"
    with pytest.raises(Exhausted):
        pool.take("one too many")
    pool.release(0)
    pool.release(5)
    assert pool.take("a") == "127.80.0.1"
    pool.release("unknown")


def test_addresses_can_be_claimed() -> None:
    """A Service may ask for its address, if it is free and of the network."""
    pool = Addresses("127.96.0.0/24")
    assert pool.claim("a", "127.96.0.7")
    assert pool.claim("a", "127.96.0.7")
    assert not pool.claim("b", "127.96.0.7")
    assert not pool.claim("b", "10.0.0.1")
    assert "127.96.0.7" not in [pool.take(n) for n in range(20)]


def test_one_address_is_everybodys() -> None:
    """Where the machine has only 127.0.0.1."""
    pool = OneAddress()
    assert pool.take("a") == pool.take("b") == "127.0.0.1"
    pool.release("a")


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["podcli", "check", "http", "localhost:9898/readyz"], ("http", "localhost:9898/readyz")),
        (["podcli", "check", "tcp", "localhost:9999"], ("tcp", "localhost:9999")),
        (["podcli", "check", "grpc", "localhost:9999", "--service=podinfo"], ("tcp", "localhost:9999")),
        (
            ["wget", "--quiet", "--tries=1", "--timeout=4", "--spider", "http://localhost:8080/healthz"],
            ("http", "http://localhost:8080/healthz"),
        ),
        (["curl", "-sf", "http://x/"], ("http", "http://x/")),
        (["podcli", "version"], ("", "")),
        (["sh", "-c", "true"], ("", "")),
        ([], ("", "")),
    ],
)
def test_commands_that_only_ask(argv: list[str], wanted: tuple[str, str]) -> None:
    """Commands of probes that are carried out without the executable."""
    assert asked_over_network(argv) == wanted


def test_probe_defaults() -> None:
    """Kubernetes' own, also where zero is written."""
    assert Timing.of({}) == Timing(0, 10, 1, 1, 3)
    assert Timing.of({"initialDelaySeconds": 5, "timeoutSeconds": 5, "periodSeconds": 0}) == Timing(5, 10, 5, 1, 3)


@pytest.mark.parametrize(
    ("states", "policy", "wanted"),
    [
        ([waiting("ContainerCreating")], "Always", "Pending"),
        ([running(0), waiting("ErrImagePull")], "Always", "Running"),
        ([terminated(0, 0, 1)], "Always", "Running"),
        ([terminated(0, 0, 1)], "Never", "Succeeded"),
        ([terminated(1, 0, 1)], "Never", "Failed"),
        ([terminated(1, 0, 1)], "OnFailure", "Running"),
        ([terminated(0, 0, 1), running(0)], "Never", "Running"),
    ],
)
def test_phases(states: list[Obj], policy: str, wanted: str) -> None:
    """From the states of the containers and the restart policy."""
    assert phase([ContainerState("c", "i", state) for state in states], policy) == wanted


def test_crash_looping_pod_is_running() -> None:
    """A container that waits to be started again has begun before."""
    assert phase([ContainerState("c", "i", waiting("CrashLoopBackOff"), terminated(1, 0, 1))], "Always") == "Running"


def test_conditions_keep_their_times() -> None:
    """A condition that has not changed keeps the time of its last change."""
    container = ContainerState("c", "i", running(0), ready=True)
    first = pod_status(POD, [container], 100.0, began=90.0)
    later = pod_status(POD | {"status": first}, [container], 200.0, began=90.0)
    assert later["conditions"] == first["conditions"]
    container.ready = False
    unready = pod_status(POD | {"status": first}, [container], 200.0, began=90.0)
    changed = {entry["type"] for entry in unready["conditions"] if entry not in first["conditions"]}
    assert changed == {"Ready", "ContainersReady"}


@pytest.mark.parametrize(
    ("resources", "wanted"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1", "memory": "1"}}, "Guaranteed"),
        ({"limits": {"cpu": "2", "memory": "1"}, "requests": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: Obj, wanted: str) -> None:
    """As Kubernetes classes pods."""
    assert qos({"spec": {"containers": [{"resources": resources}]}}) == wanted


def test_logs_are_bounded() -> None:
    """In lines and in their length; a restart keeps the run before."""
    log = Log()
    for number in range(LINES_MAX + 10):
        log.write(f"{number} " + "x" * LINE_BYTES_MAX)
    assert len(log.current) == LINES_MAX
    assert all(len(line) <= LINE_BYTES_MAX for line in log.current)
    log.restart()
    log.write("new")
    assert list(log.current) == ["new"]
    assert len(log.previous) == LINES_MAX


async def test_the_operator_s_image_is_the_load_tester_only() -> None:
    """The operator of a sandbox is no pod; who runs our image as one is told so."""
    image = parse("registry.example/pyflagger:0.1.0")
    program = builtin_images(lambda launch: {}).pull(image)
    launch = Launch(image, "test", "p", "flagger", ("-mesh-provider=nginx",), {}, "127.0.0.1", False, LoopClock(), str)
    with pytest.raises(StartFailed, match="because its operator is not a pod"):
        await program(launch)
