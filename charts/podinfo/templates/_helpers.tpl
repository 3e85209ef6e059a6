{{/* Values may lack any table: `--reuse-values` brings those of the release before. So each access is (.Values.a).b. */}}

{{- define "podinfo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "podinfo.fullname" -}}
{{- $name := include "podinfo.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "podinfo.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "podinfo.labels" -}}
app: {{ include "podinfo.name" . }}
chart: {{ include "podinfo.chart" . }}
release: {{ .Release.Name }}
heritage: {{ .Release.Service }}
{{- end }}

{{/* The one label that Flagger's chart selects by: selectors never change. */}}
{{- define "podinfo.selector" -}}
app: {{ include "podinfo.fullname" . }}
{{- end }}

{{- define "podinfo.port" -}}
{{ int (default 9898 (.Values.service).port) }}
{{- end }}

{{/* A scalar as text. Whole numbers of a values file are floats: 20261130 must not become 2.026113e+07. */}}
{{- define "podinfo.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* A map of annotations or the like, whose values may be numbers and booleans, as a map of strings. */}}
{{- define "podinfo.strings" -}}
{{- $texts := dict }}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{- $_ := set $texts $key (include "podinfo.text" $value) }}
{{- end }}
{{- end }}
{{- toYaml $texts }}
{{- end }}

{{/* A list of variables or tolerations, whose `value` may be a number or a boolean, with strings. */}}
{{- define "podinfo.list" -}}
{{- $items := list }}
{{- range . }}
{{- $text := include "podinfo.text" .value }}
{{- $items = append $items (ternary . (merge (dict "value" $text) .) (kindIs "invalid" .value)) }}
{{- end }}
{{- toYaml $items }}
{{- end }}
