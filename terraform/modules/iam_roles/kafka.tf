# What workers do at the brokers of MSK, as docs/kafka.md lists it. ARNs of topics and groups are those of the cluster, name and id included.
locals {
  kafka_cluster = try(var.kafka.cluster_arn, "")
  kafka_topic   = "${replace(local.kafka_cluster, ":cluster/", ":topic/")}/${try(var.kafka.topic, "")}"
  kafka_dead    = "${replace(local.kafka_cluster, ":cluster/", ":topic/")}/${try(var.kafka.dead_letter_topic, "")}"
  kafka_groups  = replace(local.kafka_cluster, ":cluster/", ":group/")

  # The operator puts its installation, which it makes up itself, into the group's name.
  kafka_group_name = coalesce(try(var.kafka.consumer_group, null), "medallion.*.${var.namespace}.${var.pipeline}")
  kafka_own_groups = ["${local.kafka_groups}/${local.kafka_group_name}", "${local.kafka_groups}/${local.kafka_group_name}.dead-letters"]

  kafka_all = {
    gateway = [
      { Sid = "Connect", Effect = "Allow", Action = ["kafka-cluster:Connect", "kafka-cluster:WriteDataIdempotently"], Resource = [local.kafka_cluster] },
      { Sid = "Produce", Effect = "Allow", Action = ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"], Resource = [local.kafka_topic] },
    ]
    consumer = [
      { Sid = "Connect", Effect = "Allow", Action = ["kafka-cluster:Connect", "kafka-cluster:WriteDataIdempotently"], Resource = [local.kafka_cluster] },
      { Sid = "Consume", Effect = "Allow", Action = ["kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopicDynamicConfiguration", "kafka-cluster:ReadData"], Resource = [local.kafka_topic] },
      { Sid = "DeadLetters", Effect = "Allow", Action = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData", "kafka-cluster:WriteData"], Resource = [local.kafka_dead] },
      { Sid = "Groups", Effect = "Allow", Action = ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"], Resource = local.kafka_own_groups },
    ]
    provisioner = [
      { Sid = "Connect", Effect = "Allow", Action = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster"], Resource = [local.kafka_cluster] },
      {
        Sid      = "Topics"
        Effect   = "Allow"
        Action   = concat(["kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopicDynamicConfiguration"], contains(var.provisioner_creates, "topics") ? ["kafka-cluster:CreateTopic"] : [])
        Resource = [local.kafka_topic, local.kafka_dead]
      },
      # Also those of other pipelines: one that has the same dead-letter topic would count our dead letters.
      { Sid = "Groups", Effect = "Allow", Action = ["kafka-cluster:DescribeGroup"], Resource = concat(["${local.kafka_groups}/medallion.*"], startswith(local.kafka_group_name, "medallion.") ? [] : [local.kafka_own_groups[0]]) },
    ]
  }

  kafka_statements = { for worker, statements in local.kafka_all : worker => [for statement in statements : statement if var.kafka != null] }
}
