{{- define "operator.chartName" -}}
{{- .Values.nameOverride | default "medallion-operator" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Name of the objects in the release's namespace; room is left for an ending. */}}
{{- define "operator.name" -}}
{{- $name := .Values.fullnameOverride }}
{{- if not $name }}
{{- $release := .Release.Name | replace "." "-" }}
{{- if .Values.nameOverride }}
{{- $name = ternary $release (printf "%s-%s" $release .Values.nameOverride) (contains .Values.nameOverride $release) }}
{{- else }}
{{- $name = printf "%s-operator" (ternary $release (printf "%s-medallion" $release) (contains "medallion" $release)) }}
{{- end }}
{{- end }}
{{- if gt (len $name) 54 }}
{{- $name = printf "%s-%s" ($name | trunc 45 | trimSuffix "-") ($name | sha256sum | trunc 8) }}
{{- end }}
{{- $name }}
{{- end }}

{{- /*
Name of what stands outside the release's namespace, where other releases stand too. A namespace has no dot in its name, so that
no two releases come to the same name.
*/}}
{{- define "operator.outerName" -}}
{{ include "operator.name" . }}.{{ .Release.Namespace }}
{{- end }}

{{- define "operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "operator.name" .) }}
{{- end }}

{{- /* They select the Deployment's pods and can never change. */}}
{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "operator.chartName" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "operator.ownLabels" -}}
{{- $own := include "operator.selectorLabels" . | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/component" "operator" }}
{{- $_ := set $own "app.kubernetes.io/part-of" "medallion" }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- toYaml $own }}
{{- end }}

{{- /* Labels of all objects. Ours win over commonLabels. */}}
{{- define "operator.labels" -}}
{{- merge (include "operator.ownLabels" . | fromYaml) .Values.commonLabels | toYaml }}
{{- end }}

{{- /* Labels of an object, given by root, that has some of its own, given by labels: they win over commonLabels, and ours over both. */}}
{{- define "operator.labelsWith" -}}
{{- merge (include "operator.ownLabels" .root | fromYaml) .labels .root.Values.commonLabels | toYaml }}
{{- end }}

{{- /* The helm test's pod is not to be taken for an operator. */}}
{{- define "operator.testSelectorLabels" -}}
app.kubernetes.io/name: {{ include "operator.chartName" . | trunc 58 }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "operator.testLabels" -}}
{{- $test := include "operator.testSelectorLabels" . | fromYaml }}
{{- $_ := set $test "app.kubernetes.io/component" "test" }}
{{- merge $test (include "operator.labels" . | fromYaml) | toYaml }}
{{- end }}

{{- /* One reference for the operator and the workers: a digest wins over a tag. */}}
{{- define "operator.image" -}}
{{- with .Values.image }}
{{- $name := ternary .repository (printf "%s/%s" (trimSuffix "/" .registry) .repository) (empty .registry) }}
{{- if .digest }}{{ printf "%s@%s" $name .digest }}{{ else }}{{ printf "%s:%s" $name (.tag | default $.Chart.AppVersion) }}{{ end }}
{{- end }}
{{- end }}

{{- define "operator.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "operator.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "operator.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* What Prometheus goes by where nothing better is there. */}}
{{- define "operator.scrapeAnnotations" -}}
prometheus.io/scrape: "true"
prometheus.io/path: /metrics
prometheus.io/port: {{ .port | quote }}
{{- end }}

{{- /* Workers, as the operator names them. */}}
{{- define "operator.workerNames" -}}
[provisioner, gateway, consumer, exporter, dbt-runner, loader, cataloger]
{{- end }}

{{- define "operator.spread" -}}
{{- $ours := dict "matchLabels" (include "operator.selectorLabels" . | fromYaml) }}
{{- $constraints := list }}
{{- range .Values.topologySpreadConstraints }}
{{- $constraints = append $constraints (merge (deepCopy .) (dict "labelSelector" (ternary (dict) $ours (hasKey . "labelSelector")))) }}
{{- end }}
{{- if not $constraints }}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
{{- $constraints = append $constraints (dict "maxSkew" 1 "topologyKey" $key "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" $ours) }}
{{- end }}
{{- end }}
{{- toYaml $constraints }}
{{- end }}
