{{- /*
What the operator may do in a namespace that it watches, with the reason of each rule. Not here, on purpose: Secrets (pods
mount them, the operator never reads them), pod exec and logs, wildcards, CustomResourceDefinitions.
*/}}
{{- define "operator.rules" -}}
# The wishes. The operator never writes a Pipeline's spec.
- apiGroups: [medallion.dev]
  resources: [pipelines]
  verbs: [get, list, watch]
# Runs of the batch stages: made by the operator, removed when the history limit is passed.
- apiGroups: [medallion.dev]
  resources: [stageruns]
  verbs: [get, list, watch, create, delete]
# What is true is written by the operator alone, whole.
- apiGroups: [medallion.dev]
  resources: [pipelines/status, stageruns/status]
  verbs: [update]
# Owner references that block deletion ask for this right where OwnerReferencesPermissionEnforcement is on.
- apiGroups: [medallion.dev]
  resources: [pipelines/finalizers, stageruns/finalizers]
  verbs: [update]
# Gateway, consumer and exporter.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# The provisioner, and one Job per attempt of a run. A Job is made once and never changed.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
# Settings of the workers are written; contracts are read, and a changed one is seen.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
# The gateway is reached by a Service; each worker has an identity of its own, without rights in the cluster. What has one of
# their names already is looked at, so that nothing of others is taken over.
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
# Node maintenance takes one gateway at a time.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Workers are asked for progress at their pods' addresses; ends and their reports stand in the pods' status.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# A Secret that cannot be mounted shows in a pod's events alone, a pod that must not be made in its Job's.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
# What happened is published as events on the Pipeline.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- /* What the operator reads of the cluster itself, whatever it watches. */}}
{{- define "operator.clusterRules" -}}
# Whether the installed kinds are of the operator's version.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [pipelines.medallion.dev, stageruns.medallion.dev]
  verbs: [get]
# The UID of this namespace names the installation where no value does.
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
{{- end }}

{{- /* Claims to what is watched: in each watched namespace, or in the release's for the whole cluster. */}}
{{- define "operator.leaseRules" -}}
# Of replicas, and of installations that watch the same, one works.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- end }}

{{- /* Only for who watches the whole cluster. */}}
{{- define "operator.otherLeasesRules" -}}
# Other installations are found by the labels of their Leases.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [list]
{{- end }}
