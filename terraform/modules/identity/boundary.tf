# The most that a role of the platform can be granted. It does not include deleting from a bucket.

locals {
  # `*` is the environment.
  zone   = "arn:${local.partition}:s3:::${var.name}-*-ingestion-${local.account}"
  copies = "arn:${local.partition}:s3:::${var.name}-*-replica-${local.account}"
}

resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_355: a boundary is an upper bound; the policies within it name their resources
  #checkov:skip=CKV_AWS_290: a boundary is an upper bound; the policies within it name their resources
  #checkov:skip=CKV_AWS_288: a boundary is an upper bound; the policies within it name their resources
  #checkov:skip=CKV_AWS_289: a boundary is an upper bound; the policies within it name their resources
  #checkov:skip=CKV_AWS_287: a boundary is an upper bound; the policies within it name their resources
  name        = "${var.name}-boundary"
  description = "The most that a role of the platform can be given"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "AtMost"
        Effect = "Allow"
        Action = [
          "s3:GetObject", "s3:ListBucket", "s3:PutObject", "kms:Decrypt", "kms:GenerateDataKey",
          "ecs:RunTask", "ecs:StopTask", "ecs:DescribeTasks", "ecs:DescribeTaskDefinition",
          "ecs:TagResource", "ec2:DescribeNetworkInterfaces", "logs:CreateLogGroup",
          "logs:CreateLogStream", "logs:PutLogEvents", "logs:GetLogEvents", "logs:PutRetentionPolicy",
          "logs:DescribeLogGroups", "logs:DescribeLogStreams",
          "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage",
          "ecr:GetDownloadUrlForLayer", "secretsmanager:GetSecretValue",
          "secretsmanager:PutSecretValue", "sns:Publish",
        ]
        Resource = "*"
      },
      {
        # The agent of Dagster+ runs the code location as a service.
        Sid    = "RunCodeLocations"
        Effect = "Allow"
        Action = [
          "ecs:CreateService", "ecs:DeleteService", "ecs:DescribeServices", "ecs:ListAccountSettings",
          "ecs:ListServices", "ecs:ListTasks", "ecs:RegisterTaskDefinition", "ecs:UpdateService",
          "servicediscovery:CreateService", "servicediscovery:DeleteService",
          "servicediscovery:DeregisterInstance", "servicediscovery:GetNamespace",
          "servicediscovery:GetOperation", "servicediscovery:ListInstances",
          "servicediscovery:ListServices", "servicediscovery:ListTagsForResource",
          "servicediscovery:TagResource", "tag:GetResources",
        ]
        Resource = "*"
      },
      {
        Sid       = "PassRolesToTasks"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = "${local.iam}:role/${var.name}-*"
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        # S3 copies the ingestion zone to another region, and only there.
        Sid    = "ReadWhatIsCopied"
        Effect = "Allow"
        Action = [
          "s3:GetReplicationConfiguration", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl",
          "s3:GetObjectVersionTagging", "s3:GetObjectRetention", "s3:GetObjectLegalHold",
        ]
        Resource = [local.zone, "${local.zone}/*"]
      },
      {
        Sid      = "WriteCopies"
        Effect   = "Allow"
        Action   = ["s3:ReplicateObject", "s3:ReplicateTags"]
        Resource = "${local.copies}/*"
      },
      {
        Sid      = "EncryptCopies"
        Effect   = "Allow"
        Action   = "kms:Encrypt"
        Resource = "*"
        Condition = {
          StringLike = {
            "kms:ViaService"                   = "s3.*.amazonaws.com"
            "kms:EncryptionContext:aws:s3:arn" = [local.copies, "${local.copies}/*"]
          }
        }
      },
    ]
  })
}
