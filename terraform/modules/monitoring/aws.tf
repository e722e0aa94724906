# Alarms on metrics of AWS's services, under the names and dimensions of their documentation.
locals {
  table_alarms = {
    for alarm, metric in { ThrottledReads = "ReadThrottleEvents", ThrottledWrites = "WriteThrottleEvents" } : alarm => {
      page                                = alarm
      what                                = "DynamoDB throttles ${alarm == "ThrottledReads" ? "reads" : "writes"} of the table ${var.table_name}."
      namespace                           = "AWS/DynamoDB"
      metric                              = metric
      dimensions                          = { TableName = var.table_name }
      statistic                           = "Sum"
      period                              = 60
      periods                             = 5
      comparison                          = "GreaterThanThreshold"
      threshold                           = 0
      missing                             = "notBreaching"
      silence                             = "DynamoDB counts throttled requests only where there are some"
    }
  }

  function_names = { for function, found in { gateway = var.functions.gateway, exporter = var.functions.exporter } : function => found.function_name if found != null }

  function_alarms = merge([
    for function, name in local.function_names : {
      for alarm, metric in { FunctionErrors = "Errors", FunctionThrottles = "Throttles" } : "${alarm}-${function}" => {
        page                                = alarm
        what                                = alarm == "FunctionErrors" ? "Invocations of the function ${name} fail." : "Lambda turns invocations of the function ${name} away."
        namespace                           = "AWS/Lambda"
        metric                              = metric
        dimensions                          = { FunctionName = name }
        statistic                           = "Sum"
        period                              = 60
        periods                             = 5
        comparison                          = "GreaterThanThreshold"
        threshold                           = 0
        missing                             = "notBreaching"
        silence                             = "nobody invokes it; of data that waits StageAge and IteratorAge tell"
      }
    }
  ]...)

  iterator_alarms = {
    for name in [for function, name in local.function_names : name if function == "exporter"] : "IteratorAge" => {
      page       = "IteratorAge"
      what       = "The function ${name} is more than ${var.limits.stream_lag_seconds} s behind the table's stream."
      namespace  = "AWS/Lambda"
      metric     = "IteratorAge"
      dimensions = { FunctionName = name }
      statistic  = "Maximum"
      period     = 60
      periods    = 5
      comparison = "GreaterThanThreshold"
      threshold  = var.limits.stream_lag_seconds * 1000
      missing    = "ignore"
      silence    = "a stream without records has no age, and a mapping that is off shows in StreamViewLag"
    }
  }

  api_alarms = {
    for api in [for gateway in [var.functions.gateway] : gateway.api_id if gateway != null] : "ApiErrors" => {
      page       = "ApiErrors"
      what       = "The HTTP API answers with 5xx: mostly brokers that do not acknowledge."
      namespace  = "AWS/ApiGateway"
      metric     = "5xx"
      dimensions = { ApiId = api }
      statistic  = "Sum"
      period     = 60
      periods    = 5
      comparison = "GreaterThanThreshold"
      threshold  = 0
      missing    = "notBreaching"
      silence    = "nobody asks"
    }
  }

  aws_alarms = merge(local.table_alarms, local.function_alarms, local.iterator_alarms, local.api_alarms, local.kafka_alarms, local.warehouse_alarms)
}
