{{- define "operator.name" -}}
{{- if contains "medallion" .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-medallion" .Release.Name }}{{ end }}-operator
{{- end }}

{{- define "operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "operator.name" .) }}
{{- end }}

{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: medallion-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: medallion
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* One reference for the operator and the workers: a digest wins over a tag. */}}
{{- define "operator.image" -}}
{{- with .Values.image }}
{{- $name := ternary .repository (printf "%s/%s" (trimSuffix "/" .registry) .repository) (empty .registry) }}
{{- if .digest }}{{ printf "%s@%s" $name .digest }}{{ else }}{{ printf "%s:%s" $name (.tag | default $.Chart.AppVersion) }}{{ end }}
{{- end }}
{{- end }}
