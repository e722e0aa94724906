# Each alarm reaches a person with a page to read, and each says on purpose what silence means.
variables {
  name        = "shop-dev"
  pipeline    = "purchase-orders"
  namespace   = "shop"
  topic_arn   = "arn:aws:sns:eu-west-1:123456789012:shop-dev-alerts"
  alarm_pages = "https://git.example.com/data/medallion/blob/main/docs/alarms.md"
  table_name  = "purchase_orders"

  kafka = { type = "Provisioned", cluster_name = "shop-dev", topic = "purchase_orders" }

  warehouse = {
    type               = "Serverless"
    workgroup_name     = "shop-dev"
    usage_limit_id     = "0b7c"
    usage_limit_amount = 24
  }

  functions = {
    gateway  = { function_name = "shop-dev-gateway", api_id = "a1b2c3" }
    exporter = { function_name = "shop-dev-exporter" }
  }

  function_log_groups = {
    gateway  = "/aws/lambda/shop-dev-gateway"
    exporter = "/aws/lambda/shop-dev-exporter"
  }
}

run "alarms_reach_a_person" {
  command = apply

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.simple), values(aws_cloudwatch_metric_alarm.retention), [aws_cloudwatch_metric_alarm.event_rate]) :
      alarm.alarm_actions == toset([var.topic_arn]) && alarm.ok_actions == toset([var.topic_arn]) && strcontains(alarm.alarm_description, "${var.alarm_pages}#") && strcontains(alarm.alarm_description, "Silence: ") && length(alarm.alarm_description) <= 1024
    ])
    error_message = "message, page and its end go to the topic"
  }

  assert {
    condition     = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.simple) : contains([for page in output.pages : lower(page)], split("#", alarm.alarm_description)[1])])
    error_message = "each page is one of the list"
  }

  assert {
    condition     = alltrue([for name in values(output.alarms) : length(name) <= 255 && startswith(name, "shop-dev-")])
    error_message = "names are the environment's"
  }
}

run "what_a_shop_wants_to_know_is_told" {
  command = apply

  assert {
    condition = length(setsubtract([
      "ThrottledReads", "ThrottledWrites", "StreamViewLag", "DeadLetterDepth", "ConsumerLag", "FailedRuns", "FailedLoads", "DataAtRisk", "CriticalErrors",
      "StageAge-persist", "StageAge-bronze", "StageAge-silver", "StageAge-gold", "StageAge-warehouse", "RetentionUsed-persist", "RetentionUsed-bronze",
      "FunctionErrors-gateway", "FunctionThrottles-exporter", "IteratorAge", "ApiErrors", "KafkaDisk-1", "KafkaDisk-3", "KafkaInSyncReplicas-2", "KafkaOffline",
      "WarehouseUsage", "WarehouseQueue", "EventRate",
    ], keys(output.alarms))) == 0
    error_message = "there are ${join(" ", keys(output.alarms))}"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.simple["ThrottledReads"].metric_name == "ReadThrottleEvents" && aws_cloudwatch_metric_alarm.simple["ThrottledWrites"].metric_name == "WriteThrottleEvents"
    error_message = "under AWS's names"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.simple["StreamViewLag"].metric_name == "medallion_retention_used_seconds" && aws_cloudwatch_metric_alarm.simple["StreamViewLag"].dimensions["stage"] == "bronze" && aws_cloudwatch_metric_alarm.simple["StreamViewLag"].treat_missing_data == "breaching"
    error_message = "the age of the oldest unread record, and silence is the worst age"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.simple["IteratorAge"].threshold == 3600000
    error_message = "Lambda counts milliseconds"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.simple["KafkaDisk-1"].dimensions == tomap({ "Cluster Name" = "shop-dev", "Broker ID" = "1" })
    error_message = "MSK's dimensions have spaces"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.simple["WarehouseUsage"].threshold == 19.2 && aws_cloudwatch_metric_alarm.simple["WarehouseUsage"].namespace == "AWS/Redshift-Serverless"
    error_message = "told before the limit is reached"
  }

  assert {
    condition     = anytrue([for query in aws_cloudwatch_metric_alarm.event_rate.metric_query : try(startswith(query.expression, "ANOMALY_DETECTION_BAND(events"), false)])
    error_message = "the usual is learned"
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.simple) : anytrue([
        for known in jsondecode(file("tests/aws-metrics.json")) :
        known.namespace == alarm.namespace && known.metric == alarm.metric_name && join(",", known.dimensions) == join(",", sort(keys(alarm.dimensions)))
      ]) if startswith(alarm.namespace, "AWS/")
    ])
    error_message = "AWS's metrics have the names and dimensions of tests/aws-metrics.json"
  }
}

run "own_metrics_are_those_of_the_list" {
  command = apply

  assert {
    condition     = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.simple) : contains(values(output.own_metrics), alarm.metric_name) if alarm.namespace == "Medallion"])
    error_message = "a metric that nobody emits never fires"
  }

  assert {
    condition     = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.simple) : contains([for filter in values(aws_cloudwatch_log_metric_filter.this) : filter.metric_transformation[0].name], alarm.metric_name) if alarm.namespace == "Medallion/shop-dev"])
    error_message = "what is counted in logs has its filter"
  }
}

run "lines_are_counted" {
  command = apply

  assert {
    condition     = aws_cloudwatch_log_metric_filter.this["FailedLoads-workers"].pattern == "{ $.level = \"ERROR\" && $.message = \"ended without having done its work\" && $.worker = \"loader\" && $.namespace = \"shop\" && $.pipeline = \"purchase-orders\" }"
    error_message = "as a worker writes its last line: ${aws_cloudwatch_log_metric_filter.this["FailedLoads-workers"].pattern}"
  }

  assert {
    condition     = length([for name in keys(aws_cloudwatch_log_metric_filter.this) : name if startswith(name, "CriticalErrors-")]) == 4
    error_message = "errors of workers, operator and both functions"
  }

  assert {
    condition     = alltrue([for group in values(aws_cloudwatch_log_group.this) : group.retention_in_days == 30 && group.kms_key_id == module.key.arn])
    error_message = "logs end, and are encrypted"
  }
}

run "serverless_kafka_has_other_alarms" {
  command = apply

  variables {
    kafka = { type = "Serverless", cluster_name = "shop-dev", topic = "purchase_orders" }
  }

  assert {
    condition     = contains(keys(output.alarms), "KafkaIngress") && alltrue([for alarm in keys(output.alarms) : !startswith(alarm, "KafkaDisk") && !startswith(alarm, "KafkaInSync")])
    error_message = "it shows no disks and no replicas: ${join(" ", keys(output.alarms))}"
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.simple) : anytrue([
        for known in jsondecode(file("tests/aws-metrics.json")) :
        known.namespace == alarm.namespace && known.metric == alarm.metric_name && join(",", known.dimensions) == join(",", sort(keys(alarm.dimensions)))
      ]) if startswith(alarm.namespace, "AWS/")
    ])
    error_message = "AWS's metrics have the names and dimensions of tests/aws-metrics.json"
  }
}

run "a_cluster_of_redshift_has_other_alarms" {
  command = apply

  variables {
    warehouse = { type = "Cluster", cluster_identifier = "shop-dev", usage_limit_id = "1", usage_limit_amount = 60 }
  }

  assert {
    condition     = alltrue([for alarm in ["WarehouseHealth", "WarehouseDisk", "WarehouseUsage"] : aws_cloudwatch_metric_alarm.simple[alarm].namespace == "AWS/Redshift"]) && !contains(keys(output.alarms), "WarehouseQueue")
    error_message = "health and disks: ${join(" ", keys(output.alarms))}"
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.simple) : anytrue([
        for known in jsondecode(file("tests/aws-metrics.json")) :
        known.namespace == alarm.namespace && known.metric == alarm.metric_name && join(",", known.dimensions) == join(",", sort(keys(alarm.dimensions)))
      ]) if startswith(alarm.namespace, "AWS/")
    ])
    error_message = "AWS's metrics have the names and dimensions of tests/aws-metrics.json"
  }
}

run "what_is_not_there_is_not_watched" {
  command = apply

  variables {
    kafka               = null
    warehouse           = null
    functions           = {}
    function_log_groups = {}
  }

  assert {
    condition     = alltrue([for alarm in keys(output.alarms) : !startswith(alarm, "Kafka") && !startswith(alarm, "Warehouse") && !startswith(alarm, "Function") && alarm != "StageAge-warehouse" && alarm != "ApiErrors"])
    error_message = "an alarm on nothing would always fire: ${join(" ", keys(output.alarms))}"
  }
}

run "one_dashboard" {
  command = apply

  assert {
    condition     = length([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget if widget.type == "alarm"]) == 1 && length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[0].properties.alarms) == length(output.alarms)
    error_message = "with all alarms on top"
  }
}

run "the_agent_brings_what_alarms_ask_for" {
  command = apply

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.simple) :
      contains(jsondecode(output.agent_metrics).metric_declaration[0].metric_selectors, "^${alarm.metric_name}$") && sort(keys(alarm.dimensions)) == sort(jsondecode(output.agent_metrics).metric_declaration[0].dimensions[0])
      if alarm.namespace == jsondecode(output.agent_metrics).metric_namespace
    ])
    error_message = "under the same names and dimensions: ${output.agent_metrics}"
  }
}

# Lines as workers write them, and what each must count for. The patterns are conjunctions of equal fields, which is what is worked out here.
run "lines_count_for_what_they_are" {
  command = apply

  assert {
    condition     = alltrue([for filter in values(aws_cloudwatch_log_metric_filter.this) : can(regex("^\\{ \\$\\.\\w+ = \"[^\"]*\"( && \\$\\.\\w+ = \"[^\"]*\")* \\}$", filter.pattern))])
    error_message = "a pattern is nothing but equal fields"
  }

  assert {
    condition = alltrue([
      for entry in jsondecode(file("tests/lines.json")) : toset(entry.counts) == toset([
        for name, filter in aws_cloudwatch_log_metric_filter.this : filter.metric_transformation[0].name
        if endswith(name, "-workers") && alltrue([
          for pair in regexall("\\$\\.(\\w+) = \"([^\"]*)\"", filter.pattern) : try(entry.line[pair[0]], null) == pair[1]
        ])
      ])
    ])
    error_message = "each line counts for what tests/lines.json says"
  }
}

run "nobody_but_the_agent_of_this_cluster_sends" {
  command = apply

  variables {
    agent = { cluster_name = "shop-dev" }
  }

  assert {
    condition     = aws_eks_pod_identity_association.agent[0].namespace == "amazon-cloudwatch" && aws_eks_pod_identity_association.agent[0].service_account == "cloudwatch-agent"
    error_message = "the account of AWS's own add-on"
  }

  assert {
    condition = (
      one(jsondecode(aws_iam_role.agent[0].assume_role_policy).Statement).Condition.StringEquals["aws:RequestTag/eks-cluster-arn"] == "arn:aws:eks:eu-west-1:123456789012:cluster/shop-dev"
      && one(jsondecode(aws_iam_role.agent[0].assume_role_policy).Statement).Condition.StringEquals["aws:RequestTag/kubernetes-namespace"] == "amazon-cloudwatch"
    )
    error_message = "pods of others get nothing: ${aws_iam_role.agent[0].assume_role_policy}"
  }

  assert {
    condition     = alltrue([for arn in one(jsondecode(aws_iam_role_policy.agent[0].policy).Statement).Resource : strcontains(arn, ":log-group:/medallion/shop-dev/")])
    error_message = "it writes into the groups of this environment alone: ${aws_iam_role_policy.agent[0].policy}"
  }

  assert {
    condition     = output.log_groups["metrics"] == "/medallion/shop-dev/metrics" && length([for filter in values(aws_cloudwatch_log_metric_filter.this) : filter if filter.log_group_name == output.log_groups["metrics"]]) == 0
    error_message = "metrics have a group, in which nobody looks for errors"
  }
}

run "the_agent_comes_by_irsa_too" {
  command = apply

  variables {
    agent = { cluster_name = "shop-dev", oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0A1B2C" }
  }

  assert {
    condition     = length(aws_eks_pod_identity_association.agent) == 0 && one(jsondecode(aws_iam_role.agent[0].assume_role_policy).Statement).Condition.StringEquals["oidc.eks.eu-west-1.amazonaws.com/id/0A1B2C:sub"] == "system:serviceaccount:amazon-cloudwatch:cloudwatch-agent"
    error_message = "the account is named in the token: ${aws_iam_role.agent[0].assume_role_policy}"
  }
}
