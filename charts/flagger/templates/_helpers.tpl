{{/* Values may lack any table: `--reuse-values` brings those of the release before. So each access is (.Values.a).b. */}}

{{/* The name of Flagger's chart, so that its releases can be upgraded to this one: selectors never change. */}}
{{- define "flagger.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* A scalar as text. Whole numbers of a values file are floats: 20261130 must not become 2.026113e+07. */}}
{{- define "flagger.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* A map of labels, annotations or the like, whose values may be numbers and booleans, as a map of strings. */}}
{{- define "flagger.strings" -}}
{{- $texts := dict }}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{- $_ := set $texts $key (include "flagger.text" $value) }}
{{- end }}
{{- end }}
{{- toYaml $texts }}
{{- end }}

{{/* A list of variables or tolerations, whose `value` may be a number or a boolean, with strings. */}}
{{- define "flagger.list" -}}
{{- $items := list }}
{{- range . }}
{{- $text := include "flagger.text" .value }}
{{- $items = append $items (ternary . (merge (dict "value" $text) .) (kindIs "invalid" .value)) }}
{{- end }}
{{- toYaml $items }}
{{- end }}

{{- define "flagger.fullname" -}}
{{- $name := include "flagger.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "flagger.selector" -}}
app.kubernetes.io/name: {{ include "flagger.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "flagger.labels" -}}
{{ include "flagger.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ include "flagger.chart" . }}
{{- end }}

{{- define "flagger.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "flagger.serviceAccountName" -}}
{{- if ne (toString (.Values.serviceAccount).create) "false" }}
{{- default (include "flagger.fullname" .) (.Values.serviceAccount).name }}
{{- else }}
{{- default "default" (.Values.serviceAccount).name }}
{{- end }}
{{- end }}

{{/* Whether the values name Flagger's own image, as its values file does. This chart runs pyflagger in its place. */}}
{{- define "flagger.replaced" -}}
{{- if regexMatch "^((ghcr|quay|docker)\\.io/)?(fluxcd|weaveworks)/flagger$" (toString (.Values.image).repository) }}yes{{ end }}
{{- end }}

{{- define "flagger.image" -}}
{{- if include "flagger.replaced" . -}}
pyflagger:{{ .Chart.AppVersion }}
{{- else if (.Values.image).digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ default "pyflagger" (.Values.image).repository }}:{{ include "flagger.text" (default .Chart.AppVersion (.Values.image).tag) }}
{{- end }}
{{- end }}

{{- define "flagger.prometheus" -}}
{{ include "flagger.fullname" . | trunc 52 | trimSuffix "-" }}-prometheus
{{- end }}

{{/* Variables that may be secret, as a map; empty ones are left out. */}}
{{- define "flagger.alerts" -}}
{{- $all := dict
  "EVENT_WEBHOOK_URL" .Values.eventWebhook
  "SLACK_URL" (.Values.slack).url
  "SLACK_TOKEN" (.Values.slack).token
  "SLACK_PROXY_URL" (default (.Values.slack).proxy (.Values.slack).proxyUrl)
  "MSTEAMS_URL" (.Values.msteams).url
  "MSTEAMS_PROXY_URL" (default (get (default dict .Values.msteams) "proxy-url") (.Values.msteams).proxyUrl) }}
{{- range $name, $value := $all }}
{{- if $value }}
{{ $name }}: {{ include "flagger.text" $value | b64enc | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* URL of the metrics server. */}}
{{- define "flagger.metrics" -}}
{{- if (.Values.prometheus).install -}}
http://{{ include "flagger.prometheus" . }}:9090
{{- else -}}
{{ default "http://prometheus:9090" .Values.metricsServer }}
{{- end }}
{{- end }}

{{- define "flagger.args" -}}
- -log-level={{ default "info" .Values.logLevel }}
- -zap-encoding={{ default "json" .Values.logEncoding }}
- {{ printf "-metrics-server=%s" (include "flagger.metrics" .) | quote }}
{{- with .Values.configTracking }}
- -enable-config-tracking={{ .enabled }}
{{- end }}
{{- range $flag, $value := dict
  "mesh-provider" .Values.meshProvider
  "namespace" .Values.namespace
  "selector-labels" .Values.selectorLabels
  "include-label-prefix" .Values.includeLabelPrefix
  "ingress-annotations-prefix" .Values.ingressAnnotationsPrefix
  "ingress-class" .Values.ingressClass
  "cluster-name" .Values.clusterName
  "slack-channel" (.Values.slack).channel
  "slack-user" (ternary "" (.Values.slack).user (eq (toString (default "flagger" (.Values.slack).user)) "flagger"))
  "threadiness" .Values.threadiness
  "kubeconfig-qps" .Values.kubeconfigQPS
  "kubeconfig-burst" .Values.kubeconfigBurst
  "min-interval" .Values.minInterval
  "no-cross-namespace-refs" .Values.noCrossNamespaceRefs
  "idle-at-zero" .Values.idleAtZero }}
{{- if $value }}
- {{ printf "-%s=%s" $flag (include "flagger.text" $value) | quote }}
{{- end }}
{{- end }}
{{- if not (has (toString .Values.releaseHistory) (list "" "<nil>" "10")) }}
- {{ printf "-release-history=%s" (toString .Values.releaseHistory) | quote }}
{{- end }}
{{- if eq (toString .Values.publishSettings) "false" }}
- -publish-settings=false
{{- end }}
{{- if eq (toString (.Values.actions).enabled) "false" }}
- "-actions=false"
{{- end }}
{{- if and (.Values.dashboard).enabled (hasPrefix "https://" (toString (.Values.dashboard).publicUrl)) }}
- {{ printf "-dashboard-url=%s" .Values.dashboard.publicUrl | quote }}
{{- end }}
{{- if (.Values.leaderElection).enabled }}
- -enable-leader-election=true
- -leader-election-namespace={{ include "flagger.leaseNamespace" . }}
{{- end }}
{{- if (.Values.hookToken).urls }}
- -hook-token-file=/var/run/flagger/token
- {{ printf "-hook-token-urls=%s" (join "," (.Values.hookToken).urls) | quote }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* What is refused rather than done halfway. */}}
{{- define "flagger.refuse" -}}
{{- if and (gt (int (.Values.leaderElection).replicaCount) 1) (not (.Values.leaderElection).enabled) }}
{{- fail "leaderElection.replicaCount is over 1 without leaderElection.enabled: several operators would act at once. Set leaderElection.enabled=true." }}
{{- end }}
{{- range $name, $value := dict "controlplane" .Values.controlplane "istio" .Values.istio }}
{{- if (($value).kubeconfig).secretName }}
{{- printf "%s.kubeconfig.secretName: flagger writes routing objects to the cluster that it runs in, and to no second one. Remove the value, and run flagger in the cluster of the routing objects." $name | fail }}
{{- end }}
{{- end }}
{{- if (.Values.rbac).pspEnabled }}
{{- fail "rbac.pspEnabled: Kubernetes 1.25 removed PodSecurityPolicies. Remove the value, and label the namespace for Pod Security Admission." }}
{{- end }}
{{- end }}

{{- define "flagger.dashboard" -}}
{{ include "flagger.fullname" . | trunc 53 | trimSuffix "-" }}-dashboard
{{- end }}

{{- define "flagger.dashboard.selector" -}}
app.kubernetes.io/name: {{ include "flagger.name" . }}-dashboard
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "flagger.dashboard.labels" -}}
{{ include "flagger.dashboard.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ include "flagger.chart" . }}
{{- end }}

{{- define "flagger.dashboard.refuse" -}}
{{- if not .Values.dashboard.publicUrl }}
{{- fail "dashboard.enabled needs dashboard.publicUrl, the address that browsers open: it fixes host, origin and cookie. Set it." }}
{{- end }}
{{- if ne (empty .Values.dashboard.trustUserHeaders) (empty .Values.dashboard.trustedProxies) }}
{{- fail "dashboard.trustUserHeaders and dashboard.trustedProxies need each other: without the addresses of the proxies everybody could send these headers. Set both." }}
{{- end }}
{{- end }}

{{/* Labels that the Prometheus objects of Flagger's chart select by: they never change either. */}}
{{- define "flagger.prometheus.labels" -}}
app.kubernetes.io/name: {{ include "flagger.name" . }}-prometheus
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Where the Lease is. With -namespace the operator looks there, as Flagger does. */}}
{{- define "flagger.leaseNamespace" -}}
{{- .Values.namespace | default .Release.Namespace }}
{{- end }}
