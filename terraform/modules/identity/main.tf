# What GitHub Actions may do in this account, without any stored key:
#
#   deploy   from the main branch alone: applies Terraform and pushes images
#   plan     from pull requests of this repository: reads the configuration, and no data
#
# A job with an `environment` has another subject, so the workflows use none for these roles. Pull
# requests of forks get no token from GitHub.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  issuer    = "token.actions.githubusercontent.com"
  resources = "arn:${local.partition}:iam::${local.account}"

  subjects = {
    deploy = "repo:${var.repository}:ref:refs/heads/main"
    plan   = "repo:${var.repository}:pull_request"
  }

  trust = { for role, subject in local.subjects : role => jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = aws_iam_openid_connect_provider.github.arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = subject
        }
      }
    }]
  }) }

  state = {
    read = [
      {
        Sid      = "ReadState"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:ListBucket"]
        Resource = [var.state_bucket_arn, "${var.state_bucket_arn}/*"]
      },
      {
        Sid      = "DecryptState"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.key_arn
      },
    ]
    write = [
      {
        Sid      = "WriteState"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.state_bucket_arn}/*"
      },
      {
        # A lock is a file beside the state, and is removed to unlock.
        Sid      = "Unlock"
        Effect   = "Allow"
        Action   = "s3:DeleteObject" # of a lock file in the state's bucket, never of the lake
        Resource = "${var.state_bucket_arn}/*.tflock"
      },
      {
        Sid      = "EncryptState"
        Effect   = "Allow"
        Action   = "kms:GenerateDataKey"
        Resource = var.key_arn
      },
    ]
  }

  # Configuration of what the platform is made of. Data is not in it: see `never` below.
  manage = {
    Sid    = "ManagePlatform"
    Effect = "Allow"
    Action = [
      "acm:*", "athena:*", "budgets:*", "cloudwatch:*", "cognito-idp:*", "ec2:*", "ecr:*", "ecs:*",
      "elasticloadbalancing:*", "events:*", "glue:*", "kms:*", "logs:*", "rds:*", "route53:*",
      "secretsmanager:*", "servicediscovery:*", "sns:*",
      # Buckets, but no object in them.
      "s3:CreateBucket", "s3:GetBucket*", "s3:Get*Configuration", "s3:ListBucket", "s3:PutBucket*",
      "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration",
    ]
    Resource = "*"
  }

  # Roles of the platform only, and only with the boundary, so that whoever takes over a build cannot
  # make a role that may do more than the platform's own.
  manage_roles = [
    {
      Sid       = "MakeRolesWithinTheBoundary"
      Effect    = "Allow"
      Action    = ["iam:CreateRole", "iam:PutRolePermissionsBoundary"]
      Resource  = "${local.resources}:role/${var.name}-*"
      Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary.arn } }
    },
    {
      Sid    = "ManageRoles"
      Effect = "Allow"
      Action = [
        "iam:AttachRolePolicy", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
        "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies",
        "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:ListRoleTags",
        "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole",
      ]
      Resource = "${local.resources}:role/${var.name}-*"
    },
    {
      Sid      = "GiveRoles"
      Effect   = "Allow"
      Action   = "iam:PassRole"
      Resource = "${local.resources}:role/${var.name}-*"
      Condition = {
        StringEquals = {
          "iam:PassedToService" = ["ecs-tasks.amazonaws.com", "monitoring.rds.amazonaws.com", "vpc-flow-logs.amazonaws.com"]
        }
      }
    },
    {
      # Made once in an account by the first cluster, balancer or database.
      Sid      = "ServiceRoles"
      Effect   = "Allow"
      Action   = "iam:CreateServiceLinkedRole"
      Resource = "${local.resources}:role/aws-service-role/*"
    },
    {
      Sid    = "NotItsOwnRoles"
      Effect = "Deny"
      Action = "iam:*"
      Resource = [
        "${local.resources}:role/${var.name}-github-*",
        aws_iam_policy.boundary.arn,
      ]
    },
  ]

  # Whatever else is allowed: data is neither read nor removed.
  never = [
    {
      Sid    = "NeverTouchData"
      Effect = "Deny"
      Action = [
        "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:DeleteBucket", "s3:BypassGovernanceRetention",
        "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject",
      ]
      NotResource = [var.state_bucket_arn, "${var.state_bucket_arn}/*"]
    },
    {
      Sid    = "NeverReadSecretsOrLoseKeys"
      Effect = "Deny"
      Action = [
        "secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue",
        "secretsmanager:PutSecretValue", "kms:ScheduleKeyDeletion", "kms:DisableKey",
      ]
      Resource = "*"
    },
  ]

  policies = {
    deploy = concat(local.state.read, local.state.write, [local.manage], local.manage_roles, local.never)
    plan   = concat(local.state.read, local.never)
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

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
        Resource  = "${local.resources}:role/${var.name}-*"
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ]
  })
}

resource "aws_iam_role" "github" {
  for_each = local.subjects

  name                 = "${var.name}-github-${each.key}"
  assume_role_policy   = local.trust[each.key]
  max_session_duration = 7200
}

resource "aws_iam_role_policy" "github" {
  #checkov:skip=CKV_AWS_355: Terraform makes what has no name yet; the last two statements bound it
  #checkov:skip=CKV_AWS_290: Terraform makes what has no name yet; the last two statements bound it
  #checkov:skip=CKV_AWS_288: reading data and secrets is denied in the same policy
  #checkov:skip=CKV_AWS_289: roles are bound to the prefix and the boundary
  #checkov:skip=CKV_AWS_287: reading secrets is denied in the same policy
  #checkov:skip=CKV_AWS_286: roles are bound to the prefix and the boundary
  for_each = local.policies

  name   = "platform"
  role   = aws_iam_role.github[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

# Both read the configuration of services, and with these two no data.
resource "aws_iam_role_policy_attachment" "read" {
  for_each = {
    for pair in setproduct(keys(local.subjects), ["SecurityAudit", "job-function/ViewOnlyAccess"]) :
    join("/", pair) => { role = pair[0], policy = pair[1] }
  }

  role       = aws_iam_role.github[each.value.role].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.value.policy}"
}
