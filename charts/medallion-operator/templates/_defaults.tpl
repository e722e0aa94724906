{{- /*
Gives every value that is null or missing its default, so that a value taken away with null, or unknown to the release whose
values are reused, is no error in a template. files/values.yaml is values.yaml, which templates cannot read. Each template
begins with this. Resources and sizes are taken whole: a default that was taken out of them must not come back.
*/}}
{{- define "operator.defaults" -}}
{{- $defaults := .Files.Get "files/values.yaml" | fromYaml }}
{{- if not (hasKey $defaults "workers") }}
{{- fail "the chart is incomplete: files/values.yaml is missing; get the chart again, with its files as files" }}
{{- end }}
{{- include "operator.fill" (dict "given" .Values "defaults" $defaults "whole" (list "resources" "sizes")) }}
{{- end }}

{{- define "operator.fill" -}}
{{- range $key, $default := .defaults }}
{{- $given := index $.given $key }}
{{- if kindIs "invalid" $given }}
{{- $_ := set $.given $key (deepCopy $default) }}
{{- else if and (kindIs "map" $given) (kindIs "map" $default) (not (has $key $.whole)) }}
{{- include "operator.fill" (dict "given" $given "defaults" $default "whole" (list)) }}
{{- end }}
{{- end }}
{{- end }}
