{{/* Values may lack any table: `--reuse-values` brings those of the release before. So each access is (.Values.a).b. */}}

{{- define "loadtester.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "loadtester.fullname" -}}
{{- $name := include "loadtester.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The one label that the reference's chart selects by: selectors never change. */}}
{{- define "loadtester.selector" -}}
app: {{ include "loadtester.name" . }}
{{- end }}

{{- define "loadtester.labels" -}}
app.kubernetes.io/name: {{ include "loadtester.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ include "loadtester.chart" . }}
{{- end }}

{{- define "loadtester.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* A scalar as text. Whole numbers of a values file are floats: 20261130 must not become 2.026113e+07. */}}
{{- define "loadtester.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* A map of labels, annotations or the like, whose values may be numbers and booleans, as a map of strings. */}}
{{- define "loadtester.strings" -}}
{{- $texts := dict }}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{- $_ := set $texts $key (include "loadtester.text" $value) }}
{{- end }}
{{- end }}
{{- toYaml $texts }}
{{- end }}

{{/* A list of variables or tolerations, whose `value` may be a number or a boolean, with strings. */}}
{{- define "loadtester.list" -}}
{{- $items := list }}
{{- range . }}
{{- $text := include "loadtester.text" .value }}
{{- $items = append $items (ternary . (merge (dict "value" $text) .) (kindIs "invalid" .value)) }}
{{- end }}
{{- toYaml $items }}
{{- end }}

{{/* Whether the values name the image of Flagger's load tester, as its values file does: this chart runs its own. */}}
{{- define "loadtester.replaced" -}}
{{- if regexMatch "^((ghcr|quay|docker)\\.io/)?(fluxcd|weaveworks)/flagger-loadtester$" (toString (.Values.image).repository) }}yes{{ end }}
{{- end }}

{{- define "loadtester.image" -}}
{{- if include "loadtester.replaced" . -}}
pyflagger-loadtester:{{ .Chart.AppVersion }}
{{- else if (.Values.image).digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ default "pyflagger-loadtester" (.Values.image).repository }}:{{ include "loadtester.text" (default .Chart.AppVersion (.Values.image).tag) }}
{{- end }}
{{- end }}

{{/* Names of the user's volumes and paths of their mounts, as keys. */}}
{{- define "loadtester.taken" -}}
{{- range .Values.volumes }}
volume {{ .name }}: true
{{- end }}
{{- range .Values.volumeMounts }}
path {{ .mountPath }}: true
{{- end }}
{{- end }}

{{/* Whether the chart makes an account: for rights of commands, or to ask for TokenReviews. */}}
{{- define "loadtester.owns" -}}
{{- if and (or (.Values.rbac).create (.Values.auth).kubernetes) (not .Values.serviceAccountName) }}yes{{ end }}
{{- end }}

{{- define "loadtester.account" -}}
{{- default (include "loadtester.fullname" .) .Values.serviceAccountName }}
{{- end }}

{{- define "loadtester.args" -}}
- loadtester
- -port=8080
- -log-level={{ default "info" .Values.logLevel }}
- -timeout={{ default "1h" (.Values.cmd).timeout }}
{{- range $flag, $value := dict
  "namespace-regexp" (.Values.cmd).namespaceRegexp
  "namespace-regexp-full-match" (.Values.cmd).namespaceRegexpFullMatch
  "allowed-types" (join "," (default list (.Values.cmd).allowedTypes))
  "allowed-commands" (.Values.cmd).allowedCommands
  "max-tasks" (.Values.cmd).maxTasks
  "gate-auto-close" (.Values.gates).autoClose
  "gate-per-checksum" (.Values.gates).perChecksum
  "kubernetes-auth" (.Values.auth).kubernetes }}
{{- if $value }}
- {{ printf "-%s=%s" $flag (include "loadtester.text" $value) | quote }}
{{- end }}
{{- end }}
{{- if (.Values.auth).kubernetes }}
- {{ printf "-audience=%s" (default "flagger-loadtester" .Values.auth.audience) | quote }}
{{- with (.Values.auth).allowedAccounts }}
- {{ printf "-allowed-accounts=%s" (join "," .) | quote }}
{{- end }}
{{- if (.Values.auth).ownNamespace }}
- -own-namespace=true
{{- end }}
{{- end }}
{{- end }}

{{- define "loadtester.refuse" -}}
{{- if and (.Values.auth).kubernetes (not (.Values.auth).allowedAccounts) (not (.Values.auth).ownNamespace) (not (.Values.auth).tokenSecret) }}
{{- fail "auth.kubernetes lets nobody in: name the operator's account in auth.allowedAccounts, or set auth.ownNamespace" }}
{{- end }}
{{- end }}
