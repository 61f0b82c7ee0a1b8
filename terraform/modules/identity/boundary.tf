# What a role of the platform can be given at most. Deleting from a bucket is not among it.

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
        Sid       = "PassRolesToTasks"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = "${local.iam}:role/${var.name}-*"
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ]
  })
}
