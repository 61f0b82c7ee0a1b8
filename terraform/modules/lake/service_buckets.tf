# Buckets beside the lake: access logs, the output of runs, and query results. The warehouse can be
# rebuilt without them, so their objects expire.

locals {
  service_buckets = {
    logs    = aws_s3_bucket.logs
    compute = aws_s3_bucket.compute
    queries = aws_s3_bucket.queries
  }

  keep_days = {
    logs    = var.log_days
    compute = 90
    queries = 7
  }
}

resource "aws_s3_bucket" "logs" {
  #checkov:skip=CKV_AWS_144: access logs are not worth a second region
  #checkov:skip=CKV2_AWS_62: nothing reacts to single log files
  #checkov:skip=CKV_AWS_18: this is the bucket of the access logs, whose own log would never end
  #checkov:skip=CKV_AWS_145: S3 and load balancers deliver logs only to buckets with keys of S3
  #checkov:skip=CKV_AWS_21: versioning is below; the check does not follow for_each
  bucket = "${var.name}-logs-${local.account}"
}

resource "aws_s3_bucket" "compute" {
  #checkov:skip=CKV_AWS_144: what runs printed is not worth a second region
  #checkov:skip=CKV2_AWS_62: nothing reacts to single log files
  #checkov:skip=CKV_AWS_21: versioning is below; the check does not follow for_each
  bucket = "${var.name}-compute-logs-${local.account}"
}

resource "aws_s3_bucket" "queries" {
  #checkov:skip=CKV_AWS_144: answers of queries can be asked for again
  #checkov:skip=CKV2_AWS_62: nothing reacts to single answers
  #checkov:skip=CKV_AWS_21: versioning is below; the check does not follow for_each
  bucket = "${var.name}-queries-${local.account}"
}

resource "aws_s3_bucket_versioning" "service" {
  for_each = local.service_buckets

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "service" {
  for_each = local.service_buckets

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "service" {
  for_each = local.service_buckets

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "service" {
  for_each = local.service_buckets

  bucket = each.value.id

  rule {
    bucket_key_enabled = each.key != "logs"

    apply_server_side_encryption_by_default {
      sse_algorithm     = each.key == "logs" ? "AES256" : "aws:kms"
      kms_master_key_id = each.key == "logs" ? null : var.key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "service" {
  for_each = local.service_buckets

  bucket = each.value.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = local.keep_days[each.key]
    }

    noncurrent_version_expiration {
      noncurrent_days = 7
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.service]
}

resource "aws_s3_bucket_logging" "service" {
  for_each = { for name, bucket in local.service_buckets : name => bucket if name != "logs" }

  bucket        = each.value.id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "s3/${each.key}/"

  # It lets S3 deliver.
  depends_on = [aws_s3_bucket_policy.service]
}

locals {
  tls_only = { for name, bucket in local.service_buckets : name => {
    Sid       = "EncryptedConnectionsOnly"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:*"
    Resource  = [bucket.arn, "${bucket.arn}/*"]
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  } }

  log_delivery = [
    {
      Sid       = "AccessLogsOfBuckets"
      Effect    = "Allow"
      Principal = { Service = "logging.s3.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "${aws_s3_bucket.logs.arn}/s3/*"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    },
    {
      Sid       = "AccessLogsOfTheLoadBalancer"
      Effect    = "Allow"
      Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "${aws_s3_bucket.logs.arn}/alb/*"
    },
  ]
}

resource "aws_s3_bucket_policy" "service" {
  for_each = local.service_buckets

  bucket = each.value.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([local.tls_only[each.key]], [for statement in local.log_delivery : statement if each.key == "logs"])
  })

  depends_on = [aws_s3_bucket_public_access_block.service]
}
