# The two zones of the lake. Objects are written once and never deleted, and the buckets enforce this
# whatever the program does: the bucket policy denies unconditional puts and all deletes, and the ingestion
# zone is locked as well. Administrators are bound until they change the policy. What they cannot remove
# even then is an object that is locked in COMPLIANCE mode.

data "aws_caller_identity" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  zones   = toset(["ingestion", "processed"])
}

resource "aws_s3_bucket" "zone" {
  #checkov:skip=CKV_AWS_144: a second region is a variable, off by default; versioning and the lock guard against deletion
  #checkov:skip=CKV2_AWS_62: nothing reacts to single objects, a batch exists when its manifest does
  #checkov:skip=CKV_AWS_21: versioning is below; the check does not follow for_each
  for_each = local.zones

  bucket              = "${var.name}-${each.key}-${local.account}"
  object_lock_enabled = each.key == "ingestion"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "zone" {
  for_each = local.zones

  bucket = aws_s3_bucket.zone[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

# Everything else can be regenerated from the ingestion zone, so only that zone is locked.
resource "aws_s3_bucket_object_lock_configuration" "ingestion" {
  bucket = aws_s3_bucket.zone["ingestion"].id

  rule {
    default_retention {
      mode = var.retention_mode
      days = var.retention_days
    }
  }
}

resource "aws_s3_bucket_public_access_block" "zone" {
  for_each = local.zones

  bucket                  = aws_s3_bucket.zone[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "zone" {
  for_each = local.zones

  bucket = aws_s3_bucket.zone[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "zone" {
  for_each = local.zones

  bucket = aws_s3_bucket.zone[each.key].id

  rule {
    # A bucket key saves one call to KMS per object.
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.key_arn
    }
  }
}

resource "aws_s3_bucket_logging" "zone" {
  for_each = local.zones

  bucket        = aws_s3_bucket.zone[each.key].id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "s3/${each.key}/"

  # It lets S3 deliver.
  depends_on = [aws_s3_bucket_policy.service]
}

# Nothing that a batch refers to ever expires. Only unreferenced data does: parts of uploads that were
# never completed, and versions that an administrator hid behind another version or a delete marker. The
# part files of a killed capture stay, because they are stored among those of committed batches. They
# cost a few cents; `totesys verify` counts them.
resource "aws_s3_bucket_lifecycle_configuration" "zone" {
  for_each = local.zones

  bucket = aws_s3_bucket.zone[each.key].id

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  rule {
    id     = "hidden-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.hidden_version_days
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  rule {
    # Rows are read when they are new, and by a rebuild. Manifests and receipts are small, and S3 does
    # not move objects below 128 kB.
    id     = "old-rows"
    status = "Enabled"

    filter {
      prefix = "rows/"
    }

    transition {
      days          = 30
      storage_class = "INTELLIGENT_TIERING"
    }
  }

  depends_on = [aws_s3_bucket_versioning.zone]
}

locals {
  # The role of modules/roles/erase.tf, which an administrator gives to a task to erase PII.
  unless_erasing = {
    ArnNotEquals = {
      "aws:PrincipalArn" = "arn:${data.aws_partition.current.partition}:iam::${local.account}:role/${var.name}-erase"
    }
  }

  zone_policies = { for zone in local.zones : zone => {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "EncryptedConnectionsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.zone[zone].arn, "${aws_s3_bucket.zone[zone].arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        # `If-None-Match: *` or nothing. Parts of multipart uploads and copies cannot carry it, so
        # they are refused as well: the platform writes each object with one put.
        Sid       = "WrittenOnce"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.zone[zone].arn}/*"
        Condition = merge(
          { Null = { "s3:if-none-match" = "true" } },
          # An erasure replaces the receipts of the batches that it processes again.
          zone == "processed" ? local.unless_erasing : {},
        )
      },
      {
        Sid       = "NobodyDeletes"
        Effect    = "Deny"
        Principal = "*"
        Action = [
          "s3:DeleteObject",
          "s3:DeleteObjectVersion",
          "s3:BypassGovernanceRetention",
        ]
        Resource  = "${aws_s3_bucket.zone[zone].arn}/*"
        Condition = local.unless_erasing
      },
      {
        # A put that requests no encryption gets the bucket's. A negated operator, with IfExists or
        # without, is true if the key is missing, and would deny every put by the platform.
        Sid       = "NoOtherEncryption"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.zone[zone].arn}/*"
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
        }
      },
    ]
  } }
}

resource "aws_s3_bucket_policy" "zone" {
  for_each = local.zones

  bucket = aws_s3_bucket.zone[each.key].id
  policy = jsonencode(local.zone_policies[each.key])

  depends_on = [aws_s3_bucket_public_access_block.zone]
}
