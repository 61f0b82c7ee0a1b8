# The role to break the glass with: the only one that may remove versions of objects, and so the only one
# that can erase PII (docs/erasure.md). No program has it. An administrator gives it to a one-off task
# in place of the role `admin`, and only somebody who may pass it can do so.
#
# It has no boundary, because the boundary excludes deletions for all others: an administrator makes it.

resource "aws_iam_role" "erase" {
  name               = "${var.name}-erase"
  assume_role_policy = local.assumed_by_tasks
}

resource "aws_iam_role_policy" "erase" {
  name = "erase"
  role = aws_iam_role.erase.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.task_statements.admin, local.setting_statements["admin"], [
      {
        Sid      = "ListVersions"
        Effect   = "Allow"
        Action   = "s3:ListBucketVersions"
        Resource = [var.bucket_arns.ingestion, var.bucket_arns.processed]
      },
      {
        Sid      = "RemoveVersions"
        Effect   = "Allow"
        Action   = ["s3:GetObjectVersion", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]
        Resource = concat(["${var.bucket_arns.ingestion}/rows/*"], local.processed_keys)
      },
      {
        Sid      = "RecordErasures"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = [for kind in ["erasures", "rows"] : "${var.bucket_arns.ingestion}/${kind}/*"]
      },
    ])
  })
}
