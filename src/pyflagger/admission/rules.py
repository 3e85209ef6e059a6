"""The steps from a request to the store: decoding, defaults, admission, validation, deletion.

`writing` calls them once for each object. The rules of each kind are in the tables of `defaults` and `validate`.
`structural` applies the schemas of custom resources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pyflagger.admission import crd, errors, metadata, schema, structural
from pyflagger.admission.decode import Decoder
from pyflagger.admission.defaults import DEFAULTS
from pyflagger.admission.errors import Cause, bad_request
from pyflagger.admission.resource import Resource
from pyflagger.admission.validate import VALIDATE
from pyflagger.objects import Obj

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"

# Returns the address for a Service that requests none. Gets the whole Service.
Allocator = Callable[[Obj], str]


@dataclass(slots=True)
class Rules:
    """The rules of all kinds. `allocate` returns a new Service's cluster IP; by default it keeps the requested one."""

    allocate: Allocator | None = None
    now: Callable[[], float] = lambda: 0.0

    def clean(self, resource: Resource, obj: Obj, old: Obj | None, validation: str) -> tuple[Obj, tuple[str, ...]]:
        """Decode: drop unknown fields (Strict: reject them) and set defaults. Returns the object and warnings.

        Raises ApiError (400) for wrong types and, when Strict, for unknown fields.
        """
        obj, unknown = self._decoded(resource, obj, old)
        problems = tuple(f'unknown field "{path}"' for path in unknown)
        if problems and validation == "Strict":
            text = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            raise bad_request(f"{text}strict decoding error: {', '.join(problems)}")
        default = DEFAULTS.get((resource.group, resource.kind))
        return (default(obj) if default else obj), problems if validation == "Warn" else ()

    def _decoded(self, resource: Resource, obj: Obj, old: Obj | None) -> tuple[Obj, list[str]]:
        decoder = Decoder(resource.kind, resource.version)
        if resource.schema is not None:
            meta = decoder.model(schema.OBJECT_META, obj["metadata"], (old or {}).get("metadata"), "metadata")
            obj, unknown = structural.decode(resource.schema, {**obj, "metadata": meta}, old)
            return obj, decoder.unknown + unknown
        return decoder.model(resource.model, obj, old, ""), decoder.unknown

    def admit(self, resource: Resource, obj: Obj, old: Obj | None, *, status_only: bool = False) -> Obj:
        """The object to write. Raises ApiError (422) with every problem."""
        if not status_only:
            obj = self._allocated(resource, obj, old)
        causes = list(self._problems(resource, obj, old, status_only))
        if causes:
            raise errors.invalid(resource.kind, resource.group, obj["metadata"].get("name", ""), causes)
        return self._initial(resource, obj, old)

    def _problems(self, resource: Resource, obj: Obj, old: Obj | None, status_only: bool) -> Iterator[Cause]:
        if not status_only:
            yield from metadata.problems(obj, old, resource)
        if resource.schema is not None:
            yield from structural.validate(resource.schema, obj, old)
        rule = VALIDATE.get((resource.group, resource.kind))
        if rule is not None and not status_only:
            yield from rule(obj, old)

    def _allocated(self, resource: Resource, obj: Obj, old: Obj | None) -> Obj:
        """The Service with its old address, or with a new one."""
        if resource.kind != "Service" or resource.group:
            return obj
        spec = dict(obj.get("spec") or {})
        if spec.get("type") == "ExternalName":
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
        elif not spec.get("clusterIP"):
            had = ((old or {}).get("spec") or {}).get("clusterIP")
            found = had or (self.allocate(obj) if self.allocate else "")
            if found:
                spec["clusterIP"] = found
        if spec.get("clusterIP"):
            spec.setdefault("clusterIPs", [spec["clusterIP"]])
        return {**obj, "spec": spec}

    def _initial(self, resource: Resource, obj: Obj, old: Obj | None) -> Obj:
        """The object with the status that the server sets at creation."""
        if resource.kind == "CustomResourceDefinition":
            return crd.accepted(obj, metadata.stamp(self.now()))
        if old is not None or resource.group:
            return obj
        if resource.kind == "Pod":
            return {**obj, "status": {"phase": "Pending", "qosClass": _quality(obj)}}
        if resource.kind == "Namespace":
            return {**obj, "status": {"phase": "Active"}}
        return {**obj, "status": {"loadBalancer": {}}} if resource.kind == "Service" else obj

    def departing(self, resource: Resource, old: Obj, options: Obj, now: float) -> Obj | None:
        """The object marked for deletion, or None when it can be removed at once."""
        meta = dict(old["metadata"])
        policy = options.get("propagationPolicy") or ("Orphan" if options.get("orphanDependents") else "Background")
        if policy not in ("Background", "Foreground", "Orphan"):
            raise bad_request(
                f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "{policy}"'
            )
        finalizers = [f for f in meta.get("finalizers") or () if f not in (FOREGROUND, ORPHAN)]
        finalizers += {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(policy, [])
        grace = _grace(resource, old, options)
        held = finalizers or grace or (resource.kind == "Namespace" and (old.get("spec") or {}).get("finalizers"))
        if not held:
            return None
        if "deletionTimestamp" not in meta or grace < meta.get("deletionGracePeriodSeconds", 0):
            meta |= {"deletionTimestamp": metadata.stamp(now + grace), "deletionGracePeriodSeconds": grace}
        meta["finalizers"] = finalizers
        marked = {**old, "metadata": {key: value for key, value in meta.items() if value != []}}
        if resource.kind == "Namespace":
            marked["status"] = {**marked.get("status", {}), "phase": "Terminating"}
        return marked


def _grace(resource: Resource, obj: Obj, options: Obj) -> int:
    """The grace period in seconds of a pod on a node; 0 for everything else."""
    spec, asked = obj.get("spec") or {}, options.get("gracePeriodSeconds")
    if (
        resource.kind != "Pod"
        or not spec.get("nodeName")
        or (obj.get("status") or {}).get("phase") in ("Failed", "Succeeded")
    ):
        return 0
    return max(0, int(asked if asked is not None else spec.get("terminationGracePeriodSeconds", 30)))


def _quality(pod: Obj) -> str:
    """The pod's QoS class, from the requests and limits of its containers."""
    asked = [container.get("resources") or {} for container in (pod.get("spec") or {}).get("containers") or ()]
    if not any(resources.get("requests") or resources.get("limits") for resources in asked):
        return "BestEffort"
    full = all(
        (r.get("limits") or {}).keys() >= {"cpu", "memory"} and r.get("requests", r["limits"]) == r["limits"]
        for r in asked
    )
    return "Guaranteed" if full else "Burstable"
