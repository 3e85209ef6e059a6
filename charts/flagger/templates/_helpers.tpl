{{/* The name of the reference's chart, so that its releases can be upgraded to this one: selectors never change. */}}
{{- define "flagger.name" -}}
{{- default "flagger" .Values.nameOverride | trunc 63 | trimSuffix "-" }}
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
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "flagger.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "flagger.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "flagger.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "flagger.prometheus" -}}
{{ include "flagger.fullname" . | trunc 52 | trimSuffix "-" }}-prometheus
{{- end }}

{{/* Fails where a value asks for alerts: flagger does not send them yet, and would refuse to start with them. */}}
{{- define "flagger.unbuilt" -}}
{{- range $path, $value := dict
  "clusterName" .Values.clusterName
  "slack.user" (ternary "" .Values.slack.user (eq (default "flagger" .Values.slack.user) "flagger"))
  "slack.channel" .Values.slack.channel
  "slack.url" .Values.slack.url
  "slack.token" .Values.slack.token
  "slack.proxyUrl" .Values.slack.proxyUrl
  "slack.proxy" .Values.slack.proxy
  "msteams.url" .Values.msteams.url
  "msteams.proxyUrl" .Values.msteams.proxyUrl }}
{{- if $value }}
{{- fail (printf "%s: flagger does not send alerts yet. Remove the value." $path) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Variables that may be secret, as a map; empty ones are left out. */}}
{{- define "flagger.alerts" -}}
{{- $all := dict "EVENT_WEBHOOK_URL" .Values.eventWebhook }}
{{- range $name, $value := $all }}
{{- if $value }}
{{ $name }}: {{ $value | b64enc | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "flagger.args" -}}
- -log-level={{ .Values.logLevel }}
- -zap-encoding={{ .Values.logEncoding }}
- -metrics-server={{ if .Values.prometheus.install }}http://{{ include "flagger.prometheus" . }}:9090{{ else }}{{ .Values.metricsServer }}{{ end }}
- -enable-config-tracking={{ .Values.configTracking.enabled }}
{{- range $flag, $value := dict
  "mesh-provider" .Values.meshProvider
  "namespace" .Values.namespace
  "selector-labels" .Values.selectorLabels
  "include-label-prefix" .Values.includeLabelPrefix
  "ingress-annotations-prefix" .Values.ingressAnnotationsPrefix
  "ingress-class" .Values.ingressClass
  "threadiness" .Values.threadiness
  "kubeconfig-qps" .Values.kubeconfigQPS
  "kubeconfig-burst" .Values.kubeconfigBurst
  "min-interval" .Values.minInterval
  "no-cross-namespace-refs" .Values.noCrossNamespaceRefs
  "idle-at-zero" .Values.idleAtZero }}
{{- if $value }}
- {{ printf "-%s=%v" $flag $value | quote }}
{{- end }}
{{- end }}
{{- if .Values.leaderElection.enabled }}
- -enable-leader-election=true
- -leader-election-namespace={{ .Release.Namespace }}
{{- end }}
{{- if .Values.hookToken.urls }}
- -hook-token-file=/var/run/flagger/token
- {{ printf "-hook-token-urls=%s" (join "," .Values.hookToken.urls) | quote }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* What is refused rather than done halfway. */}}
{{- define "flagger.refuse" -}}
{{- if and (gt (int .Values.leaderElection.replicaCount) 1) (not .Values.leaderElection.enabled) }}
{{- fail "leaderElection.replicaCount is over 1 without leaderElection.enabled: several operators would act at once" }}
{{- end }}
{{- if and .Values.podDisruptionBudget.enabled (not .Values.leaderElection.enabled) }}
{{- fail "podDisruptionBudget.enabled without leaderElection.enabled: with one replica it would only keep nodes from being drained" }}
{{- end }}
{{- if (.Values.controlplane).kubeconfig.secretName }}
{{- fail "controlplane.kubeconfig: flagger does not support a second cluster yet. Remove the value." }}
{{- end }}
{{- if .Values.rbac.pspEnabled }}
{{- fail "rbac.pspEnabled: PodSecurityPolicies are gone since Kubernetes 1.25" }}
{{- end }}
{{- end }}

{{- define "flagger.prometheus.labels" -}}
app.kubernetes.io/name: {{ include "flagger.name" . }}-prometheus
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
