# Reading: what Terraform compares with the code, its state, and the image that is pushed. The
# configuration of services is not secret, with one exception that AWS has no separate permission for:
# describing a Cognito client returns its secret, which therefore is in Terraform's state too.

locals {
  read_configuration = {
    Sid    = "ReadConfiguration"
    Effect = "Allow"
    Action = [
      "acm:DescribeCertificate", "acm:ListTagsForCertificate",
      "athena:GetWorkGroup", "athena:ListTagsForResource",
      "budgets:ListTagsForResource", "budgets:ViewBudget",
      "cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource",
      "cognito-idp:DescribeUserPool*", "cognito-idp:GetUserPoolMfaConfig", "cognito-idp:ListTagsForResource",
      "ec2:Describe*",
      "ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:ListTagsForResource",
      "ecs:Describe*", "ecs:List*",
      "elasticloadbalancing:Describe*",
      "events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule",
      "glue:GetDatabase", "glue:GetPartitionIndexes", "glue:GetTable", "glue:GetTags",
      # This includes the boundary, which environments read by its name.
      "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy",
      "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListPolicies",
      "iam:ListPolicyTags", "iam:ListPolicyVersions", "iam:ListRolePolicies", "iam:ListRoleTags",
      "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases",
      "kms:ListResourceTags",
      "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:DescribeMetricFilters",
      "logs:DescribeResourcePolicies", "logs:ListTagsForResource",
      "rds:Describe*", "rds:ListTagsForResource",
      "route53:GetChange", "route53:GetHostedZone", "route53:ListResourceRecordSets",
      "route53:ListTagsForResource",
      # Buckets and the names of their objects, but no object.
      "s3:Get*Configuration", "s3:GetBucket*", "s3:ListBucket", "s3:ListTagsForResource",
      "secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy",
      "servicediscovery:Get*", "servicediscovery:ListTagsForResource",
      "sns:GetSubscriptionAttributes", "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic",
      "sns:ListTagsForResource",
    ]
    Resource = "*"
  }

  list_state = {
    Sid      = "ListStates"
    Effect   = "Allow"
    Action   = "s3:ListBucket"
    Resource = var.state_bucket_arn
  }
  use_state_key = {
    Sid      = "UseTheKeyOfTheState"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = var.key_arn
  }
  read_state = [
    local.list_state,
    {
      Sid      = "ReadStates"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = [for environment in local.environments : "${var.state_bucket_arn}/${environment}.tfstate"]
    },
    merge(local.use_state_key, { Action = "kms:Decrypt" }),
  ]

  # Denied whatever else is allowed: every object of the lake, every secret.
  never = [
    {
      Sid    = "NoData"
      Effect = "Deny"
      Action = [
        "s3:BypassGovernanceRetention", "s3:DeleteBucket*", "s3:DeleteObject*", "s3:GetObject*",
        "s3:PutObject*", "s3:PutBucket*", "s3:PutEncryptionConfiguration",
        "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration",
      ]
      NotResource = [var.state_bucket_arn, "${var.state_bucket_arn}/*"]
    },
    {
      Sid    = "NoSecretsNoLossOfThem"
      Effect = "Deny"
      Action = [
        "kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "rds:DeleteDBInstance*",
        "rds:DeleteDBSnapshot", "rds:ModifyDBSnapshotAttribute", "secretsmanager:*SecretValue",
        "secretsmanager:DeleteSecret", "secretsmanager:PutResourcePolicy", "secretsmanager:UpdateSecret",
      ]
      Resource = "*"
    },
  ]

  push_image = [
    {
      Sid      = "LogIn"
      Effect   = "Allow"
      Action   = "ecr:GetAuthorizationToken"
      Resource = "*"
    },
    {
      Sid    = "Push"
      Effect = "Allow"
      Action = [
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload",
        "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload",
        "ecr:PutImage", "ecr:UploadLayerPart",
      ]
      Resource = var.registry_arn
    },
  ]
}
