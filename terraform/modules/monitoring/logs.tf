# Logs, and what is counted in their lines. Whoever sends them leaves a line as the program wrote it: one JSON object with level, message,
# worker, namespace, pipeline, ... at its top. A line that is wrapped into another is not seen.
resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:how long is a variable; the logs say nothing of the events
  for_each = toset(["workers", "operator", "metrics"])

  name              = "/medallion/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = module.key.arn
}

locals {
  # Lines of metrics are no program's words.
  searched = merge({ for source, group in aws_cloudwatch_log_group.this : source => group.name if source != "metrics" }, var.function_log_groups)

  of_pipeline = "$.namespace = \"${var.namespace}\" && $.pipeline = \"${var.pipeline}\""

  # What a worker says with its last line, whatever the reason (workers/kit/src/run.rs).
  ended = "$.level = \"ERROR\" && $.message = \"ended without having done its work\""

  counted = {
    FailedRuns     = { sources = ["workers"], pattern = "{ ${local.ended} && $.worker = \"dbt-runner\" && ${local.of_pipeline} }" }
    FailedLoads    = { sources = ["workers"], pattern = "{ ${local.ended} && $.worker = \"loader\" && ${local.of_pipeline} }" }
    DataAtRisk     = { sources = ["workers"], pattern = "{ $.level = \"ERROR\" && $.message = \"halted: data may be lost\" }" }
    CriticalErrors = { sources = keys(local.searched), pattern = "{ $.level = \"ERROR\" }" }
  }

  filters = merge([
    for metric, count in local.counted : {
      for source in count.sources : "${metric}-${source}" => { metric = metric, pattern = count.pattern, group = local.searched[source] }
    }
  ]...)
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.filters

  name           = "${var.name}-${each.key}"
  log_group_name = each.value.group
  pattern        = each.value.pattern

  metric_transformation {
    namespace     = local.log_namespace
    name          = each.value.metric
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}
