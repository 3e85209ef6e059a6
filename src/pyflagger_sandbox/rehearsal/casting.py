"""The objects of a rehearsal: those of the files, and plausible ones for those that a Canary names and no file has.

Pure. What is made or left out is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem
from pyflagger.api.parse import parse_canary
from pyflagger.kube.resources import DAEMON_SETS, DEPLOYMENTS, UnknownKind, learn, resource_of
from pyflagger.objects import Key, Obj, Ref, Resource, part, ref_of
from pyflagger.operator.options import Options
from pyflagger.routing.base import Router, RoutingOptions
from pyflagger.routing.ingresses import INGRESSES, led_to
from pyflagger.routing.registry import router_for
from pyflagger.workloads.registry import workload_for
from pyflagger_sandbox.network.routes import KEDA, definition

BUILT_IN = ("", "networking.k8s.io")
PLACE = "default"
WORKLOADS = (DEPLOYMENTS.kind, DAEMON_SETS.kind)


class Miscast(Exception):
    """The objects cannot be rehearsed. The text says which and why."""


@dataclass(slots=True)
class Cluster:
    """What a cluster has. `notes`: what was made up, changed or left out."""

    objects: list[Obj]
    canaries: dict[Key, Canary]
    definitions: list[Obj]
    notes: list[str] = field(default_factory=list)

    def has(self, ref: Ref) -> bool:
        """Whether it has an object, in any version."""
        return any(ref_of(each)[1:] == ref[1:] for each in self.objects)


def cluster(objects: Sequence[Obj], options: Options, *, complete: bool = True) -> Cluster:
    """A cluster with these objects; `complete`: with those that are missing. Raises Miscast, Invalid."""
    made = Cluster([], {}, [])
    placed = list[Obj]()
    for obj in (_placed(each, _place(objects)) for each in objects):
        placed += [obj] if obj not in placed else []
    for obj in placed:
        if obj["kind"] == "Canary":
            made.canaries[Key(obj["metadata"]["namespace"], obj["metadata"]["name"])] = parse_canary(obj)
    for canary in made.canaries.values():
        made.definitions += _definitions(canary, options, made.definitions)
    for obj in placed:
        _take(made, obj)
    for key, canary in made.canaries.items() if complete else ():
        for extra, why in _missing(canary, made, options):
            made.objects.append(extra)
            made.notes.append(f"made {extra['kind']} {key.namespace}/{extra['metadata']['name']}{why}")
    made.objects.sort(key=lambda each: each["kind"] == "Canary")
    return made


def _place(objects: Sequence[Obj]) -> str:
    """The namespace of objects without one: that of all Canaries, if they have one in common."""
    spaces = {part(each, "metadata").get("namespace") for each in objects if each.get("kind") == "Canary"} - {None}
    return str(spaces.pop()) if len(spaces) == 1 else PLACE


def _placed(obj: Obj, place: str) -> Obj:
    meta = obj.get("metadata")
    if not (isinstance(meta, dict) and isinstance(meta.get("name"), str) and "kind" in obj and "apiVersion" in obj):
        raise Miscast(f"an object without apiVersion, kind or metadata.name: {str(obj)[:80]}")
    bare = {name: value for name, value in meta.items() if name not in ("uid", "resourceVersion", "ownerReferences")}
    return {
        **{name: value for name, value in obj.items() if name != "status"},
        "metadata": {**bare, "namespace": meta.get("namespace") or place},
    }


def _take(made: Cluster, obj: Obj) -> None:
    """Add an object of the files, if flagger or the pretended cluster reads its kind."""
    name = title(obj)
    if obj["kind"] == "Namespace":
        return
    try:
        resource_of(ref_of(obj))
    except UnknownKind:
        made.notes.append(f"left out {name}: no part of a rehearsal reads its kind")
        return
    if obj["kind"] == "MetricTemplate":
        kind = obj["spec"]["provider"].get("type")
        obj = {
            **obj,
            "spec": {**obj["spec"], "provider": {"type": "prometheus", "address": "http://rehearsal.invalid"}},
        }
        if kind != "prometheus":
            made.notes.append(f"{name} asks the script, not {kind}: its query is not checked")
    if obj["kind"] == "AlertProvider" and "secretRef" in obj["spec"]:
        address = obj["spec"].get("address") or "http://alerts.invalid"
        spec = {name: value for name, value in obj["spec"].items() if name != "secretRef"}
        obj = {**obj, "spec": {**spec, "address": address}}
    made.objects.append(obj)


def _router(canary: Canary, options: Options) -> Router:
    found = router_for(names.resolve_provider(canary.spec.provider or options.mesh_provider))
    if isinstance(found, Problem):
        raise Miscast(f"Canary {canary.metadata.namespace}/{canary.metadata.name}: {found.text}. {found.todo}")
    return found


def _definitions(canary: Canary, options: Options, known: Sequence[Obj]) -> Iterator[Obj]:
    """Open definitions of the kinds of the canary's router."""
    kinds = _router(canary, options).kinds
    learn(kinds)
    there = {each["metadata"]["name"] for each in known}
    for kind in kinds:
        if kind.group not in BUILT_IN and kind.full_name not in there:
            there.add(kind.full_name)
            yield definition(kind.group, kind.kind, kind.plural, (kind.version,), cluster=not kind.namespaced)
    ref = canary.spec.autoscaler_ref
    if ref is not None and ref.kind == "ScaledObject":
        yield from (each for each in KEDA if each["metadata"]["name"] not in there)


# What is missing ----------------------------------------------------------------------------------------------------


def _missing(canary: Canary, made: Cluster, options: Options) -> Iterator[tuple[Obj, str]]:
    """Objects that the Canary names, with a note for each."""
    space, ref = canary.metadata.namespace, canary.spec.target_ref
    target = Ref(ref.api_version, ref.kind, space, ref.name)
    if not made.has(target):
        if ref.kind not in WORKLOADS:
            raise Miscast(f"{ref.kind} {space}/{ref.name}, the target of Canary {canary.metadata.name}, is in no file")
        image = f"registry.example/{ref.name}:1.0.0"
        yield _workload(canary, image), f" with the image {image}"
    yield from _configs(canary, made, target)
    scaler = canary.spec.autoscaler_ref
    if scaler is not None and not made.has(Ref(scaler.api_version, scaler.kind, space, scaler.name)):
        if scaler.kind != "HorizontalPodAutoscaler":
            raise Miscast(f"{scaler.kind} {space}/{scaler.name} of Canary {canary.metadata.name} is in no file")
        yield _scaler(canary, scaler.name), ""
    router, routing = _router(canary, options), RoutingOptions()
    for each in router.reads(canary, routing):
        ours = each.name.endswith("-canary")
        if each.kind == INGRESSES.kind and not ours and not made.has(each):
            yield _ingress(canary, each), ""
    yield from _templates(canary, made)


def _configs(canary: Canary, made: Cluster, target: Ref) -> Iterator[tuple[Obj, str]]:
    """Empty ConfigMaps and Secrets that the target needs."""
    workload = workload_for(canary.spec.target_ref)
    live = next((each for each in made.objects if ref_of(each)[1:] == target[1:]), None)
    if isinstance(workload, Problem) or live is None:
        return
    for each in workload.config_refs(live):
        ref = each.ref(target.namespace)
        if not each.optional and not made.has(ref):
            yield _named(ref.api_version, ref.kind, ref.namespace, ref.name, data={}), ", empty"


def _templates(canary: Canary, made: Cluster) -> Iterator[tuple[Obj, str]]:
    """MetricTemplates and AlertProviders."""
    analysis, space = canary.spec.analysis, canary.metadata.namespace
    for metric in analysis.metrics if analysis else ():
        ref = metric.template_ref
        found = ref and Ref("flagger.app/v1beta1", "MetricTemplate", ref.namespace or space, ref.name)
        if found and not made.has(found):
            provider = {"type": "prometheus", "address": "http://rehearsal.invalid"}
            spec = {"provider": provider, "query": f"rehearsed:{found.name}"}
            yield _named(*found, spec=spec), ": its query is in no file"
    for alert in analysis.alerts if analysis else ():
        where = alert.provider_ref
        found = Ref("flagger.app/v1beta1", "AlertProvider", where.namespace or space, where.name)
        if not made.has(found):
            yield _named(*found, spec={"type": "slack", "address": "http://alerts.invalid"}), ""


def _named(api: str, kind: str, namespace: str, name: str, **more: Any) -> Obj:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **more}


def _workload(canary: Canary, image: str) -> Obj:
    ref, service = canary.spec.target_ref, canary.spec.service
    port = (service.target_port or service.port) if service else 8080
    number = port if isinstance(port, int) else 8080
    named = {"name": port} if isinstance(port, str) and not port.isdigit() else {}
    container = {"name": ref.name, "image": image, "ports": [{"containerPort": number, **named}]}
    labels = {"app": ref.name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    size = {"replicas": 2} if ref.kind == DEPLOYMENTS.kind else {}
    return _named(ref.api_version, ref.kind, canary.metadata.namespace, ref.name, spec={**spec, **size})


def _scaler(canary: Canary, name: str) -> Obj:
    ref = canary.spec.target_ref
    target = {"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 4}
    return _named("autoscaling/v2", "HorizontalPodAutoscaler", canary.metadata.namespace, name, spec=spec)


def _ingress(canary: Canary, ref: Ref) -> Obj:
    port = {"number": canary.spec.service.port if canary.spec.service else 80}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"port": port}}}
    rules = [{"host": f"{ref.name}.example", "http": {"paths": [led_to(path, names.apex(canary))]}}]
    return _named(
        ref.api_version, ref.kind, ref.namespace, ref.name, spec={"ingressClassName": "nginx", "rules": rules}
    )


def title(obj: Obj) -> str:
    """`Kind namespace/name`."""
    return f"{obj['kind']} {obj['metadata']['namespace']}/{obj['metadata']['name']}"


def resource(obj: Obj) -> Resource:
    """The resource of an object. Raises UnknownKind."""
    return resource_of(ref_of(obj))
