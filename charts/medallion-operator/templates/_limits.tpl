{{- /* Patterns with * as a regular expression in a CEL text. */}}
{{- define "operator.pattern" -}}
{{- $parts := list }}
{{- range . }}{{ $parts = append $parts (regexQuoteMeta . | replace "\\*" ".*") }}{{ end }}
{{- printf "^(%s)$" (join "|" $parts) | toJson }}
{{- end }}

{{- /* What can be limited, and where a Pipeline names it. */}}
{{- define "operator.limited" -}}
topics: >-
  (has(object.spec.kafka.topic) ? [object.spec.kafka.topic] : [])
  + (has(object.spec.kafka.deadLetterTopic) ? [object.spec.kafka.deadLetterTopic] : [])
brokers: object.spec.kafka.bootstrapServers
buckets: "[object.spec.lake.bronze.bucket, object.spec.lake.silver.bucket, object.spec.lake.gold.bucket]"
schemas: >-
  has(object.spec.warehouse) && has(object.spec.warehouse.redshift)
  ? [object.spec.warehouse.redshift.schema] : []
roles: >-
  has(object.spec.warehouse) && has(object.spec.warehouse.redshift)
  ? [object.spec.warehouse.redshift.copyRoleArn] : []
dbtProjects: "has(object.spec.dbt) ? [object.spec.dbt.project] : []"
{{- end }}

{{- /* Number of the first entry of limits whose namespaces match; -1 if none does. */}}
{{- define "operator.entry" -}}
{{- range $number, $limit := .Values.limits -}}
object.metadata.namespace.matches({{ include "operator.pattern" $limit.namespaces }}) ? {{ $number }} : {{ end -}}
-1
{{- end }}
