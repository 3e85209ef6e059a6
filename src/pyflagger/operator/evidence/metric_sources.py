"""The source of a metric: the metrics server, or the provider of a MetricTemplate with its Secret.

Every check reads them again, so that a changed template or a rotated Secret takes effect immediately.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from pyflagger.api.canary import Canary, Metric, MetricTemplate
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.parse import Invalid, parse_metric_template
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, NotFound
from pyflagger.kube.resources import METRIC_TEMPLATES, SECRETS
from pyflagger.metrics import manifest
from pyflagger.metrics.base import MetricError, Provider, ProviderError, Settings
from pyflagger.metrics.prometheus import Prometheus
from pyflagger.metrics.registry import provider_for
from pyflagger.objects import part
from pyflagger.operator.observe.store import Store
from pyflagger.operator.options import Options
from pyflagger.plugins import answered
from pyflagger.wire import shown_url
from pyflagger.workloads import knative

Secret: TypeAlias = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Lookups:
    """The objects that checks read, by namespace and name. None means that the object does not exist.

    `revision` returns the latest created revision of a Knative Service.
    """

    template: Callable[[str, str], Awaitable[MetricTemplate | Problem | None]]
    secret: Callable[[str, str], Awaitable[Secret | Problem | None]]
    revision: Callable[[str, str], Awaitable[str | Problem]]


async def read_secret(client: Client, namespace: str, name: str) -> Secret | Problem | None:
    """The values of a Secret, from the API server. None: it does not exist."""
    try:
        raw = await client.get(SECRETS, namespace, name)
        return {key: base64.b64decode(text) for key, text in (raw.get("data") or {}).items()}
    except NotFound:
        return None
    except (ApiError, binascii.Error) as error:
        return Problem(Fault.CLUSTER, str(error), f"Check secret {name} in namespace {namespace}.")


def cluster_lookups(client: Client, store: Store) -> Lookups:
    """Read templates and Revisions from the watch cache, and Secrets, which are not watched, from the API server."""

    async def template(namespace: str, name: str) -> MetricTemplate | Problem | None:
        raw = store.get(METRIC_TEMPLATES.ref(namespace, name))
        try:
            return parse_metric_template(raw) if raw is not None else None
        except Invalid as invalid:
            return invalid.problems[0]

    async def revision(namespace: str, name: str) -> str | Problem:
        raw = store.get(knative.SERVICES.ref(namespace, name))
        if raw is None:
            return Problem(Fault.MANIFEST, f'services.serving.knative.dev "{name}" not found', "Create the Service.")
        return str(part(raw, "status").get("latestCreatedRevisionName") or "")

    return Lookups(template, partial(read_secret, client), revision)


class Failed(Exception):
    """A check cannot run. The problem's text is complete."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


def prefixed(prefix: str, problem: Problem) -> Problem:
    """The problem, with a prefix before its text."""
    return Problem(problem.fault, f"{prefix}{problem.text}", problem.todo, problem.path)


def title(template: MetricTemplate) -> str:
    """The name of a template in texts."""
    return manifest.title(template.metadata.name, template.metadata.namespace)


class Sources:
    """Finds providers. All methods raise Failed."""

    def __init__(self, lookups: Lookups, options: Options) -> None:
        self._lookups, self._options = lookups, options

    def address(self, canary: Canary) -> str:
        """The metrics server's address."""
        return canary.spec.metrics_server or self._options.metrics_server

    def metrics_server(self, canary: Canary) -> Prometheus:
        """The provider of built-in checks and inline queries."""
        address = self.address(canary)
        try:
            return Prometheus(Settings(address=address))
        except ProviderError as error:
            text = f"Error building Prometheus client for {shown_url(address)} "
            raise Failed(prefixed(text, error.problem)) from error

    async def template(self, canary: Canary, metric: Metric) -> MetricTemplate:
        """The template that a metric refers to, in the canary's namespace unless it names another."""
        ref, own = metric.template_ref, canary.metadata.namespace
        if ref is None:
            raise Failed(Problem(Fault.US, f"metric {metric.name} has no template"))
        namespace = ref.namespace or own
        about = f"{manifest.title(ref.name, namespace)} error: "
        if self._options.no_cross_namespace_refs and namespace != own:
            text = f"{about}references to other namespaces are not allowed"
            raise Failed(Problem(Fault.MANIFEST, text, f"Put the MetricTemplate into namespace {own}."))
        found = await self._lookups.template(namespace, ref.name)
        if found is None:
            raise Failed(manifest.template_missing(ref.name, namespace))
        if isinstance(found, Problem):
            raise Failed(prefixed(about, found))
        return found

    async def provider(self, template: MetricTemplate) -> Provider:
        """The provider of a template."""
        spec = template.spec.provider
        about = f"{title(template)} provider {spec.type} error: "
        factory = provider_for(spec.type)
        if isinstance(factory, Problem):
            raise Failed(prefixed(about, factory))
        secret = await self._secret(template)
        own = template.metadata.namespace if self._options.no_cross_namespace_refs else ""
        settings = Settings(spec.address, spec.headers, spec.region, not spec.insecure_skip_verify, secret, own)
        try:
            return await answered(partial(factory, settings))
        except MetricError as error:
            raise Failed(prefixed(about, error.problem)) from error

    async def _secret(self, template: MetricTemplate) -> Secret | None:
        """The Secret that the template refers to, or None."""
        ref, namespace = template.spec.provider.secret_ref, template.metadata.namespace
        if ref is None:
            return None
        about = f"{title(template)} secret {ref.name} error: "
        found = await self._lookups.secret(namespace, ref.name)
        if found is None:
            raise Failed(manifest.secret_missing(template.metadata.name, namespace, ref.name))
        if isinstance(found, Problem):
            raise Failed(prefixed(about, found))
        return found

    async def revision(self, canary: Canary) -> str:
        """The latest revision of a Knative canary, or empty for other kinds."""
        if "knative" not in (canary.spec.provider, self._options.mesh_provider):
            return ""
        namespace, name = canary.metadata.namespace, canary.spec.target_ref.name
        found = await self._lookups.revision(namespace, name)
        if isinstance(found, Problem):
            raise Failed(prefixed(f"Error fetching Knative service {namespace}/{name} ", found))
        return found
