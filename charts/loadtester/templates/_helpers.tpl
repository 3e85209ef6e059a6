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
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "loadtester.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* Whether the chart makes an account: for rights of commands, or to ask for TokenReviews. */}}
{{- define "loadtester.owns" -}}
{{- if and (or .Values.rbac.create .Values.auth.kubernetes) (not .Values.serviceAccountName) }}yes{{ end }}
{{- end }}

{{- define "loadtester.account" -}}
{{- default (include "loadtester.fullname" .) .Values.serviceAccountName }}
{{- end }}

{{- define "loadtester.args" -}}
- loadtester
- -port=8080
- -log-level={{ .Values.logLevel }}
- -timeout={{ .Values.cmd.timeout }}
{{- range $flag, $value := dict
  "namespace-regexp" .Values.cmd.namespaceRegexp
  "namespace-regexp-full-match" .Values.cmd.namespaceRegexpFullMatch
  "allowed-types" (join "," .Values.cmd.allowedTypes)
  "allowed-commands" .Values.cmd.allowedCommands
  "max-tasks" .Values.cmd.maxTasks
  "gate-auto-close" .Values.gates.autoClose
  "gate-per-checksum" .Values.gates.perChecksum
  "kubernetes-auth" .Values.auth.kubernetes }}
{{- if $value }}
- {{ printf "-%s=%v" $flag $value | quote }}
{{- end }}
{{- end }}
{{- if .Values.auth.kubernetes }}
- {{ printf "-audience=%s" .Values.auth.audience | quote }}
{{- with .Values.auth.allowedAccounts }}
- {{ printf "-allowed-accounts=%s" (join "," .) | quote }}
{{- end }}
{{- if .Values.auth.ownNamespace }}
- -own-namespace=true
{{- end }}
{{- end }}
{{- end }}

{{- define "loadtester.refuse" -}}
{{- if and .Values.auth.kubernetes (not .Values.auth.allowedAccounts) (not .Values.auth.ownNamespace) (not .Values.auth.tokenSecret) }}
{{- fail "auth.kubernetes lets nobody in: name the operator's account in auth.allowedAccounts, or set auth.ownNamespace" }}
{{- end }}
{{- if or (.Values.istio).enabled (.Values.appmesh).enabled .Values.meshName }}
{{- fail "istio, appmesh, meshName: this chart makes no objects of a mesh; route to the Service by objects of your own" }}
{{- end }}
{{- end }}
