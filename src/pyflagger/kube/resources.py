"""The API resources of the kinds that the operator uses, as a table.

Read by `client` and `cache`. Modules of traffic providers and targets, plugins included, declare their own kinds. These
join the table when the first Canary that names one is compiled.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyflagger.objects import Ref, Resource

CANARIES = Resource("flagger.app", "v1beta1", "canaries", "Canary")
METRIC_TEMPLATES = Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate")
ALERT_PROVIDERS = Resource("flagger.app", "v1beta1", "alertproviders", "AlertProvider")
RELEASES = Resource("flagger.app", "v1alpha1", "canaryreleases", "CanaryRelease")
ACTIONS = Resource("flagger.app", "v1alpha1", "canaryactions", "CanaryAction")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
SERVICES = Resource("", "v1", "services", "Service")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("", "v1", "events", "Event")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")

_TABLE = {
    (resource.api_version, resource.kind): resource
    for resource in (
        CANARIES,
        METRIC_TEMPLATES,
        ALERT_PROVIDERS,
        RELEASES,
        ACTIONS,
        DEPLOYMENTS,
        SERVICES,
        CONFIG_MAPS,
        SECRETS,
        EVENTS,
        LEASES,
        DAEMON_SETS,
        Resource("networking.k8s.io", "v1", "ingresses", "Ingress"),
        Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject"),
    )
}


def learn(resources: Iterable[Resource]) -> None:
    """Add kinds to the table. Declaring a kind twice has no effect."""
    _TABLE.update({(resource.api_version, resource.kind): resource for resource in resources})


class UnknownKind(LookupError):
    """The kind of a reference is not in the table."""


def resource_of(ref: Ref) -> Resource:
    """The resource of a reference. Raises UnknownKind."""
    try:
        return _TABLE[ref.api_version, ref.kind]
    except KeyError:
        raise UnknownKind(f"{ref.api_version} {ref.kind} is not a kind that flagger supports") from None


def resource_named(kind: str) -> Resource:
    """The resource of a kind in any case, in the first version of the table. Raises UnknownKind."""
    found = next((resource for (_, name), resource in _TABLE.items() if name.lower() == kind.lower()), None)
    if found is None:
        raise UnknownKind(f"{kind} is not a kind that flagger supports")
    return found
