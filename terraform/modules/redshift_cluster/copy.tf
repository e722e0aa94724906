# The role that COPY reads Gold with: of this warehouse's users alone, and read alone.
resource "aws_iam_role" "copy" {
  name        = "${var.name}-copy"
  description = "COPY of the warehouse ${var.name} reads Gold"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Warehouse"
      Effect    = "Allow"
      Principal = { Service = ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"] }
      Action    = ["sts:AssumeRole"]
      # Redshift says for which database user it asks, as the user's ARN. A workgroup's users are under the id of the workgroup, which is
      # not known before the workgroup is there, and that needs the role.
      Condition = {
        StringLike = {
          "sts:ExternalId" = "arn:${local.partition}:redshift:${local.region}:${local.account}:dbuser:${local.serverless ? "serverless-${local.account}-*" : var.name}/*"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "copy" {
  name = "read-gold"
  role = aws_iam_role.copy.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [var.gold.bucket_arn] },
      { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${var.gold.bucket_arn}/*"] },
      {
        Sid       = "GoldKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.gold.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
      },
    ]
  })
}
