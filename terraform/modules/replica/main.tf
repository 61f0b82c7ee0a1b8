# What survives the loss of a region: a copy of the ingestion zone, from which everything else can be
# regenerated, and the backups of the databases. Its provider is the other region's.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

# A separate key: the environment's is lost with its region.
resource "aws_kms_key" "this" {
  description             = "Copies of data and backups of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Account"
      Effect    = "Allow"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket" "ingestion" {
  #checkov:skip=CKV_AWS_144: it is the copy
  #checkov:skip=CKV_AWS_18: nobody reads it; who writes is S3, which the bucket that is copied has the logs of
  #checkov:skip=CKV2_AWS_62: nothing reacts to single objects
  bucket              = "${var.name}-replica-${data.aws_caller_identity.current.account_id}"
  object_lock_enabled = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "ingestion" {
  bucket = aws_s3_bucket.ingestion.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "ingestion" {
  bucket = aws_s3_bucket.ingestion.id

  rule {
    default_retention {
      mode = var.retention_mode
      days = var.retention_days
    }
  }
}

resource "aws_s3_bucket_public_access_block" "ingestion" {
  bucket                  = aws_s3_bucket.ingestion.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "ingestion" {
  bucket = aws_s3_bucket.ingestion.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "ingestion" {
  bucket = aws_s3_bucket.ingestion.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.this.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "ingestion" {
  bucket = aws_s3_bucket.ingestion.id

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "ingestion" {
  bucket = aws_s3_bucket.ingestion.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.ingestion.arn, "${aws_s3_bucket.ingestion.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        # Only S3's replication writes here, and nobody deletes.
        Sid       = "CopiesOnly"
        Effect    = "Deny"
        Principal = "*"
        Action = [
          "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ReplicateDelete",
          "s3:BypassGovernanceRetention",
        ]
        Resource = "${aws_s3_bucket.ingestion.arn}/*"
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.ingestion]
}

# Snapshots and the log between them: a database can be restored to within five minutes of the loss.
resource "aws_db_instance_automated_backups_replication" "this" {
  for_each = var.database_arns

  source_db_instance_arn = each.value
  kms_key_id             = aws_kms_key.this.arn
  retention_period       = var.backup_days
}
