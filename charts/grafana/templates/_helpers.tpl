{{/* Values may lack any table: `--reuse-values` brings those of the release before. So each access is (.Values.a).b. */}}

{{- define "grafana.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "grafana.fullname" -}}
{{- $name := include "grafana.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "grafana.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "grafana.labels" -}}
app: {{ include "grafana.fullname" . }}
chart: {{ include "grafana.chart" . }}
release: {{ .Release.Name }}
heritage: {{ .Release.Service }}
{{- end }}

{{/* The labels that Flagger's chart selects by: selectors never change. */}}
{{- define "grafana.selector" -}}
app: {{ include "grafana.fullname" . }}
release: {{ .Release.Name }}
{{- end }}

{{/* The Secret of the user who may log in; empty when nobody may. */}}
{{- define "grafana.secret" -}}
{{- if .Values.existingSecret }}
{{- .Values.existingSecret }}
{{- else if .Values.password }}
{{- include "grafana.fullname" . }}
{{- end }}
{{- end }}

{{/* A scalar as text. Whole numbers of a values file are floats: 20261130 must not become 2.026113e+07. */}}
{{- define "grafana.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* A map of annotations or the like, whose values may be numbers and booleans, as a map of strings. */}}
{{- define "grafana.strings" -}}
{{- $texts := dict }}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{- $_ := set $texts $key (include "grafana.text" $value) }}
{{- end }}
{{- end }}
{{- toYaml $texts }}
{{- end }}

{{/* A list of variables or tolerations, whose `value` may be a number or a boolean, with strings. */}}
{{- define "grafana.list" -}}
{{- $items := list }}
{{- range . }}
{{- $text := include "grafana.text" .value }}
{{- $items = append $items (ternary . (merge (dict "value" $text) .) (kindIs "invalid" .value)) }}
{{- end }}
{{- toYaml $items }}
{{- end }}
