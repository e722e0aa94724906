# MSK. A provisioned cluster shows disks and in-sync replicas of its brokers; Serverless has neither to show, but a limit on what comes in.
locals {
  kafka_provisioned = try(var.kafka.type == "Provisioned", false)
  kafka_serverless  = try(var.kafka.type == "Serverless", false)
  kafka_name        = try(var.kafka.cluster_name, "")
  brokers           = local.kafka_provisioned ? toset([for number in range(1, var.kafka.brokers + 1) : tostring(number)]) : toset([])

  kafka_broker_alarms = merge([
    for broker in local.brokers : {
      "KafkaDisk-${broker}" = {
        page       = "KafkaDisk"
        what       = "The disk of broker ${broker} is more than 80 % full."
        namespace  = "AWS/Kafka"
        metric     = "KafkaDataLogsDiskUsed"
        dimensions = { "Cluster Name" = local.kafka_name, "Broker ID" = broker }
        statistic  = "Maximum"
        period     = 300
        periods    = 1
        comparison = "GreaterThanThreshold"
        threshold  = 80
        missing    = "breaching"
        silence    = "a broker that shows nothing is down"
      }
      "KafkaInSyncReplicas-${broker}" = {
        page       = "KafkaInSyncReplicas"
        what       = "Partitions that broker ${broker} leads have fewer copies in sync than min.insync.replicas: nothing is acknowledged there."
        namespace  = "AWS/Kafka"
        metric     = "UnderMinIsrPartitionCount"
        dimensions = { "Cluster Name" = local.kafka_name, "Broker ID" = broker }
        statistic  = "Maximum"
        period     = 60
        periods    = 5
        comparison = "GreaterThanThreshold"
        threshold  = 0
        missing    = "breaching"
        silence    = "a broker that shows nothing is down"
      }
    }
  ]...)

  kafka_cluster_alarms = {
    for name in [local.kafka_name] : "KafkaOffline" => {
      page       = "KafkaOffline"
      what       = "Partitions have no leader: nobody reads or writes them."
      namespace  = "AWS/Kafka"
      metric     = "OfflinePartitionsCount"
      dimensions = { "Cluster Name" = name }
      statistic  = "Maximum"
      period     = 60
      periods    = 3
      comparison = "GreaterThanThreshold"
      threshold  = 0
      missing    = "breaching"
      silence    = "a cluster that shows nothing is down"
    } if local.kafka_provisioned
  }

  kafka_serverless_alarms = {
    for name in [local.kafka_name] : "KafkaIngress" => {
      page       = "KafkaIngress"
      what       = "The topic gets more than 80 % of the 200 MB a second that MSK Serverless takes."
      namespace  = "AWS/Kafka"
      metric     = "BytesInPerSec"
      dimensions = { "Cluster Name" = name, Topic = var.kafka.topic }
      statistic  = "Average"
      period     = 60
      periods    = 5
      comparison = "GreaterThanThreshold"
      threshold  = 160000000
      missing    = "notBreaching"
      silence    = "nobody writes"
    } if local.kafka_serverless
  }

  kafka_alarms = merge(local.kafka_broker_alarms, local.kafka_cluster_alarms, local.kafka_serverless_alarms)
}
