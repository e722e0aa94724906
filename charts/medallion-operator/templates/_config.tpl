{{- /* The operator's configuration file: what pipelines may use and how workers are run. Secrets never stand here. */}}
{{- define "operator.config" -}}
{{- $sizes := dict }}
{{- range $name, $size := .Values.sizes }}
{{- if kindIs "map" $size }}
{{- $dbt := $size.dbt | default dict }}
{{- $_ := set $sizes $name (dict
  "resources" (include "operator.quantities" ($size.resources | default dict) | fromJson)
  "nodeSelector" ($size.nodeSelector | default dict)
  "tolerations" ($size.tolerations | default list)
  "dbt" (dict "memoryBytes" (int64 ($dbt.memoryBytes | default 536870912)) "threads" (int ($dbt.threads | default 1)))
) }}
{{- end }}
{{- end }}
{{- include "operator.checkSize" (dict "sizes" $sizes "name" .Values.defaultSize "value" "defaultSize") }}
{{- $scrape := dict }}
{{- if .Values.metrics.annotations }}
{{- $scrape = include "operator.scrapeAnnotations" (dict "port" 9090) | fromYaml }}
{{- end }}
{{- $workers := dict }}
{{- range $name := include "operator.workerNames" . | fromYamlArray }}
{{- $given := index $.Values.workers $name }}
{{- $worker := dict "podAnnotations" (merge (dict) $given.podAnnotations $scrape) }}
{{- with $given.size }}
{{- include "operator.checkSize" (dict "sizes" $sizes "name" . "value" (printf "workers.%s.size" $name)) }}
{{- end }}
{{- range $key := list "size" "podLabels" "serviceAccountAnnotations" "awsCredentialsSecret" "imagePullSecrets" "environment" }}
{{- with index $given $key }}
{{- $_ := set $worker $key . }}
{{- end }}
{{- end }}
{{- $_ := set $workers $name $worker }}
{{- end }}
{{- $ours := dict "RUST_LOG" .Values.logging.level }}
{{- if .Values.metrics.cloudWatch.enabled }}
{{- $_ := set $ours "MEDALLION_EMBEDDED_METRICS" "true" }}
{{- end }}
{{- $config := dict
  "images" (dict "workers" (include "operator.image" .) "dbtProjects" .Values.dbtProjects)
  "imagePullPolicy" .Values.image.pullPolicy
  "imagePullSecrets" .Values.imagePullSecrets
  "environment" (merge (dict) .Values.workers.environment $ours)
  "serviceAccountPrefix" .Values.workers.serviceAccountPrefix
  "defaultSize" .Values.defaultSize
  "sizes" $sizes
  "workers" $workers
}}
{{- with .Values.installation }}
{{- $_ := set $config "installation" . }}
{{- end }}
{{- with .Values.workers.awsCredentialsSecret }}
{{- $_ := set $config "awsCredentialsSecret" . }}
{{- end }}
{{- with .Values.workers.trustBundle.configMap }}
{{- $_ := set $config "trustBundle" (dict "configMap" . "key" ($.Values.workers.trustBundle.key | default "ca.crt")) }}
{{- end }}
{{- with .Values.limits }}
{{- $_ := set $config "limits" . }}
{{- end }}
{{- toPrettyJson $config }}
{{- end }}

{{- /* Resources with every quantity as text, as YAML would also take numbers for them. */}}
{{- define "operator.quantities" -}}
{{- $all := dict }}
{{- range $kind, $quantities := . }}
{{- if kindIs "map" $quantities }}
{{- $texts := dict }}
{{- range $name, $quantity := $quantities }}
{{- if not (kindIs "invalid" $quantity) }}{{ $_ := set $texts $name (toString $quantity) }}{{ end }}
{{- end }}
{{- $_ := set $all $kind $texts }}
{{- else if $quantities }}
{{- $_ := set $all $kind $quantities }}
{{- end }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{- define "operator.checkSize" -}}
{{- if not (hasKey .sizes .name) }}
{{- fail (printf "%s: there is no size %q, only %s; define it in sizes or name another" .value .name (keys .sizes | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
