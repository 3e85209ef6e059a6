"""The built-in kinds, as a table.

Order matters where kinds share a name: clients that resolve a short name take the first.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyflagger.admission.resource import Resource

_STATUS = frozenset({"status"})
_SCALED = frozenset({"status", "scale"})
_ALL = ("all",)
_REVIEW = ("create",)

_POD_FIELDS = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_EVENT_FIELDS = (
    *(
        f"involvedObject.{part}"
        for part in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    ),
    "reason",
    "reportingComponent",
    "source",
    "type",
)


def _core() -> Iterator[Resource]:
    yield Resource("", "v1", "configmaps", "ConfigMap", short=("cm",))
    yield Resource("", "v1", "endpoints", "Endpoints", short=("ep",))
    yield Resource("", "v1", "events", "Event", short=("ev",), fields=_EVENT_FIELDS)
    yield Resource("", "v1", "limitranges", "LimitRange", short=("limits",))
    yield Resource(
        "",
        "v1",
        "namespaces",
        "Namespace",
        namespaced=False,
        short=("ns",),
        subresources=frozenset({"status", "finalize"}),
        fields=("status.phase",),
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    )
    yield Resource(
        "",
        "v1",
        "nodes",
        "Node",
        namespaced=False,
        short=("no",),
        subresources=_STATUS,
        fields=("spec.unschedulable",),
    )
    yield Resource(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        short=("pvc",),
        subresources=_STATUS,
    )
    yield Resource(
        "",
        "v1",
        "persistentvolumes",
        "PersistentVolume",
        namespaced=False,
        short=("pv",),
        subresources=_STATUS,
    )
    yield Resource(
        "",
        "v1",
        "pods",
        "Pod",
        short=("po",),
        categories=_ALL,
        generation=True,
        subresources=frozenset({"status", "log", "binding", "eviction", "exec", "portforward"}),
        fields=_POD_FIELDS,
    )
    yield Resource("", "v1", "podtemplates", "PodTemplate")
    yield Resource(
        "",
        "v1",
        "replicationcontrollers",
        "ReplicationController",
        short=("rc",),
        categories=_ALL,
        subresources=_SCALED,
        generation=True,
    )
    yield Resource("", "v1", "resourcequotas", "ResourceQuota", short=("quota",), subresources=_STATUS)
    yield Resource("", "v1", "secrets", "Secret", fields=("type",))
    yield Resource(
        "",
        "v1",
        "serviceaccounts",
        "ServiceAccount",
        short=("sa",),
        subresources=frozenset({"token"}),
    )
    yield Resource(
        "",
        "v1",
        "services",
        "Service",
        short=("svc",),
        categories=_ALL,
        subresources=_STATUS,
        fields=("spec.clusterIP", "spec.type"),
    )


def _workloads() -> Iterator[Resource]:
    for plural, kind, short in (
        ("daemonsets", "DaemonSet", "ds"),
        ("deployments", "Deployment", "deploy"),
        ("replicasets", "ReplicaSet", "rs"),
        ("statefulsets", "StatefulSet", "sts"),
    ):
        subresources = _STATUS if kind == "DaemonSet" else _SCALED
        yield Resource(
            "apps",
            "v1",
            plural,
            kind,
            short=(short,),
            categories=_ALL,
            subresources=subresources,
            generation=True,
        )
    yield Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
    for version in ("v2", "v1"):
        yield Resource(
            "autoscaling",
            version,
            "horizontalpodautoscalers",
            "HorizontalPodAutoscaler",
            short=("hpa",),
            categories=_ALL,
            subresources=_STATUS,
            storage="autoscaling/v2",
        )
    yield Resource(
        "batch",
        "v1",
        "cronjobs",
        "CronJob",
        short=("cj",),
        categories=_ALL,
        subresources=_STATUS,
        generation=True,
    )
    yield Resource("batch", "v1", "jobs", "Job", categories=_ALL, subresources=_STATUS, generation=True)
    yield Resource(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        short=("pdb",),
        subresources=_STATUS,
        generation=True,
    )


def _network() -> Iterator[Resource]:
    group = "networking.k8s.io"
    yield Resource(group, "v1", "ingressclasses", "IngressClass", namespaced=False, generation=True)
    yield Resource(group, "v1", "ingresses", "Ingress", short=("ing",), subresources=_STATUS, generation=True)
    yield Resource(group, "v1", "networkpolicies", "NetworkPolicy", short=("netpol",), generation=True)
    yield Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", generation=True)
    yield Resource("coordination.k8s.io", "v1", "leases", "Lease")
    yield Resource(
        "events.k8s.io",
        "v1",
        "events",
        "Event",
        short=("ev",),
        storage="v1",
        fields=tuple(f.replace("involvedObject", "regarding") for f in _EVENT_FIELDS),
    )


def _administration() -> Iterator[Resource]:
    group = "rbac.authorization.k8s.io"
    for plural, kind, namespaced in (
        ("clusterrolebindings", "ClusterRoleBinding", False),
        ("clusterroles", "ClusterRole", False),
        ("rolebindings", "RoleBinding", True),
        ("roles", "Role", True),
    ):
        yield Resource(group, "v1", plural, kind, namespaced=namespaced)
    group = "authorization.k8s.io"
    for kind, namespaced in (
        ("SelfSubjectAccessReview", False),
        ("SelfSubjectRulesReview", False),
        ("SubjectAccessReview", False),
        ("LocalSubjectAccessReview", True),
    ):
        yield Resource(group, "v1", f"{kind.lower()}s", kind, namespaced=namespaced, verbs=_REVIEW)
    for kind in ("TokenReview", "SelfSubjectReview"):
        yield Resource("authentication.k8s.io", "v1", f"{kind.lower()}s", kind, namespaced=False, verbs=_REVIEW)
    yield Resource(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        namespaced=False,
        short=("crd", "crds"),
        categories=("api-extensions",),
        subresources=_STATUS,
        generation=True,
    )
    yield Resource(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        namespaced=False,
        short=("pc",),
    )
    yield Resource(
        "storage.k8s.io",
        "v1",
        "storageclasses",
        "StorageClass",
        namespaced=False,
        short=("sc",),
    )


def builtin() -> list[Resource]:
    """Every built-in kind."""
    return [*_core(), *_workloads(), *_network(), *_administration()]
