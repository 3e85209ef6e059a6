"""What each field of the three kinds means, by its path; `[]` is a list's item.

The one source of the descriptions in the CRDs (`kubectl explain`) and of the field tables in `docs/canary.md`. Read by
`api.crds`; fields that only some providers use say so.
"""

from __future__ import annotations

from collections.abc import Mapping

_REFERENCE = {
    "apiVersion": "API version of the object",
    "kind": "kind of the object",
    "name": "name of the object",
    "namespace": "ignored but for references across namespaces: the Canary's namespace",
}


def _reference(path: str, text: str) -> dict[str, str]:
    """A typed reference and its parts."""
    return {path: text, **{f"{path}.{part}": meaning for part, meaning in _REFERENCE.items()}}


_MATCH = {
    "exact": "the whole value",
    "prefix": "how the value begins (meshes)",
    "suffix": "how the value ends (meshes)",
    "regex": "a pattern of the whole value",
}


def _matched(path: str, text: str) -> dict[str, str]:
    """Conditions by name, and the ways in which each can be put."""
    return {path: text, **{f"{path}.*.{way}": meaning for way, meaning in _MATCH.items()}}


CANARY: Mapping[str, str] = {
    "spec.provider": "how traffic is routed; empty: the operator's -mesh-provider",
    "spec.metricsServer": "base URL of Prometheus for this canary's checks; empty: the operator's -metrics-server",
    **_reference("spec.targetRef", "the workload that is released; a change of its pod template starts a release"),
    **_reference("spec.autoscalerRef", "the target's autoscaler; the primary gets a copy"),
    "spec.autoscalerRef.primaryScalerQueries": "queries of the primary's autoscaler, by trigger name (KEDA)",
    "spec.autoscalerRef.primaryScalerReplicas": "bounds of the primary's autoscaler that differ from the target's",
    "spec.autoscalerRef.primaryScalerReplicas.minReplicas": "least replicas of the primary",
    "spec.autoscalerRef.primaryScalerReplicas.maxReplicas": "most replicas of the primary",
    **_reference("spec.ingressRef", "the Ingress that visitors come through (providers nginx and skipper)"),
    **_reference(
        "spec.routeRef",
        "the route that visitors come through: copied (apisix), or adopted and its weights set",
    ),
    **_reference("spec.upstreamRef", "the Upstream that settings are copied from (provider gloo)"),
    "spec.service": "the Services that are generated, and the route's settings",
    "spec.service.name": "name of the Service that visitors use; empty: the target's name",
    "spec.service.port": "port of the generated Services",
    "spec.service.portName": "name of that port; empty: http",
    "spec.service.targetPort": "port of the container, number or name; empty: the same as port",
    "spec.service.appProtocol": "application protocol of the port",
    "spec.service.trafficDistribution": "the Services' traffic distribution",
    "spec.service.ports": "more ports, routed with the same weights in one step",
    "spec.service.ports[].name": "name of the port",
    "spec.service.ports[].port": "port of the generated Services",
    "spec.service.ports[].targetPort": "port of the container, number or name; empty: the same as port",
    "spec.service.ports[].appProtocol": "application protocol of the port",
    "spec.service.portDiscovery": "also serve the other ports of the containers",
    "spec.service.headless": "generate headless Services",
    "spec.service.timeout": "time-out of a request (meshes)",
    "spec.service.backendTimeout": "time-out of a request to a backend (Gateway API)",
    "spec.service.gateways": "gateways of the route (Istio)",
    "spec.service.gatewayRefs": "parents of the route (Gateway API)",
    "spec.service.gatewayRefs[].name": "name of the parent",
    "spec.service.gatewayRefs[].group": "API group of the parent",
    "spec.service.gatewayRefs[].kind": "kind of the parent",
    "spec.service.gatewayRefs[].namespace": "namespace of the parent",
    "spec.service.gatewayRefs[].sectionName": "listener of the parent",
    "spec.service.gatewayRefs[].port": "port of the parent",
    "spec.service.hosts": "host names of the route (meshes)",
    "spec.service.delegation": "generate a route that another one delegates to (Istio)",
    "spec.service.trafficPolicy": "traffic policy of the destination rules (Istio)",
    "spec.service.match": "which requests the route is for (meshes)",
    "spec.service.rewrite": "rewriting of requests (meshes)",
    "spec.service.rewrite.uri": "the new path",
    "spec.service.rewrite.authority": "the new host",
    "spec.service.rewrite.type": "ReplaceFullPath or ReplacePrefixMatch (Gateway API)",
    "spec.service.retries": "retries of failed requests (meshes)",
    "spec.service.retries.attempts": "how often at most",
    "spec.service.retries.perTryTimeout": "time-out of each attempt",
    "spec.service.retries.retryOn": "what is tried again",
    "spec.service.headers": "header changes of requests and answers (meshes)",
    "spec.service.mirror": "mirrors of the route (Gateway API)",
    "spec.service.corsPolicy": "CORS policy of the route (meshes)",
    "spec.service.meshName": "name of the mesh (App Mesh)",
    "spec.service.backends": "backends of the virtual node (App Mesh)",
    "spec.service.apex": "metadata of the Service that visitors use",
    "spec.service.primary": "metadata of the primary's Service",
    "spec.service.canary": "metadata of the canary's Service",
    **{
        f"spec.service.{which}.{part}": f"{part} added to that Service"
        for which in ("apex", "primary", "canary")
        for part in ("labels", "annotations")
    },
    "spec.service.unmanagedMetadata": "metadata of the generated objects that others manage",
    "spec.service.unmanagedMetadata.labels": "keys of labels that are left as they are found",
    "spec.service.unmanagedMetadata.annotations": "keys of annotations that are left as they are found",
    "spec.analysis": "how a release is stepped and judged",
    "spec.analysis.interval": "how long each step is held before it is judged, such as 30s or 1m; at least 10s",
    "spec.analysis.threshold": "failed checks after which the release is rolled back",
    "spec.analysis.iterations": "rounds of an A/B or blue/green release; 0: weights",
    "spec.analysis.maxWeight": "the canary's highest weight in percent; 0: 100",
    "spec.analysis.stepWeight": "percent that each step adds",
    "spec.analysis.stepWeights": "the steps one by one in percent, rising; wins over stepWeight",
    "spec.analysis.stepWeightPromotion": "percent that each step of the promotion gives the primary; 0: at once",
    "spec.analysis.mirror": "mirror requests to the canary first, where the provider can",
    "spec.analysis.mirrorWeight": "percent of requests that are mirrored",
    "spec.analysis.primaryReadyThreshold": "percent of the primary's pods that must be ready",
    "spec.analysis.canaryReadyThreshold": "percent of the canary's pods that must be ready",
    "spec.analysis.match": "A/B: which requests go to the canary; any item will do",
    "spec.analysis.testers": "beside weights: requests that go to the canary at every weight; any item will do",
    **{
        path: text
        for field in ("match", "testers")
        for path, text in (
            *_matched(
                f"spec.analysis.{field}[].headers", "headers (cookie too) by name, each exact, prefix, suffix or regex"
            ).items(),
            *_matched(f"spec.analysis.{field}[].queryParams", "query parameters by name (Gateway API, Istio)").items(),
            (f"spec.analysis.{field}[].sourceLabels", "labels of the calling workload (Istio)"),
        )
    },
    "spec.analysis.metrics": "checks, judged in this order",
    "spec.analysis.metrics[].name": "request-success-rate, request-duration, or a name of your own",
    "spec.analysis.metrics[].interval": "the window that the query looks at; empty: 1m",
    "spec.analysis.metrics[].thresholdRange": "the accepted range",
    "spec.analysis.metrics[].thresholdRange.min": "lowest accepted value",
    "spec.analysis.metrics[].thresholdRange.max": "highest accepted value",
    "spec.analysis.metrics[].threshold": "older form: a minimum for the success rate, a maximum for the rest",
    "spec.analysis.metrics[].query": "a PromQL query of your own",
    "spec.analysis.metrics[].templateRef": "the MetricTemplate to use",
    "spec.analysis.metrics[].templateRef.name": "its name",
    "spec.analysis.metrics[].templateRef.namespace": "its namespace; empty: the Canary's",
    "spec.analysis.metrics[].templateVariables": "values for the template's variables",
    "spec.analysis.alerts": "receivers of alerts; refused until notifiers are built",
    "spec.analysis.alerts[].name": "name of the alert",
    "spec.analysis.alerts[].severity": "tell of this severity and above: info, warn or error; empty: info",
    "spec.analysis.alerts[].providerRef": "the AlertProvider to use",
    "spec.analysis.alerts[].providerRef.name": "its name",
    "spec.analysis.alerts[].providerRef.namespace": "its namespace; empty: the Canary's",
    "spec.analysis.webhooks": "hooks, asked in this order",
    "spec.analysis.webhooks[].type": "when it is asked; empty: rollout",
    "spec.analysis.webhooks[].name": "name of the hook in events",
    "spec.analysis.webhooks[].url": "where a POST is sent",
    "spec.analysis.webhooks[].muteAlert": "no alert when the hook refuses",
    "spec.analysis.webhooks[].timeout": "how long an answer may take; empty: 10s",
    "spec.analysis.webhooks[].metadata": "passed on in the payload; for the load tester: type, cmd, …",
    "spec.analysis.webhooks[].retries": "how often a failed call is tried again",
    "spec.analysis.webhooks[].disableTLS": "do not verify the receiver's certificate",
    "spec.analysis.sessionAffinity": "visitors who met the canary keep meeting it (some meshes)",
    "spec.analysis.sessionAffinity.cookieName": "cookie that marks them",
    "spec.analysis.sessionAffinity.primaryCookieName": "cookie that marks those who stay with the primary",
    "spec.analysis.sessionAffinity.maxAge": "how long the cookies last, in seconds",
    "spec.analysis.sessionAffinity.domain": "Domain of the cookies",
    "spec.analysis.sessionAffinity.path": "Path of the cookies",
    "spec.analysis.sessionAffinity.httpOnly": "HttpOnly of the cookies",
    "spec.analysis.sessionAffinity.secure": "Secure of the cookies",
    "spec.analysis.sessionAffinity.partitioned": "Partitioned of the cookies",
    "spec.analysis.sessionAffinity.sameSite": "SameSite of the cookies: Strict, Lax or None",
    "spec.progressDeadlineSeconds": "how long the canary may take to get ready before the release is rolled back",
    "spec.skipAnalysis": "promote new revisions without judging them",
    "spec.revertOnDeletion": "when the Canary is deleted, give the target its traffic and replicas back",
    "spec.suspend": "do nothing until this is false again; traffic stays as it is",
    "status.phase": "where the canary is in its life",
    "status.failedChecks": "failed checks of the current step",
    "status.canaryWeight": "the canary's weight in percent",
    "status.iterations": "rounds done",
    "status.trackedConfigs": "checksums of the ConfigMaps and Secrets that the target uses",
    "status.lastAppliedSpec": "hash of the revision that was last looked at",
    "status.lastPromotedSpec": "hash of the revision that the primary runs",
    "status.lastTransitionTime": "when the phase last changed",
    "status.sessionAffinityCookie": "the cookie of the current release",
    "status.previousSessionAffinityCookie": "the cookie of the release before",
    "status.primarySessionAffinityCookie": "the cookie of those who stay with the primary",
    "status.conditions": (
        "Promoted: the last revision was; Blocked: what has to be mended; Degraded: what is missing; "
        "Halted: what stops the run; RollingBack: a rollback is under way; Judged: when the last judging round ended; "
        "Waiting: what a revision waits for; ScalingDown: the canary's pods are still there after a release"
    ),
    "status.conditions[].type": "Promoted, Blocked, Degraded, Halted, RollingBack, Judged, Waiting or ScalingDown",
    "status.conditions[].status": "True, False or Unknown",
    "status.conditions[].reason": (
        "the phase; of Blocked, Degraded and Halted whose doing it is; of RollingBack the cause: FailedChecks, "
        "RollbackHook, DeadlineExceeded or PromotionFailed"
    ),
    "status.conditions[].message": "the same in words; of Blocked, Degraded and Halted with what to do",
    "status.conditions[].lastUpdateTime": "when it was last written",
    "status.conditions[].lastTransitionTime": "when its status last changed",
}

METRIC_TEMPLATE: Mapping[str, str] = {
    "spec.provider": "where the query is asked",
    "spec.provider.type": "prometheus, or another provider of docs/templates.md",
    "spec.provider.address": "base URL",
    "spec.provider.headers": "headers of each request, by name",
    "spec.provider.secretRef": "the Secret with credentials",
    "spec.provider.secretRef.name": "its name",
    "spec.provider.secretRef.namespace": "must be empty or the template's own",
    "spec.provider.region": "region (CloudWatch)",
    "spec.provider.insecureSkipVerify": "do not verify the provider's certificate",
    "spec.query": "the query, a template (docs/templates.md)",
    "status": "not used",
}

ALERT_PROVIDER: Mapping[str, str] = {
    "spec.type": "slack, msteams, discord, rocket, gchat",
    "spec.address": "URL of the receiver's hook",
    "spec.secretRef": "the Secret whose key address (and token) replaces spec.address",
    "spec.secretRef.name": "its name",
    "spec.secretRef.namespace": "must be empty or the provider's own",
    "spec.channel": "channel",
    "spec.username": "user name that is shown",
    "spec.proxy": "proxy to go through",
    "status": "not used",
}

MEANING: Mapping[str, Mapping[str, str]] = {
    "Canary": CANARY,
    "MetricTemplate": METRIC_TEMPLATE,
    "AlertProvider": ALERT_PROVIDER,
}
