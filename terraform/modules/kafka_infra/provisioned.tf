# What only a provisioned cluster has.

module "key" {
  source = "../kms_key"
  count  = local.provisioned ? 1 : 0

  name        = "${var.name}-kafka"
  description = "Brokers of ${var.name}: their volumes and logs"
  services    = ["kafka", "ec2"]
  service_principals = [{
    principal = "logs.${data.aws_region.current.region}.${data.aws_partition.current.dns_suffix}"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
    conditions = {
      ArnEquals = {
        "kms:EncryptionContext:aws:logs:arn" = [
          "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:${local.log_group}",
        ]
      }
    }
  }]
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  log_group = "/aws/msk/${var.name}"
}

resource "aws_cloudwatch_log_group" "brokers" {
  #checkov:skip=CKV_AWS_338:how long is a variable; brokers' logs say nothing of the events
  count = local.provisioned ? 1 : 0

  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = module.key[0].arn
}

resource "aws_msk_configuration" "this" {
  count = local.provisioned ? 1 : 0

  # Another version of Kafka is another configuration, which stands beside the old one until the brokers have it.
  name           = "${var.name}-${replace(var.broker.kafka_version, ".", "-")}"
  description    = "What is acknowledged is on two brokers of three, and topics are made on purpose"
  kafka_versions = [var.broker.kafka_version]

  server_properties = join("\n", [
    "auto.create.topics.enable=false",
    "default.replication.factor=3",
    "min.insync.replicas=2",
    "offsets.topic.replication.factor=3",
    "transaction.state.log.replication.factor=3",
    "transaction.state.log.min.isr=2",
    "unclean.leader.election.enable=false",
    # Group offsets of a pipeline that stands still must outlive its records.
    "offsets.retention.minutes=40320",
    "",
  ])

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_msk_cluster" "this" {
  count = local.provisioned ? 1 : 0

  cluster_name           = var.name
  kafka_version          = var.broker.kafka_version
  number_of_broker_nodes = 3
  enhanced_monitoring    = "PER_BROKER"

  broker_node_group_info {
    instance_type   = var.broker.instance_type
    client_subnets  = var.subnet_ids
    security_groups = [aws_security_group.brokers.id]

    storage_info {
      ebs_storage_info {
        volume_size = var.broker.volume_gib
      }
    }

    connectivity_info {
      public_access {
        type = "DISABLED"
      }
    }
  }

  client_authentication {
    unauthenticated = false

    sasl {
      iam = true
    }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = module.key[0].arn

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.this[0].arn
    revision = aws_msk_configuration.this[0].latest_revision
  }

  open_monitoring {
    prometheus {
      jmx_exporter {
        enabled_in_broker = true
      }

      node_exporter {
        enabled_in_broker = true
      }
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.brokers[0].name
      }
    }
  }

  lifecycle {
    # Storage grows by itself; Terraform must not ask for the old size again.
    ignore_changes = [broker_node_group_info[0].storage_info[0].ebs_storage_info[0].volume_size]
  }
}

resource "aws_appautoscaling_target" "storage" {
  count = local.provisioned ? 1 : 0

  service_namespace  = "kafka"
  resource_id        = aws_msk_cluster.this[0].arn
  scalable_dimension = "kafka:broker-storage:VolumeSize"
  min_capacity       = 1
  max_capacity       = var.broker.max_volume_gib
}

resource "aws_appautoscaling_policy" "storage" {
  count = local.provisioned ? 1 : 0

  name               = "${var.name}-storage"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.storage[0].service_namespace
  resource_id        = aws_appautoscaling_target.storage[0].resource_id
  scalable_dimension = aws_appautoscaling_target.storage[0].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value     = 60
    disable_scale_in = true

    predefined_metric_specification {
      predefined_metric_type = "KafkaBrokerStorageUtilization"
    }
  }
}
