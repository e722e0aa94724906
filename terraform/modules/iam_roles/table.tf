# What workers do with the table and its stream.
locals {
  table_name   = split("/", var.table.arn)[1]
  table_stream = "${var.table.arn}/stream/*"

  # DynamoDB opens the table's key with the rights of whoever asks, for puts as well as for reads of the stream.
  table_key = [
    for arn in var.table.kms_key_arn == null ? [] : [var.table.kms_key_arn] : {
      Sid       = "TableKey"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = [arn]
      Condition = { StringEquals = { "kms:ViaService" = "dynamodb.${local.hosts}" } }
    }
  ]

  table_statements = {
    provisioner = [
      {
        Sid      = "Table"
        Effect   = "Allow"
        Action   = concat(["dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:ListTagsOfResource"], contains(var.provisioner_creates, "table") ? ["dynamodb:CreateTable", "dynamodb:TagResource", "dynamodb:UpdateTimeToLive"] : [])
        Resource = [var.table.arn]
      },
    ]
    consumer = concat(
      [{ Sid = "Put", Effect = "Allow", Action = ["dynamodb:PutItem"], Resource = [var.table.arn] }],
      local.table_key,
    )
    exporter = concat(
      [
        { Sid = "Table", Effect = "Allow", Action = ["dynamodb:DescribeTable"], Resource = [var.table.arn] },
        # The id of a stream changes when it is switched off and on; that the exporter tells itself.
        { Sid = "Stream", Effect = "Allow", Action = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], Resource = [local.table_stream] },
      ],
      local.table_key,
    )
  }
}
