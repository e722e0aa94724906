provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  # The provisioner writes the owner's name on the table.
  ignore_tags {
    keys = ["medallion.owner"]
  }

  default_tags {
    tags = {
      "managed-by"  = "terraform"
      "part-of"     = "medallion"
      "environment" = local.environment
      "cost-center" = var.name
    }
  }
}
