# The state of this environment. Which bucket, and how it is locked, stands in the file that the bootstrap root writes:
#   terraform init -backend-config=../backend.hcl
terraform {
  backend "s3" {
    key = "medallion/prod.tfstate"
  }
}
