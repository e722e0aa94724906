# Made once in an account, before the environments: the bucket of their states. Its own state lies on the disk of whoever makes it, until
# it is moved into the bucket (docs/aws.md).

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      "managed-by" = "terraform"
      "part-of"    = "medallion"
      "root"       = "bootstrap"
    }
  }
}

module "backend" {
  source = "../modules/backend"

  bucket_name = coalesce(var.bucket_name, "${var.name}-terraform-${var.account_id}")
  lock        = var.lock
}
