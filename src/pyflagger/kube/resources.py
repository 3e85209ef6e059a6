"""Where the kinds that an operator deals with live, as a table.

Read by `client` and `cache`; kinds of later providers join with one line.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyflagger.objects import Ref


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of the API. `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, as objects spell it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The absolute path of the collection, an object, or a subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return root + scope + "".join(f"/{part}" for part in (self.plural, name, subresource) if part)

    def ref(self, namespace: str, name: str) -> Ref:
        """The name of one object of this kind."""
        return Ref(self.api_version, self.kind, namespace, name)


CANARIES = Resource("flagger.app", "v1beta1", "canaries", "Canary")
METRIC_TEMPLATES = Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate")
ALERT_PROVIDERS = Resource("flagger.app", "v1beta1", "alertproviders", "AlertProvider")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
SERVICES = Resource("", "v1", "services", "Service")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
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
        Resource("apps", "v1", "daemonsets", "DaemonSet"),
        Resource("networking.k8s.io", "v1", "ingresses", "Ingress"),
        Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject"),
    )
}


class UnknownKind(LookupError):
    """A reference names a kind that is not in the table."""


def resource_of(ref: Ref) -> Resource:
    """The resource of a reference. Raises UnknownKind."""
    try:
        return _TABLE[ref.api_version, ref.kind]
    except KeyError:
        raise UnknownKind(f"{ref.api_version} {ref.kind} is not a kind that flagger knows") from None
