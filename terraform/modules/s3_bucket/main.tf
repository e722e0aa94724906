# One bucket with all that it needs. A module of one bucket, called with for_each, so that whoever checks a bucket finds its settings.

data "aws_caller_identity" "current" {}

locals {
  objects = "${aws_s3_bucket.this.arn}/*"

  everybody = { AWS = "*" }

  plain_refused = [
    {
      Sid       = "RefusePlainHttp"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this.arn, local.objects]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    },
    {
      Sid       = "RefuseOldTls"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this.arn, local.objects]
      Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
    },
  ]

  strangers_refused = [
    {
      Sid       = "RefuseOtherAccounts"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this.arn, local.objects]
      Condition = {
        StringNotEquals = { "aws:PrincipalAccount" = data.aws_caller_identity.current.account_id }
        Bool            = { "aws:PrincipalIsAWSService" = "false" }
      }
    },
  ]

  # A put that asks for no encryption gets the bucket's; one that asks for another is refused.
  other_keys_refused = var.for_log_delivery ? [] : [
    {
      Sid       = "RefuseOtherEncryption"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = "s3:PutObject"
      Resource  = local.objects
      Condition = {
        Null            = { "s3:x-amz-server-side-encryption" = "false" }
        StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
      }
    },
    {
      Sid       = "RefuseOtherKeys"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = "s3:PutObject"
      Resource  = local.objects
      Condition = {
        Null            = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "false" }
        StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = var.kms_key_arn }
      }
    },
    {
      Sid       = "RefuseKeysOfClients"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = "s3:PutObject"
      Resource  = local.objects
      Condition = { Null = { "s3:x-amz-server-side-encryption-customer-algorithm" = "false" } }
    },
  ]

  # One writer wins each version of a table. The parts of an upload in parts carry no condition, only its completion does; and
  # _last_checkpoint, which is a hint and no entry, is overwritten.
  log_entries_kept = !var.protect_delta_log ? [] : [
    {
      Sid       = "RefuseOverwritingLogEntries"
      Effect    = "Deny"
      Principal = local.everybody
      Action    = "s3:PutObject"
      Resource  = "${aws_s3_bucket.this.arn}/*/_delta_log/*.json"
      Condition = {
        Null = { "s3:if-none-match" = "true" }
        Bool = { "s3:ObjectCreationOperation" = "true" }
      }
    },
  ]
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144:a copy in another region is a decision about disasters and money, not this module's; versions are kept
  #checkov:skip=CKV2_AWS_62:nobody waits for events of these buckets; the tables' logs say what is new
  #checkov:skip=CKV_AWS_18:the log bucket logs into no other, all others have aws_s3_bucket_logging below
  #checkov:skip=CKV_AWS_145:only buckets of logs are without a KMS key, because log delivery knows SSE-S3 alone
  bucket        = var.name
  force_destroy = var.force_destroy

  depends_on = [terraform_data.key]
}

# `destroy` ends the key only after the bucket is gone. A bucket that is not empty refuses, and what is in it must stay readable.
resource "terraform_data" "key" {
  input = var.kms_key_arn
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    # One data key for many objects: a hundredth of the requests to KMS.
    bucket_key_enabled = !var.for_log_delivery

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.for_log_delivery ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "keep-and-forget"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    # Without days only the marks of deletions go whose versions are all gone; with days S3 takes these, too.
    expiration {
      days                         = var.expire_days
      expired_object_delete_marker = var.expire_days == null ? true : null
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_uploads_days
    }

    dynamic "transition" {
      for_each = var.transition == null ? [] : [var.transition]

      content {
        days          = transition.value.days
        storage_class = transition.value.storage_class
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_logging" "this" {
  count = var.access_log_bucket == null ? 0 : 1

  bucket        = aws_s3_bucket.this.id
  target_bucket = var.access_log_bucket
  target_prefix = "${var.name}/"

  target_object_key_format {
    partitioned_prefix {
      partition_date_source = "EventTime"
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.plain_refused, local.strangers_refused, local.other_keys_refused, local.log_entries_kept, jsondecode(var.policy_statements),
    )
  })

  # Both change who may do what: at the same time they conflict.
  depends_on = [aws_s3_bucket_public_access_block.this]
}
