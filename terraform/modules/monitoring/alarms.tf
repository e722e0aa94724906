# Alarms on the product's own signals. An entry is one alarm: page is its heading in docs/alarms.md; missing says what silence means, and
# silence the reason for it, which the message repeats.
locals {
  log_alarms = {
    for metric, what in {
      FailedRuns     = "A run of Silver or Gold failed in the last five minutes."
      FailedLoads    = "A load into the warehouse failed in the last five minutes."
      DataAtRisk     = "A worker has halted because data may be lost. It waits for a person's decision."
      CriticalErrors = "There are lines of level ERROR in the logs."
      } : metric => {
      page       = metric
      what       = what
      namespace  = local.log_namespace
      metric     = metric
      dimensions = {}
      statistic  = "Sum"
      period     = 300
      periods    = 1
      comparison = "GreaterThanThreshold"
      threshold  = 0
      missing    = "notBreaching"
      silence    = "no line, no failure"
    }
  }

  age_alarms = {
    for stage, age in var.limits.age_seconds : "StageAge-${stage}" => {
      page       = "StageAge"
      what       = "The oldest input of ${stage} that is not processed is older than ${age} s."
      namespace  = local.own_namespace
      metric     = local.own_metrics.age
      dimensions = local.stage[stage]
      statistic  = "Maximum"
      period     = 60
      periods    = 5
      comparison = "GreaterThanThreshold"
      threshold  = age
      missing    = "breaching"
      silence    = "an operator that says nothing sees nothing"
    } if stage != "warehouse" || var.warehouse != null
  }

  pipeline_alarms = {
    StreamViewLag = {
      page       = "StreamViewLag"
      what       = "The oldest unread record of the table's stream is older than ${var.limits.stream_lag_seconds} s; the stream forgets after 24 hours."
      namespace  = local.own_namespace
      metric     = local.own_metrics.retention_used
      dimensions = local.stage["bronze"]
      statistic  = "Maximum"
      period     = 60
      periods    = 5
      comparison = "GreaterThanThreshold"
      threshold  = var.limits.stream_lag_seconds
      missing    = "breaching"
      silence    = "an exporter that says nothing reads nothing, and the stream goes on forgetting"
    }
    ConsumerLag = {
      page       = "ConsumerLag"
      what       = "More than ${var.limits.consumer_lag_records} records wait in the partitions of one consumer."
      namespace  = local.own_namespace
      metric     = local.own_metrics.consumer_lag
      dimensions = local.stage["persist"]
      statistic  = "Maximum"
      period     = 60
      periods    = 5
      comparison = "GreaterThanThreshold"
      threshold  = var.limits.consumer_lag_records
      missing    = "breaching"
      silence    = "without a consumer everything waits"
    }
    DeadLetterDepth = {
      page       = "DeadLetterDepth"
      what       = "More than ${var.limits.dead_letters} dead letters wait for a person."
      namespace  = local.own_namespace
      metric     = local.own_metrics.dead_letters
      dimensions = local.stage["persist"]
      statistic  = "Maximum"
      period     = 60
      periods    = 5
      comparison = "GreaterThanThreshold"
      threshold  = var.limits.dead_letters
      missing    = "ignore"
      silence    = "they stay as many as they were; of a silent consumer ConsumerLag tells"
    }
  }

  alarms = merge(local.log_alarms, local.age_alarms, local.pipeline_alarms, local.aws_alarms)
}

resource "aws_cloudwatch_metric_alarm" "simple" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.what} Silence: ${each.value.silence}. ${var.alarm_pages}#${lower(each.value.page)}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]

  lifecycle {
    precondition {
      condition     = contains(local.pages, each.value.page)
      error_message = "${each.key} has no page in docs/alarms.md: write it, and name it in local.pages."
    }
  }
}
