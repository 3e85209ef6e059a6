"""Plays a recorded story on the stage and writes down what can be seen from outside, in the transcripts' format.

The scenarios and the format are explained in README.md beside this file. Everything runs on virtual time.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from pyflagger.core.conditions import PROMOTED
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.resources import (
    CANARIES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    SECRETS,
    SERVICES,
    resource_of,
)
from pyflagger.objects import Obj, Ref, Resource, controller_of
from pyflagger.operator.options import parse
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest
from stage.stage import Stage, path_of, vector

HERE = Path(__file__).parent
HOOKS, PROMETHEUS, SAY = "http://hooks.invalid", "http://prometheus.invalid", "http://say.invalid"
FLAGS = (f"-metrics-server={PROMETHEUS}", "-mesh-provider=nginx", f"-event-webhook={SAY}")
INGRESSES = resource_of(Ref("networking.k8s.io/v1", "Ingress", "", ""))
SCALERS = resource_of(Ref("autoscaling/v2", "HorizontalPodAutoscaler", "", ""))
DAEMONS = resource_of(Ref("apps/v1", "DaemonSet", "", ""))
WATCHED: tuple[Resource, ...] = (
    CANARIES,
    DEPLOYMENTS,
    DAEMONS,
    INGRESSES,
    SERVICES,
    SCALERS,
    CONFIG_MAPS,
    SECRETS,
    EVENTS,
)
KINDS = {resource.kind.lower(): resource.kind for resource in WATCHED} | {"metrictemplate": "MetricTemplate"}
GAUGE = re.compile(r"^(flagger_canary_(?:status|weight|metric_analysis|successes_total|failures_total))\{(.*)\} (\S+)$")
POLL_SECONDS = 0.5
PODS_TAKE = 1.0
"""Seconds until a pod is ready, as on the cluster that the reference was recorded on."""


UNASKED = vector("100")
"""The answer to a query that is no story's."""


def owned(obj: Obj) -> bool:
    """Whether a Canary controls it."""
    owner = controller_of(obj)
    return owner is not None and owner["kind"] == "Canary"


def config_refs(pod: Obj) -> list[str]:
    """ConfigMaps and Secrets that a pod spec names."""
    found = set()
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        for bundle in container.get("envFrom", ()):
            found |= {
                f"{key[:-3].lower()}/{bundle[key]['name']}" for key in ("configMapRef", "secretRef") if key in bundle
            }
        for variable in container.get("env", ()):
            for key, value in variable.get("valueFrom", {}).items():
                if key in ("configMapKeyRef", "secretKeyRef"):
                    found.add(f"{key[:-6].lower()}/{value['name']}")
    for volume in pod.get("volumes", ()):
        if "configMap" in volume:
            found.add(f"configmap/{volume['configMap']['name']}")
        if "secret" in volume:
            found.add(f"secret/{volume['secret']['secretName']}")
    return sorted(found)


class Recorder:
    """The transcript so far: a line when something changed, opaque values named in order of appearance."""

    def __init__(self, now: Any) -> None:
        self._now = now
        self.lines: list[tuple[float, Obj]] = []
        self.began: float | None = None
        self.state: Obj = {}
        self.seen: list[str] = []
        self.calls: dict[str, int] = {}
        self._last: dict[tuple[str, object], str] = {}
        self._labels: dict[str, dict[str, str]] = {}

    def label(self, prefix: str, value: str) -> str:
        """`r1`, `c2`… for an opaque value."""
        known = self._labels.setdefault(prefix, {})
        return known.setdefault(value, f"{prefix}{len(known) + 1}") if value else value

    def put(self, what: str, key: object = None, /, **data: Any) -> None:
        """Write a line; with a key only when it differs from the last one of that key."""
        text = json.dumps(data).replace(HOOKS, "{hooks}").replace(PROMETHEUS, "{prom}")
        if key is not None:
            if self._last.get((what, key)) == text:
                return
            self._last[what, key] = text
        self.lines.append((self._now(), {"what": what, **json.loads(text)}))

    def object(self, kind: str, obj: Obj, gone: bool) -> None:
        """Write down how an object looks now."""
        name = obj["metadata"]["name"]
        if kind == "Event":
            self._event(obj)
        elif kind == "Canary":
            self._canary(name, obj, gone)
        else:
            what = {"HorizontalPodAutoscaler": "hpa", "Deployment": "workload", "DaemonSet": "workload"}.get(
                kind, kind.lower()
            )
            if gone:
                self.put(what, (kind, name), kind=kind, name=name, gone=True)
            else:
                self.put(what, (kind, name), kind=kind, name=name, owned=owned(obj), **getattr(self, f"_{what}")(obj))

    def _event(self, obj: Obj) -> None:
        if obj["involvedObject"]["kind"] == "Canary":
            text = obj["message"]
            self.put(
                "event",
                obj["metadata"]["uid"],
                type=obj["type"],
                reason=obj["reason"],
                message=text,
                count=obj["count"],
            )
            self.seen.append(text)

    def _canary(self, name: str, obj: Obj, gone: bool) -> None:
        meta, status = obj["metadata"], obj.get("status") or {}
        now = {
            "phase": "gone" if gone else status.get("phase", ""),
            "weight": status.get("canaryWeight", 0),
            "iterations": status.get("iterations", 0),
            "failed": status.get("failedChecks", 0),
        }
        self.state.update(now)
        if gone:
            self.put("canary", name, name=name, gone=True)
            return
        self.put("canary", name, name=name, finalizers=meta.get("finalizers", []), deleting="deletionTimestamp" in meta)
        conditions = [
            {key: condition.get(key) for key in ("type", "status", "reason", "message")}
            for condition in status.get("conditions") or ()
            if condition["type"] == PROMOTED  # the reference has no other
        ]
        self.put(
            "status",
            name,
            **now,
            applied=self.label("r", status.get("lastAppliedSpec", "")),
            promoted=self.label("r", status.get("lastPromotedSpec", "")),
            configs=status.get("trackedConfigs") or {},
            conditions=conditions,
        )

    def _workload(self, obj: Obj) -> Obj:
        template = obj["spec"]["template"]
        annotations = template["metadata"].get("annotations") or {}
        self.state[f"replicas:{obj['metadata']['name']}"] = obj["spec"].get("replicas")
        nodes = template["spec"].get("nodeSelector") or {}
        size = {"node_selector": nodes} if obj["kind"] == "DaemonSet" else {"replicas": obj["spec"].get("replicas")}
        return {
            **size,
            "images": {entry["name"]: entry["image"] for entry in template["spec"]["containers"]},
            "labels": obj["metadata"].get("labels") or {},
            "selector": obj["spec"]["selector"].get("matchLabels"),
            "pod_labels": template["metadata"].get("labels") or {},
            "pod_annotations": {
                key: self.label("id", value) if key == "flagger-id" else value for key, value in annotations.items()
            },
            "refs": config_refs(template["spec"]),
        }

    def _service(self, obj: Obj) -> Obj:
        meta, spec = obj["metadata"], obj["spec"]
        fields = ("name", "port", "targetPort", "protocol", "appProtocol")
        return {
            "selector": spec.get("selector"),
            "type": spec.get("type", "ClusterIP"),
            "headless": spec.get("clusterIP") == "None",
            "labels": meta.get("labels") or {},
            "annotations": meta.get("annotations") or {},
            "ports": [{field: port[field] for field in fields if field in port} for port in spec["ports"]],
        }

    def _ingress(self, obj: Obj) -> Obj:
        meta, spec = obj["metadata"], obj["spec"]
        return {
            "annotations": meta.get("annotations") or {},
            "labels": meta.get("labels") or {},
            "class": spec.get("ingressClassName"),
            "backends": [
                [rule.get("host"), path["path"], path["backend"]["service"]["name"], path["backend"]["service"]["port"]]
                for rule in spec.get("rules", ())
                for path in rule["http"]["paths"]
            ],
        }

    def _hpa(self, obj: Obj) -> Obj:
        spec = obj["spec"]
        return {"target": spec["scaleTargetRef"], "min": spec.get("minReplicas"), "max": spec["maxReplicas"]}

    def _configmap(self, obj: Obj) -> Obj:
        return {"data": obj.get("data") or {}}

    def _secret(self, obj: Obj) -> Obj:
        return {"keys": sorted(obj.get("data") or {}), "type": obj.get("type")}

    def transcript(self, name: str, namespace: str) -> Iterator[str]:
        """The lines of the file."""
        yield json.dumps({"what": "scenario", "name": name, "namespace": namespace, "operator": "pyflagger"})
        began = self.began if self.began is not None else self._now()
        for at, line in self.lines:
            yield json.dumps({"t": round(at - began, 1), **line})


class Story:
    """One scenario, on a stage of its own or on the one that is given."""

    def __init__(self, file: Path, stage: Any = None) -> None:
        text = file.read_text().replace("{hooks}", HOOKS).replace("{prom}", PROMETHEUS)
        self.doc: Obj = yaml.safe_load(text)
        self.name, self.namespace = self.doc["name"], self.doc["namespace"]
        self.stage = stage or Stage(self.answer)
        self.stage.pods_take = PODS_TAKE
        self.stage.options = parse([*FLAGS, *(self.doc.get("operator") or ())], {})
        self.recorder = Recorder(self.stage.clock.now)
        self.metrics: list[Obj] = [dict(entry) for entry in self.doc.get("metrics") or ()]
        self.hooks: dict[str, Any] = dict(self.doc.get("hooks") or {})

    def is_named_in(self, text: str) -> bool:
        """Whether its namespace, as a whole word, is in a text."""
        return bool(re.search(rf"(?<![\w-]){re.escape(self.namespace)}(?![\w-])", text))

    async def play(self) -> list[str]:
        """Play it to its end; the transcript."""
        stage = self.stage
        await stage.start(operator=False)
        await stage.namespace(self.namespace)
        cache = Cache(stage.client, stage.clock)
        cache.subscribe(self.changed)
        for resource in WATCHED:
            await cache.wait(resource)
        await stage.start_operator()
        try:
            return await self.steps()
        finally:
            await cache.stop()
            await stage.stop()

    async def steps(self) -> list[str]:
        """What happens, while the operator runs; the transcript."""
        gauges = asyncio.ensure_future(self._poll_gauges())
        try:
            await self._steps()
        finally:
            gauges.cancel()
        return list(self.recorder.transcript(self.name, self.namespace))

    async def _steps(self) -> None:
        clock, recorder, doc = self.stage.clock, self.recorder, self.doc
        limit = clock.now() + doc.get("limit", 240)
        recorder.put("step", do="apply", objects=[f"{o['kind']}/{o['metadata']['name']}" for o in doc["objects"]])
        for obj in doc["objects"]:
            await self.stage.create(obj, self.namespace)
        ended = "met"
        for number, step in enumerate(doc["steps"], 1):
            if not await self._until(step.get("when") or {}, limit):
                ended = f"limit reached before step {number}"
                break
            await clock.sleep(step.get("after", 0))
            marked = any(other.get("trigger") for other in doc["steps"])
            if recorder.began is None and (step.get("trigger") or not marked):
                recorder.began = clock.now()
            recorder.put("step", do=step["do"])
            await self._act(step["do"])
        else:
            wanted = {key: value for key, value in doc["end"].items() if key != "settle"}
            if not await self._until(wanted, limit):
                ended = "limit reached before the end condition"
        at = clock.now()
        await clock.sleep(doc["end"].get("settle", 0))
        state = {key: recorder.state.get(key) for key in ("phase", "weight", "iterations", "failed")}
        recorder.put("end", condition=ended, at=round(at - (recorder.began or at), 1), **state)

    async def _until(self, wanted: Obj, limit: float) -> bool:
        while not self._holds(wanted):
            if self.stage.clock.now() > limit:
                return False
            await self.stage.clock.sleep(0.05)
        return True

    def _holds(self, wanted: Obj) -> bool:
        recorder = self.recorder
        for key, value in wanted.items():
            if key == "event":
                holds = any(value in text for text in recorder.seen)
            elif key == "called":
                holds = recorder.calls.get(value, 0) > 0
            elif key == "phase":
                holds = recorder.state.get("phase") in (value if isinstance(value, list) else [value])
            elif key == "replicas":
                holds = all(recorder.state.get(f"replicas:{name}") == count for name, count in value.items())
            else:
                holds = recorder.state.get(key) == value
            if not holds:
                return False
        return True

    async def _act(self, step: Obj) -> None:
        for verb, what in step.items():
            match verb:
                case "image":
                    kind, _, name = what["target"].partition("/")
                    await self.stage.set_image(name, what["container"], what["image"], self.namespace, KINDS[kind])
                case "patch":
                    kind, _, name = what["object"].partition("/")
                    await self.stage.patch(KINDS[kind], name, what["merge"], self.namespace)
                case "delete":
                    kind, _, name = what.partition("/")
                    await self.stage.client.call("DELETE", path_of(KINDS[kind], self.namespace, name))
                case "apply":
                    await self.stage.create(what, self.namespace)
                case "hook":
                    self.hooks[what["path"]] = what["answer"]
                case "metric":
                    others = [entry for entry in self.metrics if entry["match"] != what["match"]]
                    self.metrics = [{"match": what["match"], "value": what["value"]}, *others]

    def changed(self, change: ObjectChange) -> None:
        obj = change.new or change.old
        assert obj is not None
        if change.ref.namespace == self.namespace and not (change.resource == EVENTS and change.new is None):
            if change.resource.kind == "ConfigMap" and change.ref.name == "kube-root-ca.crt":
                return
            self.recorder.object(change.resource.kind, obj, change.new is None)

    async def _poll_gauges(self) -> None:
        while True:
            operator = self.stage.operator
            if operator:
                for line in operator.metrics().decode().splitlines():
                    if found := GAUGE.match(line):
                        labels = dict(re.findall(r'(\w+)="([^"]*)"', found[2]))
                        if labels.pop("namespace", "") == self.namespace:
                            key = (found[1], found[2])
                            self.recorder.put("gauge", key, name=found[1], labels=labels, value=float(found[3]))
            await self.stage.clock.sleep(POLL_SECONDS)

    # The other side ---------------------------------------------------------------------------------------------------

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        if request.url.startswith(PROMETHEUS):
            return self._query(request)
        return await self._hook(request)

    def _query(self, request: HttpRequest) -> HttpAnswer:
        parts = urlsplit(request.url)
        query = parse_qs(parts.query or (request.body or b"").decode())["query"][0]
        if "vector(1)" in query:
            return HttpAnswer(200, vector("1"))
        if not self.is_named_in(query):
            return HttpAnswer(200, UNASKED)
        value: Any = 100
        entry = next((entry for entry in self.metrics if entry["match"] in query), None)
        if entry:
            value = _next(entry, "value")
        self.recorder.put("query", path=parts.path, method=request.method, text=query, answer=value)
        if value == "error":
            return HttpAnswer(500, b"scripted failure")
        if value == "none":
            return HttpAnswer(200, vector())
        return HttpAnswer(200, vector("NaN" if value == "nan" else str(value)))

    async def _hook(self, request: HttpRequest) -> HttpAnswer:
        body = json.loads(request.body or b"{}")
        recorder = self.recorder
        body["checksum"] = recorder.label("c", body.get("checksum"))
        meta = body.get("metadata") or {}
        if "timestamp" in meta:
            meta["timestamp"] = "*"
        if request.url.startswith(SAY):
            text = meta["eventMessage"]
            recorder.put("say", type=meta["eventType"], phase=body["phase"], checksum=body["checksum"], message=text)
            recorder.seen.append(text)
            return HttpAnswer(200, b"ok")
        path = urlsplit(request.url).path
        answer = _next(self.hooks, path) if path in self.hooks else 200
        recorder.calls[path] = recorder.calls.get(path, 0) + 1
        if path.startswith("/events"):
            recorder.seen.append(meta.get("eventMessage", ""))
        kind = dict(request.headers).get("Content-Type", "").partition(";")[0]
        recorder.put("hook", path=path, method=request.method, type=kind, body=body, answer=answer)
        if answer == "late":
            return await self._late(request)
        return HttpAnswer(answer, b"" if answer == 204 else b"ok" if answer < 300 else b"scripted refusal")

    async def _late(self, request: HttpRequest) -> HttpAnswer:
        seconds = self.doc.get("late", 4)
        if seconds >= request.timeout:
            await self.stage.clock.sleep(request.timeout)
            raise HttpFailure("timeout", f"no answer within {request.timeout:g} s")
        await self.stage.clock.sleep(seconds)
        return HttpAnswer(200, b"ok")


def _next(holder: dict[str, Any], key: str) -> Any:
    """A scripted answer; a list is used up one a call, its last entry stays."""
    value = holder[key]
    if not isinstance(value, list):
        return value
    if len(value) > 1:
        holder[key] = value[1:]
    return value[0]
