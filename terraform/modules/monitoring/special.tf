# Alarms that need a little arithmetic: a share of a budget, and a band of what is usual.
resource "aws_cloudwatch_metric_alarm" "retention" {
  for_each = toset(["persist", "bronze"])

  alarm_name        = "${var.name}-RetentionUsed-${each.key}"
  alarm_description = "${each.key} has used up more than ${var.limits.retention_used_percent} % of the time for which its source keeps what it has not read; at its end that is gone. Silence: not known is neither at risk nor safe, so it is told as well. ${var.alarm_pages}#retentionused"

  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.limits.retention_used_percent
  treat_missing_data  = "missing"

  alarm_actions             = [var.topic_arn]
  ok_actions                = [var.topic_arn]
  insufficient_data_actions = [var.topic_arn]

  metric_query {
    id          = "share"
    expression  = "100 * used / budget"
    label       = "Percent of the retention"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { used = local.own_metrics.retention_used, budget = local.own_metrics.retention_of }

    content {
      id = metric_query.key

      metric {
        namespace   = local.own_namespace
        metric_name = metric_query.value
        dimensions  = local.stage[each.key]
        period      = 60
        stat        = metric_query.key == "used" ? "Maximum" : "Minimum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "event_rate" {
  alarm_name        = "${var.name}-EventRate"
  alarm_description = "Fewer or more events come than at this time of the week. Silence: whether none come or nobody counts them, StreamViewLag and StageAge tell apart. ${var.alarm_pages}#eventrate"

  evaluation_periods  = 3
  comparison_operator = "LessThanLowerOrGreaterThanUpperThreshold"
  threshold_metric_id = "band"
  treat_missing_data  = "ignore"

  alarm_actions = [var.topic_arn]
  ok_actions    = [var.topic_arn]

  metric_query {
    id          = "band"
    expression  = "ANOMALY_DETECTION_BAND(events, ${var.limits.event_rate_deviations})"
    label       = "What is usual"
    return_data = true
  }

  metric_query {
    id          = "events"
    return_data = true

    metric {
      namespace   = local.own_namespace
      metric_name = local.own_metrics.stream_records
      dimensions  = local.stage["bronze"]
      period      = 300
      stat        = "Sum"
    }
  }
}

locals {
  other_alarm_names = merge(
    { for stage, alarm in aws_cloudwatch_metric_alarm.retention : "RetentionUsed-${stage}" => alarm.alarm_name },
    { EventRate = aws_cloudwatch_metric_alarm.event_rate.alarm_name },
  )
}
