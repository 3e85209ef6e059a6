"""Where the kinds that an operator deals with live, as a table.

Read by `client` and `cache`. Kinds of traffic providers and targets are declared by their modules, plugins included,
and join when the first Canary that names one is planned.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyflagger.objects import Ref, Resource

CANARIES = Resource("flagger.app", "v1beta1", "canaries", "Canary")
METRIC_TEMPLATES = Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate")
ALERT_PROVIDERS = Resource("flagger.app", "v1beta1", "alertproviders", "AlertProvider")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
SERVICES = Resource("", "v1", "services", "Service")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")

_TABLE = {
    (resource.api_version, resource.kind): resource
    for resource in (
        CANARIES,
        METRIC_TEMPLATES,
        ALERT_PROVIDERS,
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
    """Add kinds to the table; saying the same again changes nothing."""
    _TABLE.update({(resource.api_version, resource.kind): resource for resource in resources})


class UnknownKind(LookupError):
    """A reference names a kind that is not in the table."""


def resource_of(ref: Ref) -> Resource:
    """The resource of a reference. Raises UnknownKind."""
    try:
        return _TABLE[ref.api_version, ref.kind]
    except KeyError:
        raise UnknownKind(f"{ref.api_version} {ref.kind} is not a kind that flagger knows") from None
