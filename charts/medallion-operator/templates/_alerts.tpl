{{- /*
The alerts, from metrics.prometheusRule: the product's own signals of terraform/modules/monitoring. page is the heading in
docs/alarms.md. Of two pods that show the same, the worse counts. What Prometheus puts into a summary stands in [ ] here.
*/}}
{{- define "operator.alerts" -}}
{{- $limits := .limits }}
{{- $late := list }}
{{- range $stage := list "persist" "bronze" "silver" "gold" "warehouse" }}
{{- $age := printf "max by (namespace, pipeline, stage) (medallion_operator_stage_age_seconds{stage=%q})" $stage }}
{{- $late = append $late (printf "%s > %d" $age (int64 (index $limits.ageSeconds $stage))) }}
{{- end }}
- name: StageAge
  page: StageAge
  severity: warning
  for: 5m
  expr: {{ join " or " $late }}
  summary: {{ include "operator.ofStage" "the oldest input that is not processed is [age] old" }}
- name: OperatorSilent
  page: StageAge
  severity: critical
  for: 5m
  expr: absent(medallion_operator_pipelines)
  summary: No operator shows how old anything is. Is its pod up, and scraped?
- name: StreamViewLag
  page: StreamViewLag
  severity: critical
  for: 5m
  expr: max by (namespace, pipeline, stage) (medallion_retention_used_seconds{stage="bronze"}) > {{ int64 $limits.streamLagSeconds }}
  summary: {{ include "operator.ofStage" (printf "the oldest unread record of the table's stream is older than %d s; the stream forgets after 24 hours" (int64 $limits.streamLagSeconds)) }}
- name: RetentionUsed
  page: RetentionUsed
  severity: critical
  for: 5m
  expr: 100 * max by (namespace, pipeline, stage) (medallion_retention_used_seconds) / min by (namespace, pipeline, stage) (medallion_retention_of_seconds) > {{ int64 $limits.retentionUsedPercent }}
  summary: {{ include "operator.ofStage" (printf "more than %d %% of the time is used up for which the source keeps what is unread" (int64 $limits.retentionUsedPercent)) }}
- name: RetentionUnknown
  page: RetentionUsed
  severity: warning
  for: 15m
  expr: max by (namespace, pipeline, stage) (medallion_operator_stage_state{stage=~"persist|bronze", state="Running"}) unless on (namespace, pipeline, stage) medallion_retention_used_seconds
  summary: {{ include "operator.ofStage" "how old the oldest unread input is, and how long its source keeps it, is not known" }}
- name: ConsumerLag
  page: ConsumerLag
  severity: warning
  for: 5m
  expr: max by (namespace, pipeline, stage) (medallion_consumer_lag_records) > {{ int64 $limits.consumerLagRecords }}
  summary: {{ include "operator.ofStage" (printf "more than %d records wait in the partitions of one consumer" (int64 $limits.consumerLagRecords)) }}
- name: ConsumerSilent
  page: ConsumerLag
  severity: warning
  for: 5m
  expr: max by (namespace, pipeline, stage) (medallion_operator_stage_state{stage="persist", state!="Suspended"}) unless on (namespace, pipeline, stage) medallion_consumer_lag_records
  summary: {{ include "operator.ofStage" "no consumer says how many records wait" }}
- name: DeadLetterDepth
  page: DeadLetterDepth
  severity: warning
  for: 5m
  expr: max by (namespace, pipeline, stage) (medallion_consumer_dead_letters) > {{ int64 $limits.deadLetters }}
  summary: {{ include "operator.ofStage" (printf "more than %d dead letters wait for a person" (int64 $limits.deadLetters)) }}
{{- $rate := "sum by (namespace, pipeline, stage) (rate(medallion_exporter_records_total[1h]%s))" }}
{{- $now := printf $rate "" }}
{{- $then := printf $rate " offset 1w" }}
- name: EventRate
  page: EventRate
  severity: warning
  for: 15m
  expr: ({{ $now }} * {{ int64 $limits.eventRateFactor }} < {{ $then }}) or ({{ $now }} > {{ int64 $limits.eventRateFactor }} * {{ $then }} and {{ $then }} > 0)
  summary: {{ include "operator.ofStage" (printf "%d times fewer or more events come than at this hour a week ago" (int64 $limits.eventRateFactor)) }}
- name: DataAtRisk
  page: DataAtRisk
  severity: critical
  for: 1m
  expr: max by (namespace, pipeline, stage, reason) (medallion_operator_stage_state{stage=~"ingest|persist|bronze", state="Failed"}) == 1
  summary: {{ include "operator.ofStage" "halted because data may be lost ([reason]); it waits for a person's decision" }}
- name: FailedRuns
  page: FailedRuns
  severity: warning
  for: 1m
  expr: max by (namespace, pipeline, stage, reason) (medallion_operator_stage_state{stage=~"silver|gold", state="Failed"}) == 1
  summary: {{ include "operator.ofStage" "the last run failed ([reason])" }}
- name: FailedLoads
  page: FailedLoads
  severity: warning
  for: 1m
  expr: max by (namespace, pipeline, stage, reason) (medallion_operator_stage_state{stage="warehouse", state="Failed"}) == 1
  summary: {{ include "operator.ofStage" "the last load into the warehouse failed ([reason])" }}
- name: ThrottledWrites
  page: ThrottledWrites
  severity: warning
  for: 5m
  expr: max by (namespace, pipeline, stage) (medallion_operator_stage_state{stage="persist", reason="TableThrottled"}) == 1
  summary: {{ include "operator.ofStage" "DynamoDB throttles what is written to the table" }}
- name: CriticalErrors
  page: CriticalErrors
  severity: warning
  for: 0m
  expr: sum by (namespace, pipeline, stage) (increase(medallion_log_errors_total[5m])) > 0
  summary: {{ include "operator.ofStage" "there are lines of level ERROR in the log" }}
- name: OperatorErrors
  page: CriticalErrors
  severity: warning
  for: 0m
  expr: sum(increase(medallion_operator_log_errors_total[5m])) > 0
  summary: There are lines of level ERROR in the operator's log.
{{- end }}

{{- /* A sentence about a stage, which Prometheus completes with the alert's labels. */}}
{{- define "operator.ofStage" -}}
{{- $label := "{{ $labels.%s }}" }}
{{- $of := printf "%s/%s, %s" (printf $label "namespace") (printf $label "pipeline") (printf $label "stage") }}
{{- $said := . | replace "[reason]" (printf $label "reason") | replace "[age]" "{{ humanizeDuration $value }}" }}
{{- printf "%s: %s." $of $said | quote }}
{{- end }}
