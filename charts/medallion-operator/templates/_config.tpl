{{- /* The operator's configuration file: what pipelines may use and how workers are run. Secrets never stand here. */}}
{{- define "operator.config" -}}
{{- $workers := dict }}
{{- range $name := list "provisioner" "gateway" "consumer" "exporter" "dbt-runner" "loader" }}
{{- $_ := set $workers $name (index $.Values.workers $name | default dict) }}
{{- end }}
{{- $config := dict
  "images" (dict "workers" (include "operator.image" .) "dbtProjects" .Values.dbtProjects)
  "imagePullPolicy" .Values.image.pullPolicy
  "imagePullSecrets" .Values.imagePullSecrets
  "environment" (merge (dict) .Values.workers.environment (dict "RUST_LOG" .Values.logging.level))
  "serviceAccountPrefix" .Values.workers.serviceAccountPrefix
  "workers" $workers
  "dbtRunner" (dict "memoryBytes" (int64 .Values.dbtRunner.memoryBytes) "threads" (int .Values.dbtRunner.threads))
}}
{{- with .Values.workers.awsCredentialsSecret }}
{{- $_ := set $config "awsCredentialsSecret" . }}
{{- end }}
{{- toPrettyJson $config }}
{{- end }}
