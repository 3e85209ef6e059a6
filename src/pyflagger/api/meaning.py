"""The description of each field of the three kinds, by path. `[]` stands for the items of a list.

`api.crds` writes these descriptions into the CRDs (`kubectl explain`), and `docs/canary.md` shows them in its tables. A
field that only some providers use names them.
"""

from __future__ import annotations

from collections.abc import Mapping

_REFERENCE = {
    "apiVersion": "API version of the object",
    "kind": "kind of the object",
    "name": "name of the object",
    "namespace": "the Canary's namespace; flagger ignores other values, except for cross-namespace references",
}


def _reference(path: str, text: str) -> dict[str, str]:
    """The descriptions of a typed reference and its fields."""
    return {path: text, **{f"{path}.{part}": meaning for part, meaning in _REFERENCE.items()}}


_MATCH = {
    "exact": "the whole value",
    "prefix": "the start of the value (meshes)",
    "suffix": "the end of the value (meshes)",
    "regex": "a regular expression that matches the whole value",
}


def _matched(path: str, text: str) -> dict[str, str]:
    """The descriptions of a map of conditions and of the four kinds of condition."""
    return {path: text, **{f"{path}.*.{way}": meaning for way, meaning in _MATCH.items()}}


CANARY: Mapping[str, str] = {
    "spec.provider": "the provider that splits traffic (default: the operator's -mesh-provider)",
    "spec.metricsServer": "base URL of Prometheus for this canary's checks (default: the operator's -metrics-server)",
    **_reference("spec.targetRef", "the workload to release; a change of its pod template starts a release"),
    **_reference("spec.autoscalerRef", "the target's autoscaler; the primary gets a copy"),
    "spec.autoscalerRef.primaryScalerQueries": "queries of the primary's autoscaler, by trigger name (KEDA)",
    "spec.autoscalerRef.primaryScalerReplicas": "overrides for the bounds of the primary's autoscaler",
    "spec.autoscalerRef.primaryScalerReplicas.minReplicas": "minimum number of the primary's replicas",
    "spec.autoscalerRef.primaryScalerReplicas.maxReplicas": "maximum number of the primary's replicas",
    **_reference("spec.ingressRef", "the Ingress that visitors use (providers nginx and skipper)"),
    **_reference(
        "spec.routeRef",
        "the route that visitors use; flagger copies it (apisix), or adopts it and sets its weights",
    ),
    **_reference("spec.upstreamRef", "the Upstream whose settings flagger copies (provider gloo)"),
    "spec.service": "the generated Services, and settings of the route",
    "spec.service.name": "name of the Service that visitors use (default: the target's name)",
    "spec.service.port": "port of the generated Services",
    "spec.service.portName": "name of that port (default: http)",
    "spec.service.targetPort": "number or name of the container's port (default: the value of port)",
    "spec.service.appProtocol": "application protocol of the port",
    "spec.service.trafficDistribution": "traffic distribution of the generated Services",
    "spec.service.ports": "additional ports, routed with the same weights in the same step",
    "spec.service.ports[].name": "name of the port",
    "spec.service.ports[].port": "port of the generated Services",
    "spec.service.ports[].targetPort": "number or name of the container's port (default: the value of port)",
    "spec.service.ports[].appProtocol": "application protocol of the port",
    "spec.service.portDiscovery": "add the other ports of the containers to the Services",
    "spec.service.headless": "generate headless Services",
    "spec.service.timeout": "timeout of a request (meshes)",
    "spec.service.backendTimeout": "timeout of a request to a backend (Gateway API)",
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
    "spec.service.match": "requests that the route matches (meshes)",
    "spec.service.rewrite": "changes to the path and host of requests (meshes)",
    "spec.service.rewrite.uri": "the new path",
    "spec.service.rewrite.authority": "the new host",
    "spec.service.rewrite.type": "ReplaceFullPath or ReplacePrefixMatch (Gateway API)",
    "spec.service.retries": "retries of failed requests (meshes)",
    "spec.service.retries.attempts": "maximum number of retries",
    "spec.service.retries.perTryTimeout": "timeout of each attempt",
    "spec.service.retries.retryOn": "failures that trigger a retry",
    "spec.service.headers": "changes to the headers of requests and responses (meshes)",
    "spec.service.mirror": "mirror filters of the route (Gateway API)",
    "spec.service.corsPolicy": "CORS policy of the route (meshes)",
    "spec.service.meshName": "name of the mesh (App Mesh)",
    "spec.service.backends": "backends of the virtual node (App Mesh)",
    "spec.service.apex": "metadata of the Service that visitors use",
    "spec.service.primary": "metadata of the primary's Service",
    "spec.service.canary": "metadata of the canary's Service",
    **{
        f"spec.service.{which}.{part}": f"{part} to add to that Service"
        for which in ("apex", "primary", "canary")
        for part in ("labels", "annotations")
    },
    "spec.service.unmanagedMetadata": "metadata of the generated objects that flagger does not change",
    "spec.service.unmanagedMetadata.labels": "keys of labels that flagger does not change",
    "spec.service.unmanagedMetadata.annotations": "keys of annotations that flagger does not change",
    "spec.analysis": "the steps and checks of a release",
    "spec.analysis.interval": "how long flagger holds each step before it judges it, such as 30s or 1m; at least 10s",
    "spec.analysis.threshold": "number of failed checks that causes a rollback",
    "spec.analysis.counting": (
        "cumulative (the default): the threshold counts all failed checks of a run; consecutive: it counts those in a "
        "row, and a passed round sets the count to 0"
    ),
    "spec.analysis.iterations": "number of rounds of an A/B or blue/green release (default: a release by weights)",
    "spec.analysis.maxWeight": "the canary's highest weight in percent (default: 100)",
    "spec.analysis.stepWeight": "percentage that each step adds to the weight",
    "spec.analysis.stepWeights": "the weight of each step in percent, ascending; takes precedence over stepWeight",
    "spec.analysis.stepWeightPromotion": (
        "percentage of traffic that each step of the promotion returns to the primary (default: all at once)"
    ),
    "spec.analysis.mirror": "mirror requests to the canary first, if the provider supports it",
    "spec.analysis.mirrorWeight": "percentage of requests to mirror",
    "spec.analysis.primaryReadyThreshold": "percentage of the primary's pods that must be ready",
    "spec.analysis.canaryReadyThreshold": "percentage of the canary's pods that must be ready",
    "spec.analysis.match": "A/B testing: the canary gets requests that match any item",
    "spec.analysis.testers": "in a release by weights, the canary always gets requests that match any item",
    **{
        path: text
        for field in ("match", "testers")
        for path, text in (
            *_matched(
                f"spec.analysis.{field}[].headers",
                "headers by name, including cookie; each has exact, prefix, suffix or regex",
            ).items(),
            *_matched(f"spec.analysis.{field}[].queryParams", "query parameters by name (Gateway API, Istio)").items(),
            (f"spec.analysis.{field}[].sourceLabels", "labels of the calling workload (Istio)"),
        )
    },
    "spec.analysis.metrics": "metric checks, evaluated in this order",
    "spec.analysis.metrics[].name": "request-success-rate, request-duration, or a name of your own",
    "spec.analysis.metrics[].interval": "time window of the query (default: 1m)",
    "spec.analysis.metrics[].thresholdRange": "the accepted range",
    "spec.analysis.metrics[].thresholdRange.min": "lowest accepted value",
    "spec.analysis.metrics[].thresholdRange.max": "highest accepted value",
    "spec.analysis.metrics[].threshold": "deprecated: the minimum success rate, or the maximum of another metric",
    "spec.analysis.metrics[].query": "a PromQL query of your own",
    "spec.analysis.metrics[].templateRef": "the MetricTemplate to use",
    "spec.analysis.metrics[].templateRef.name": "name of the MetricTemplate",
    "spec.analysis.metrics[].templateRef.namespace": "its namespace (default: the Canary's)",
    "spec.analysis.metrics[].templateVariables": "values for the template's variables",
    "spec.analysis.metrics[].noData": (
        "what an answer without values does: fail (the default) is a failed check, wait holds the step until "
        "noDataAfter and then fails, pass holds it until noDataAfter and then passes"
    ),
    "spec.analysis.metrics[].noDataAfter": (
        "how long noData holds the step, from the first round without values "
        "(default: ten intervals of the analysis for wait, 0 for pass)"
    ),
    "spec.analysis.metrics[].minSamples": "number of samples below which a value counts as no data (default: 0)",
    "spec.analysis.metrics[].samplesQuery": (
        "query for the number of samples, at the same provider; built-in metrics count their requests themselves"
    ),
    "spec.analysis.metrics[].errorLimit": (
        "number of provider errors in a row that hold the step without a failed check (default: 0)"
    ),
    "spec.analysis.metrics[].dryRun": "ask for, judge and show the metric, but let the release continue in any case",
    "spec.analysis.metrics[].initialDelay": "do not ask for the metric before a run has lasted this long",
    "spec.analysis.metrics[].compare": (
        "judge a built-in metric by the requests of the primary in the same time (docs/how-to/compare.md); the limits "
        "of the metric then only judge rounds in which one side has no data"
    ),
    "spec.analysis.metrics[].compare.margin": (
        "how many times the primary's odds of a bad request the canary may have (default: 1.25)"
    ),
    "spec.analysis.metrics[].compare.unit": (
        "errors of one unit of time count as one draw, so it must outlast a burst of errors (default: 30s)"
    ),
    "spec.analysis.metrics[].compare.minErrors": (
        "bad requests of the canary below which the comparison never rolls back (default: 2)"
    ),
    "spec.analysis.metrics[].compare.warmUp": "requests so soon after the first weight do not count (default: 30s)",
    "spec.analysis.bake": (
        "judge the primary for some time after a promotion, and undo a release that fails there (docs/how-to/bake.md)"
    ),
    "spec.analysis.bake.duration": "how long",
    "spec.analysis.bake.threshold": "number of failed checks in a row that undo the release (default: 3)",
    "spec.analysis.compare": "settings of all comparisons of a release",
    "spec.analysis.compare.alpha": (
        "highest probability that the comparisons of a release together roll back a canary within the margin "
        "(default: 0.01)"
    ),
    "spec.analysis.alerts": "receivers of alerts; they replace the one of the flags (docs/alerts.md)",
    "spec.analysis.alerts[].name": "name of the alert",
    "spec.analysis.alerts[].severity": "lowest severity to send: info, warn or error (default: info)",
    "spec.analysis.alerts[].providerRef": "the AlertProvider to use",
    "spec.analysis.alerts[].providerRef.name": "name of the AlertProvider",
    "spec.analysis.alerts[].providerRef.namespace": "its namespace (default: the Canary's)",
    "spec.analysis.webhooks": "webhooks, called in this order",
    "spec.analysis.webhooks[].type": "when flagger calls the webhook (default: rollout)",
    "spec.analysis.webhooks[].name": "name of the webhook in events",
    "spec.analysis.webhooks[].url": "URL of the POST request",
    "spec.analysis.webhooks[].muteAlert": "send no alert while this gate is closed",
    "spec.analysis.webhooks[].timeout": "timeout of each attempt (default: 10s)",
    "spec.analysis.webhooks[].metadata": (
        "entries that flagger sends in the payload; for the load tester: type, cmd, …; for a gate: deadline and default"
    ),
    "spec.analysis.webhooks[].retries": "number of times to retry a failed call",
    "spec.analysis.webhooks[].disableTLS": "do not verify the server's certificate",
    "spec.analysis.sessionAffinity": "keep visitors on the canary once they reached it (some meshes)",
    "spec.analysis.sessionAffinity.cookieName": "name of the cookie that keeps visitors on the canary",
    "spec.analysis.sessionAffinity.primaryCookieName": "name of the cookie that keeps visitors on the primary",
    "spec.analysis.sessionAffinity.maxAge": "lifetime of the cookies in seconds",
    "spec.analysis.sessionAffinity.domain": "Domain attribute of the cookies",
    "spec.analysis.sessionAffinity.path": "Path attribute of the cookies",
    "spec.analysis.sessionAffinity.httpOnly": "HttpOnly attribute of the cookies",
    "spec.analysis.sessionAffinity.secure": "Secure attribute of the cookies",
    "spec.analysis.sessionAffinity.partitioned": "Partitioned attribute of the cookies",
    "spec.analysis.sessionAffinity.sameSite": "SameSite attribute of the cookies: Strict, Lax or None",
    "spec.progressDeadlineSeconds": "seconds that the canary may take to become ready before flagger rolls it back",
    "spec.skipAnalysis": "promote new revisions without analysis",
    "spec.revertOnDeletion": "restore the target's traffic and replicas when the Canary is deleted",
    "spec.suspend": "pause reconciliation; traffic stays as it is",
    "status.phase": "phase of the canary",
    "status.failedChecks": "number of failed checks in the current run",
    "status.canaryWeight": "the canary's weight in percent",
    "status.iterations": "number of completed iterations",
    "status.trackedConfigs": "checksums of the ConfigMaps and Secrets that the target uses",
    "status.lastAppliedSpec": "hash of the last revision that flagger processed",
    "status.lastPromotedSpec": "hash of the revision that the primary runs",
    "status.lastTransitionTime": "when the phase last changed",
    "status.sessionAffinityCookie": "the cookie that keeps visitors on the canary in the current release",
    "status.previousSessionAffinityCookie": "the canary cookie of the previous release",
    "status.primarySessionAffinityCookie": "the cookie that keeps visitors on the primary",
    "status.conditions": (
        "Promoted: whether the last revision was promoted; Blocked: a problem that you must fix first; "
        "Degraded: something of the primary is missing; Halted: the reason why the run does not advance; "
        "RollingBack: a rollback is in progress; Judged: the time at which the last round ended, and its results; "
        "Waiting: what a release stands for; ScalingDown: the canary's pods still run after a release; "
        "Alerted: whether the last alert is sent; "
        "SameRevision: the hashes of Flagger and of this operator for one revision"
    ),
    "status.conditions[].type": (
        "Promoted, Blocked, Degraded, Halted, RollingBack, Judged, Waiting, ScalingDown, Alerted or SameRevision"
    ),
    "status.conditions[].status": "True, False or Unknown",
    "status.conditions[].reason": (
        "Promoted: the phase; Blocked, Degraded and Halted: whose problem it is; RollingBack: the cause, which is "
        "FailedChecks, WorseThanPrimary, RollbackHook, DeadlineExceeded or PromotionFailed; Alerted: Sending, Sent or "
        "Dropped"
    ),
    "status.conditions[].message": (
        "a description; for Blocked, Degraded and Halted with advice; for Alerted the alerts"
    ),
    "status.conditions[].lastUpdateTime": "when flagger last wrote the condition",
    "status.conditions[].lastTransitionTime": "when the condition's status last changed",
    "status.release": "the last release, for people",
    "status.release.number": "its number, which counts up from 1 for each canary",
    "status.release.promoted": "the release that the primary runs",
    "status.release.previous": "the release that the primary ran before; 0 if there is none",
    "status.release.images": "the images that it changes, four at most",
    "status.release.images[].container": "name of the container",
    "status.release.images[].old": "image of the primary",
    "status.release.images[].new": "image of the canary",
    "status.round": "the results of the last judged round, for people",
    "status.round.weight": "the canary's weight in that round, in percent",
    "status.round.iteration": "the number of iterations completed before that round",
    "status.round.checks": "the results of the metrics, in order",
    "status.round.checks[].name": "name of the metric",
    "status.round.checks[].value": "the value, in the unit of the metric; missing without a value",
    "status.round.checks[].verdict": (
        "pass, bad, no-data, error, or unknown: a metric that was not due, or a comparison that needs more evidence"
    ),
    "status.round.checks[].text": "why it does not pass",
    "status.round.checks[].primary": "the primary's value, beside a built-in metric that does not pass",
    "status.round.checks[].evidence": "evidence of a comparison that the canary is worse: 34 means 34:1",
    "status.bake": "the time after the last promotion in which flagger judges the primary",
    "status.bake.until": "its end",
    "status.bake.failed": "failed checks in a row so far",
    "status.comparisons": "the comparisons of canary and primary in this release",
    "status.comparisons[].name": "name of the metric",
    "status.comparisons[].until": "end of the last counted unit, in seconds since the epoch",
    "status.comparisons[].wealth": "logarithm of the money on each alternative",
    "status.comparisons[].reserve": "logarithm of the money that is not bet yet",
    "status.comparisons[].canary": "requests of the canary in all counted units",
    "status.comparisons[].canary.bad": "how many of them were bad",
    "status.comparisons[].canary.requests": "how many there were",
    "status.comparisons[].primary": "requests of the primary in all counted units",
    "status.comparisons[].primary.bad": "how many of them were bad",
    "status.comparisons[].primary.requests": "how many there were",
    "status.comparisons[].odds": "two sums whose ratio estimates the odds ratio of canary to primary",
    "status.comparisons[].units": "number of counted units",
    "status.comparisons[].blind": "units in a row without requests on one side",
    "status.comparisons[].bound": "bound of the bucket above which a request is slow, as its label le has it",
    "status.comparisons[].limit": "the same bound in seconds",
    "status.round.hooks": "the results of the hooks, in order",
    "status.round.hooks[].name": "name of the hook",
    "status.round.hooks[].verdict": "pass or refused",
    "status.round.hooks[].text": "the answer of a hook that refused",
    "status.operator": "the operator that wrote the status, for people",
    "status.operator.version": "its version",
    "status.operator.identity": "its identity in the Lease",
    "status.operator.provider": "its default traffic provider",
    "status.operator.interval": "the shortest interval between rounds that it allows",
    "status.operator.settings": "namespace of the ConfigMap flagger-operator, in which it publishes its settings",
    "status.hold": "the pause that holds the release, or the next one",
    "status.hold.by": "who asked for it",
    "status.hold.reason": "why",
    "status.hold.since": "when it began",
    "status.hold.until": "when it ends; without it, it has no end",
    "status.hold.then": "what follows its end: resume or abort",
    "status.hold.onFailure": "what follows too many failed checks: rollback, or hold, which only counts them",
    "status.hold.uid": "uid of its action",
    "status.gates": "the gates that people or deadlines decided, and those with a deadline, by name of the webhook",
    "status.gates.*.state": "open or closed; missing while the answer of the webhook decides",
    "status.gates.*.by": "who asked for it, or: its deadline",
    "status.gates.*.revision": "checksum of the only revision that it is about",
    "status.gates.*.since": "when a gate with a deadline first held this revision",
    "status.again": "checksum of the failed revision that flagger releases again",
    "status.promote": "a promotion that a person asked for, until the copy",
    "status.promote.by": "who asked for it",
    "status.promote.full": "promote without further analysis",
    "status.promote.revision": "checksum of the only revision that it is about",
    "status.undo": "a release that flagger undoes, until the primary is ready",
    "status.undo.to": "the release whose pod template the primary gets",
    "status.undo.from": "the release that the primary ran before",
    "status.undo.revision": "hash of that pod template",
    "status.undo.by": "who asked for it",
    "status.undo.failed": "why the primary gets the pod template of `from` again",
    "status.lastAction": "the last action and its result",
    "status.lastAction.uid": "uid of the CanaryAction",
    "status.lastAction.action": "what was asked for, such as pause",
    "status.lastAction.by": "who asked for it",
    "status.lastAction.reason": "why",
    "status.lastAction.at": "when flagger answered it",
    "status.lastAction.result": "Done, Refused or Expired",
    "status.lastAction.code": "code of the answer, which is stable",
    "status.lastAction.text": "the answer in words",
}

METRIC_TEMPLATE: Mapping[str, str] = {
    "spec.provider": "the server that answers the query",
    "spec.provider.type": "prometheus, or another metric provider (docs/templates.md)",
    "spec.provider.address": "base URL of the server",
    "spec.provider.headers": "headers to add to each request, by name",
    "spec.provider.secretRef": "the Secret with credentials",
    "spec.provider.secretRef.name": "name of the Secret",
    "spec.provider.secretRef.namespace": "must be empty or the template's namespace",
    "spec.provider.region": "region (CloudWatch)",
    "spec.provider.insecureSkipVerify": "do not verify the server's certificate",
    "spec.query": "the query, a template (docs/templates.md)",
    "status": "not used",
}

ALERT_PROVIDER: Mapping[str, str] = {
    "spec.type": "the kind of receiver, such as slack or msteams (docs/alerts.md)",
    "spec.address": "URL of the receiver's webhook",
    "spec.secretRef": "the Secret whose keys address and token replace spec.address",
    "spec.secretRef.name": "name of the Secret",
    "spec.secretRef.namespace": "must be empty or the AlertProvider's namespace",
    "spec.channel": "channel of the messages",
    "spec.username": "user name of the messages",
    "spec.proxy": "URL of an HTTP proxy",
    "spec.template": "text of the messages, a template (docs/alerts.md); default: flagger's own text",
    "status": "not used",
}

CANARY_RELEASE: Mapping[str, str] = {
    "spec.number": "number of the release, which counts up from 1 for each canary",
    "spec.canary": "name of the Canary",
    "spec.target": "kind and name of the target",
    "spec.revision": "hash of the target's pod template",
    "spec.startedAt": "when the release began",
    "spec.from": "the release that the primary ran",
    "spec.from.number": "its number",
    "spec.from.revision": "its revision",
    "spec.images": "the images that it changes",
    "spec.images[].container": "name of the container",
    "spec.images[].old": "image of the primary",
    "spec.images[].new": "image of the canary",
    "spec.changes": "paths of the pod template that it changes, without values",
    "spec.cause": "template, configs with names, initial or adopted, and the target's kubernetes.io/change-cause",
    "spec.plan": "the plan at the start",
    "spec.plan.strategy": "canary, ab-testing or blue-green",
    "spec.plan.provider": "traffic provider",
    "spec.plan.interval": "time between rounds",
    "spec.plan.threshold": "failed checks that end the release",
    "spec.plan.weights": "weights of the canary, in percent",
    "spec.plan.iterations": "iterations of A/B tests and blue/green releases",
    "spec.plan.promotion": "weights of the primary while traffic returns to it in steps",
    "spec.plan.skip": "true: without analysis",
    "spec.checks": "the metric checks",
    "spec.checks[].name": "name of the metric",
    "spec.checks[].source": "builtin, query or template",
    "spec.checks[].query": "the inline query, as in the manifest",
    "spec.checks[].window": "the time that the query covers",
    "spec.checks[].min": "lowest accepted value",
    "spec.checks[].max": "highest accepted value",
    "spec.hooks": "the hooks",
    "spec.hooks[].name": "name of the hook",
    "spec.hooks[].type": "type of the hook",
    "spec.hooks[].url": "its URL, without user and query",
    "status.outcome": "how the release ended; Running while it is under way",
    "status.finishedAt": "when it ended",
    "status.took": "how long it took",
    "status.weight": "the highest weight of the canary, in percent",
    "status.failedChecks": "failed checks at the end",
    "status.reason": "why it ended",
    "status.reason.code": "code of the reason, which is stable",
    "status.reason.text": "the reason in words",
    "status.reason.todo": "what you can do",
    "status.reason.fault": "whose problem it is; missing for normal progress",
    "status.rounds": "the judged rounds: the first 20 and the last 180",
    "status.rounds[].at": "when the round was judged",
    "status.rounds[].weight": "the canary's weight in that round, in percent",
    "status.rounds[].iteration": "the number of iterations completed before that round",
    "status.rounds[].checks": "the results of the metrics, in order",
    "status.rounds[].checks[].name": "name of the metric",
    "status.rounds[].checks[].value": "the value, in the unit of the metric; missing without a value",
    "status.rounds[].checks[].verdict": (
        "pass, bad, no-data, error, or unknown: a metric that was not due, or a comparison that needs more evidence"
    ),
    "status.rounds[].checks[].text": "why it does not pass",
    "status.rounds[].checks[].evidence": "evidence of a comparison that the canary is worse: 34 means 34:1",
    "status.rounds[].checks[].primary": "the primary's value, beside a built-in metric that does not pass",
    "status.rounds[].hooks": "the results of the hooks, in order",
    "status.rounds[].hooks[].name": "name of the hook",
    "status.rounds[].hooks[].verdict": "pass or refused",
    "status.rounds[].hooks[].text": "the answer of a hook that refused",
    "status.rounds[].end": "what followed: advanced, held, halted, gate or promoted",
    "status.rounds[].gap": "no round, but the start and end of a time whose rounds are lost",
    "status.skipped": "the number of rounds between the first and the last ones, which are not kept",
    "status.actions": "the last 50 actions on the release, also those of a deadline",
    "status.actions[].action": "what was asked for, such as pause or promote-full",
    "status.actions[].by": "who asked for it, or: its deadline",
    "status.actions[].reason": "the reason that was given",
    "status.actions[].via": "the client that was used, such as cli or dashboard",
    "status.actions[].at": "when flagger answered",
    "status.actions[].result": "Done, Refused or Expired",
    "status.actions[].text": "the answer in words",
    "status.waits": "the waits for pods, routes and gates",
    "status.waits[].code": "what the release waited for, such as CanaryNotReady or GateClosed",
    "status.waits[].text": "the wait in words",
    "status.waits[].from": "its start",
    "status.waits[].to": "its end",
    "status.replicas": "the number of pods that the primary had when the release ended",
    "status.template": "the target's pod template as promoted, if it is at most 128 KiB",
    "status.templateOmitted": "why there is no template",
}

CANARY_ACTION: Mapping[str, str] = {
    "spec": "what is asked for; it is never changed",
    "spec.canary": "name of the Canary, in the same namespace",
    "spec.action": "promote, pause, resume, abort, retry, restart, weight, undo, open-gate or close-gate",
    "spec.by": "the user; the policy of kustomize/components/action-policy allows only the authenticated one",
    "spec.reason": "why",
    "spec.via": "what created the request: cli, dashboard, api, or a word of your own",
    "spec.revision": "the revision that is meant; if the target has another one by then, the request is refused",
    "spec.expires": "until when the operator may take it; default 10 minutes after its creation, at most 24 hours",
    "spec.full": "of promote: whatever the checks say",
    "spec.weight": "of weight: the weight of the canary, in percent",
    "spec.hold": "of weight: pause at that weight",
    "spec.to": "of undo: number of the release that the primary runs again; default: the one before",
    "spec.gate": "of open-gate and close-gate: name of the hook",
    "spec.until": "of pause: when it ends by itself; default: never",
    "spec.then": "of pause: what follows when it ends by itself, resume or abort; default resume",
    "spec.onFailure": "of pause: what failed checks do meanwhile, rollback or hold; default rollback",
    "status.state": "Done, Refused or Expired; missing until the operator decides. Done: it acts on the request",
    "status.code": "code of a refusal, which is stable",
    "status.text": "what the operator does, or why it refuses",
    "status.at": "when the operator decided",
    "status.operator": "identity of the operator that decided",
    "status.release": "number of the release that the request was for",
}

MEANING: Mapping[str, Mapping[str, str]] = {
    "Canary": CANARY,
    "MetricTemplate": METRIC_TEMPLATE,
    "AlertProvider": ALERT_PROVIDER,
    "CanaryRelease": CANARY_RELEASE,
    "CanaryAction": CANARY_ACTION,
}
