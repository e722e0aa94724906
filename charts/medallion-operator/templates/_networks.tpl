{{- /* Namespaces that get the workers' policies. */}}
{{- define "operator.workerNamespaces" -}}
{{- .Values.networkPolicies.namespaces | default .Values.watchNamespaces | toYaml }}
{{- end }}

{{- define "operator.dnsRule" -}}
{{- with .Values.networkPolicies.dns }}
# Names.
- to:
    {{- toYaml .peers | nindent 4 }}
  ports:
    {{- range .ports }}
    - {protocol: UDP, port: {{ int . }}}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
{{- end }}
{{- end }}

{{- define "operator.apiServerRule" -}}
{{- with .Values.networkPolicies.apiServer }}
# The API server.
- ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
  {{- with .cidrs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* An address range without the API server, as far as that is known to lie in it. */}}
{{- define "operator.outside" -}}
{{- $cidr := .cidr }}
{{- $except := list }}
{{- range .apiServer }}
{{- /* An exception must lie within the range; only a whole family is known to hold every address. */}}
{{- if and (hasSuffix "/0" $cidr) (eq (contains ":" $cidr) (contains ":" .)) }}
{{- $except = append $except . }}
{{- end }}
{{- end }}
{{- $block := dict "cidr" $cidr }}
{{- if $except }}{{ $_ := set $block "except" $except }}{{ end }}
{{- dict "ipBlock" $block | toYaml }}
{{- end }}
