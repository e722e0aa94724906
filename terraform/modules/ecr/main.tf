# Repositories of the images. A tag names one image for ever, so that what runs can be found again.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  suffix   = startswith(data.aws_region.current.region, "cn-") ? "amazonaws.com.cn" : "amazonaws.com"
  registry = "${data.aws_caller_identity.current.account_id}.dkr.ecr.${data.aws_region.current.region}.${local.suffix}/${var.prefix}"
}

module "key" {
  source = "../kms_key"

  name        = "${var.prefix}-images"
  description = "Images of ${var.prefix}"
  services    = ["ecr"]
}

resource "aws_ecr_repository" "this" {
  for_each = var.repositories

  name                 = "${var.prefix}/${each.key}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.force_delete

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = module.key.arn
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = var.repositories

  repository = aws_ecr_repository.this[each.key].name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Images that lost their tag, such as layers of an index that was built anew"
      selection = {
        tagStatus   = "untagged"
        countType   = "sinceImagePushed"
        countUnit   = "days"
        countNumber = var.untagged_days
      }
      action = { type = "expire" }
    }]
  })
}
