# One dashboard: alarms on top, then the way of an event from left to right, then what it costs.
locals {
  dimension_pairs = { for stage, dimensions in local.stage : stage => flatten([for name in ["namespace", "pipeline", "stage"] : [name, dimensions[name]]]) }

  alarm_arns = [for alarm in concat(values(aws_cloudwatch_metric_alarm.simple), values(aws_cloudwatch_metric_alarm.retention), [aws_cloudwatch_metric_alarm.event_rate]) : alarm.arn]

  graphs = concat(
    [
      { title = "Age of the oldest input that is not processed, s", stat = "Maximum", metrics = [for stage in ["persist", "bronze", "silver", "gold", "warehouse"] : concat([local.own_namespace, local.own_metrics.age], local.dimension_pairs[stage], [{ label = stage }])] },
      { title = "Oldest unread record, s", stat = "Maximum", metrics = [for stage in ["persist", "bronze"] : concat([local.own_namespace, local.own_metrics.retention_used], local.dimension_pairs[stage], [{ label = stage }])] },
      { title = "Records of the stream, each five minutes", stat = "Sum", metrics = [concat([local.own_namespace, local.own_metrics.stream_records], local.dimension_pairs["bronze"])] },
      { title = "Waiting for the consumer, and dead letters", stat = "Maximum", metrics = [for metric in [local.own_metrics.consumer_lag, local.own_metrics.dead_letters] : concat([local.own_namespace, metric], local.dimension_pairs["persist"])] },
      { title = "Failures and errors in the logs", stat = "Sum", metrics = [for metric in keys(local.counted) : [local.log_namespace, metric]] },
      { title = "Throttled by DynamoDB", stat = "Sum", metrics = [for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] : ["AWS/DynamoDB", metric, "TableName", var.table_name]] },
    ],
    [for name in values(local.function_names) : { title = "Function ${name}", stat = "Sum", metrics = [for metric in ["Invocations", "Errors", "Throttles"] : ["AWS/Lambda", metric, "FunctionName", name]] }],
  )

  warehouse_graphs = [
    for warehouse in [var.warehouse] : {
      title = "Warehouse"
      stat  = "Maximum"
      metrics = warehouse.type == "Serverless" ? [
        ["AWS/Redshift-Serverless", "ComputeCapacity", "Workgroup", warehouse.workgroup_name],
        ["AWS/Redshift-Serverless", "QueriesQueued", "Workgroup", warehouse.workgroup_name],
        ] : [
        ["AWS/Redshift", "CPUUtilization", "ClusterIdentifier", warehouse.cluster_identifier],
        ["AWS/Redshift", "PercentageDiskSpaceUsed", "ClusterIdentifier", warehouse.cluster_identifier],
      ]
    } if warehouse != null
  ]

  all_graphs = concat(local.graphs, local.warehouse_graphs)
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{ type = "alarm", x = 0, y = 0, width = 24, height = 4, properties = { title = "${var.namespace}/${var.pipeline}", alarms = local.alarm_arns } }],
      [
        for place, graph in local.all_graphs : {
          type   = "metric"
          x      = 8 * (place % 3)
          y      = 4 + 6 * floor(place / 3)
          width  = 8
          height = 6
          properties = {
            title   = graph.title
            region  = local.region
            view    = "timeSeries"
            stat    = graph.stat
            period  = 300
            metrics = graph.metrics
          }
        }
      ],
    )
  })
}
