"""Subresources that are not part of the object, and kinds that are only requests.

Scale, a pod's log, binding and eviction, service account tokens, access reviews. Called by `ApiServer`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from pyflagger.admission import errors, metadata
from pyflagger.admission.errors import bad_request
from pyflagger.admission.resource import Resource
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver import patching
from pyflagger_sandbox.apiserver.messages import Request, Response, WatchStream, answer, switched_on
from pyflagger_sandbox.apiserver.routes import Route
from pyflagger_sandbox.apiserver.selectors import look
from pyflagger_sandbox.apiserver.writing import Writer, parse_body

# (pod, query such as `container`, `follow`, `tailLines`) → the pod's log. Raises ApiError.
Logs = Callable[[Obj, Mapping[str, str]], AsyncGenerator[bytes, None]]

_SCALE_PATHS: Mapping[str, str] = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": "",
}
_SPECIAL = Resource("autoscaling", "v1", "scales", "Scale")
USER = "sandbox-user"


def scale_of(resource: Resource, obj: Obj) -> Obj:
    """The `Scale` of an object."""
    paths, meta = resource.scale or _SCALE_PATHS, obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": look(obj, _steps(paths["statusReplicasPath"])) or 0}
    selector = look(obj, _steps(paths["labelSelectorPath"])) if paths.get("labelSelectorPath") else _selector(obj)
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": look(obj, _steps(paths["specReplicasPath"])) or 0},
        "status": status,
    }


def _selector(obj: Obj) -> str:
    found = look(obj, ("spec", "selector")) or {}
    return ",".join(f"{key}={value}" for key, value in sorted((found.get("matchLabels") or found).items()))


def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.lstrip(".").split("."))


def rescale(writer: Writer, resource: Resource, route: Route, request: Request, old: Obj) -> Response:
    """PUT or PATCH of a `Scale`. Raises ApiError (400, 409, 422)."""
    current = scale_of(resource, old)
    wanted = parse_body(request.body) if request.method == "PUT" else patching.apply(request, current, _SPECIAL)
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        cause = errors.wrong("spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid("Scale", "autoscaling", route.name, [cause])
    steps = _steps((resource.scale or _SCALE_PATHS)["specReplicasPath"])
    meta = {**old["metadata"], "resourceVersion": wanted["metadata"].get("resourceVersion", "")}
    new = _put({**old, "metadata": meta}, steps, replicas)
    main = Route(route.group, route.version, route.plural, route.namespace, route.name)
    return answer(scale_of(resource, writer.replace(resource, main, new, old, request.query)))


def _put(obj: Obj, steps: tuple[str, ...], value: Any) -> Obj:
    first, *rest = steps
    return {**obj, first: _put(obj.get(first) or {}, tuple(rest), value) if rest else value}


async def log(logs: Logs | None, pod: Obj, query: Mapping[str, str]) -> Response | WatchStream:
    """A pod's log: all of it, or a stream with `follow`."""
    if logs is None:
        raise bad_request(f'this server keeps no logs of pod "{pod["metadata"]["name"]}"')
    headers = {"content-type": "text/plain"}
    found = logs(pod, query)
    if switched_on(query, "follow"):
        return WatchStream(found, headers)
    return Response(200, b"".join([part async for part in found]), headers)


def bind(writer: Writer, resource: Resource, route: Route, request: Request, pod: Obj) -> Response:
    """POST of a `Binding`: assigns the pod to the node. Raises ApiError (409)."""
    node = (parse_body(request.body).get("target") or {}).get("name", "")
    if pod["spec"].get("nodeName"):
        why = f'pod {route.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        raise errors.conflict("pods/binding", "", route.name, why)
    main = Route("", "v1", "pods", route.namespace, route.name)
    bound = writer.replace(resource, main, {**pod, "spec": {**pod["spec"], "nodeName": node}}, pod, request.query)
    now = metadata.stamp(writer.clock.now())
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    others = [found for found in (bound.get("status") or {}).get("conditions") or () if found["type"] != "PodScheduled"]
    status = {**bound.get("status", {}), "conditions": [*others, condition]}
    writer.replace(
        resource, Route("", "v1", "pods", route.namespace, route.name, "status"), {**bound, "status": status}, bound, {}
    )
    return answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


def token(route: Route, request: Request, now: float) -> Response:
    """POST of a `TokenRequest`: returns a token. This server accepts any token."""
    said = parse_body(request.body)
    lifetime = (said.get("spec") or {}).get("expirationSeconds") or 3600
    status = {"token": f"sandbox.{route.namespace}.{route.name}", "expirationTimestamp": metadata.stamp(now + lifetime)}
    return answer({**said, "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "status": status}, 201)


def review(resource: Resource, request: Request) -> Response:
    """Answer an access review: every user may do everything."""
    said = parse_body(request.body)
    user = {"username": USER, "groups": ["system:masters", "system:authenticated"]}
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    anywhere = {"verbs": ["*"], "nonResourceURLs": ["*"]}
    status = {
        "SelfSubjectRulesReview": {"resourceRules": [everything], "nonResourceRules": [anywhere], "incomplete": False},
        "TokenReview": {"authenticated": True, "user": user},
        "SelfSubjectReview": {"userInfo": user},
    }.get(resource.kind, {"allowed": True})
    head = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
    return answer(head | {key: said[key] for key in ("spec",) if key in said} | {"status": status}, 201)
