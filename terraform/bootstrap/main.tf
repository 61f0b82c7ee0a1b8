# What must exist before anything else: the bucket for Terraform's state, the image repository, and the
# roles for GitHub Actions. A person applies it, once per account. Its own state is kept in the bucket
# that it creates, see docs/deployment.md.

locals {
  name = "totesys"
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { Project = "totesys_dagster" }
  }
}

data "aws_caller_identity" "current" {}

module "key" {
  source = "../modules/key"

  name   = "${local.name}-bootstrap"
  region = var.region
}

resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_144: the state can be imported anew, and holds no secret
  #checkov:skip=CKV2_AWS_62: nothing reacts to changes of the state
  #checkov:skip=CKV_AWS_18: CloudTrail records who applied what
  bucket = "${local.name}-terraform-${data.aws_caller_identity.current.account_id}"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = module.key.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    id     = "old-states"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days           = 365
      newer_noncurrent_versions = 20
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EncryptedConnectionsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.state]
}

module "registry" {
  source = "../modules/registry"

  name    = local.name
  key_arn = module.key.arn
}

module "identity" {
  source = "../modules/identity"

  name             = local.name
  repository       = var.repository
  state_bucket_arn = aws_s3_bucket.state.arn
  key_arn          = module.key.arn
  registry_arn     = module.registry.arn
}
