# What a merge may change in its environment without an administrator: the programs and their monitoring,
# their roles within the boundary, who may talk to whom, Athena tables.
#
# Only an administrator changes what holds and protects data (docs/deployment.md, Every day): buckets,
# keys, databases, the removal of secrets, the network, the login, names and certificates, copies in
# another region, who may write to log groups. Whoever deploys decides what the platform's programs do,
# and these may read and write the lake and the warehouse. That is why people approve production.

locals {
  environments = toset(["staging", "production"])

  state = { for environment in local.environments : environment => [
    local.list_state,
    {
      # The state, and its lock file beside it.
      Sid      = "KeepItsState"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = "${var.state_bucket_arn}/${environment}.tfstate*"
    },
    {
      Sid      = "Unlock"
      Effect   = "Allow"
      Action   = "s3:DeleteObject"                                       # of a lock file in the state's bucket, never of the lake
      Resource = "${var.state_bucket_arn}/${environment}.tfstate.tflock" # not of *.tfstate
    },
    local.use_state_key,
  ] }

  # Resources that are named after their environment.
  #
  # Not the load balancer's listener and rules: they have the login. Not the databases: AWS has no condition
  # for backups, protection from deletion and passwords, so whoever may modify one may turn these off.
  named = { for environment in local.environments : environment => {
    Sid    = "ChangeWhatIsNamedAfterIt"
    Effect = "Allow"
    Action = [
      "athena:CreateWorkGroup", "athena:TagResource", "athena:UntagResource", "athena:UpdateWorkGroup",
      "budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource",
      "cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource",
      "ecs:CreateService", "ecs:DeleteService", "ecs:StopTask", "ecs:TagResource",
      "ecs:UntagResource", "ecs:UpdateCluster", "ecs:UpdateClusterSettings", "ecs:UpdateService",
      "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateTargetGroup",
      "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:ModifyLoadBalancerAttributes",
      "elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes",
      "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetSecurityGroups",
      "events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets",
      "events:TagResource", "events:UntagResource",
      "glue:CreateDatabase", "glue:CreateTable", "glue:DeleteTable", "glue:TagResource",
      "glue:UntagResource", "glue:UpdateDatabase", "glue:UpdateTable",
      "logs:CreateLogGroup", "logs:DeleteMetricFilter", "logs:PutMetricFilter",
      "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
      "rds:AddTagsToResource", "rds:RemoveTagsFromResource",
      "secretsmanager:CreateSecret", "secretsmanager:TagResource", "secretsmanager:UntagResource",
      "sns:CreateTopic", "sns:SetSubscriptionAttributes", "sns:SetTopicAttributes", "sns:Subscribe",
      "sns:TagResource", "sns:UntagResource",
    ]
    Resource = concat(
      [for place in [
        "athena:*:%s:workgroup/${var.name}-${environment}",
        "budgets::%s:budget/${var.name}-${environment}",
        "cloudwatch:*:%s:alarm:${var.name}-${environment}-*",
        "ecs:*:%s:cluster/${var.name}-${environment}",
        "ecs:*:%s:service/${var.name}-${environment}/*",
        "ecs:*:%s:task/${var.name}-${environment}/*",
        "ecs:*:%s:task-definition/${var.name}-${environment}-*",
        "elasticloadbalancing:*:%s:*/${var.name}-${environment}/*",
        "elasticloadbalancing:*:%s:targetgroup/${var.name}-${environment}-*",
        "events:*:%s:rule/${var.name}-${environment}-*",
        "glue:*:%s:catalog",
        "glue:*:%s:database/${var.name}_${environment}_*",
        "glue:*:%s:table/${var.name}_${environment}_*",
        "logs:*:%s:log-group:/${var.name}-${environment}/*",
        "logs:*:%s:log-group:/aws/*/${var.name}-${environment}*",
        "rds:*:%s:*:${var.name}-${environment}-*",
        "secretsmanager:*:%s:secret:${var.name}-${environment}/*",
        "sns:*:%s:${var.name}-${environment}-*",
      ] : format("arn:${local.partition}:${place}", local.account)],
    )
  } }

  # AWS has no names for these resources. Those with the tag of the environment belong to it.
  tagged = { for environment in local.environments : environment => [
    {
      Sid    = "ChangeItsSecurityGroups"
      Effect = "Allow"
      Action = [
        "ec2:AuthorizeSecurityGroup*", "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags",
        "ec2:ModifySecurityGroupRules", "ec2:RevokeSecurityGroup*",
        "ec2:UpdateSecurityGroupRuleDescriptions*", "servicediscovery:UpdateService",
      ]
      Resource  = "*"
      Condition = { StringEquals = { "aws:ResourceTag/Environment" = environment } }
    },
    {
      Sid    = "MakeSecurityGroups"
      Effect = "Allow"
      Action = ["ec2:AuthorizeSecurityGroup*", "ec2:CreateSecurityGroup"]
      Resource = [for kind in ["security-group-rule", "security-group"] :
        "arn:${local.partition}:ec2:*:${local.account}:${kind}/*"
      ]
      Condition = { StringEquals = { "aws:RequestTag/Environment" = environment } }
    },
    {
      Sid       = "InItsNetwork"
      Effect    = "Allow"
      Action    = "ec2:CreateSecurityGroup"
      Resource  = "arn:${local.partition}:ec2:*:${local.account}:vpc/*"
      Condition = { StringEquals = { "aws:ResourceTag/Environment" = environment } }
    },
    {
      Sid      = "TagWhatItMakes"
      Effect   = "Allow"
      Action   = "ec2:CreateTags"
      Resource = "*"
      Condition = {
        StringEquals = {
          "aws:RequestTag/Environment" = environment
          "ec2:CreateAction"           = ["AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "CreateSecurityGroup"]
        }
      }
    },
    {
      # .ci/deploy.py migrates, verifies and takes a batch.
      Sid    = "RunOneOffTasks"
      Effect = "Allow"
      Action = "ecs:RunTask"
      Resource = [for part in ["admin", "whole"] :
        "arn:${local.partition}:ecs:*:${local.account}:task-definition/${var.name}-${environment}-${part}:*"
      ]
      Condition = { ArnLike = { "ecs:cluster" = "arn:${local.partition}:ecs:*:${local.account}:cluster/${var.name}-${environment}" } }
    },
    {
      # AWS cannot restrict these to a resource or, for composite alarms, requires all resources. A task
      # definition can get only a role that the deployment may pass.
      Sid      = "WhatKnowsNoResources"
      Effect   = "Allow"
      Action   = ["cloudwatch:PutCompositeAlarm", "ecs:RegisterTaskDefinition", "sns:Unsubscribe"]
      Resource = "*"
    },
  ] }

  # These deny by name where AWS evaluates the name all the same: runs take the newest revision of a task
  # definition, and putting an alarm replaces the previous one.
  foreign = { for environment in local.environments : environment => {
    Sid    = "NotWhatIsNamedAfterTheOther"
    Effect = "Deny"
    Action = ["cloudwatch:PutCompositeAlarm", "ecs:RegisterTaskDefinition"]
    Resource = flatten([for other in setsubtract(local.environments, [environment]) : [
      "arn:${local.partition}:cloudwatch:*:${local.account}:alarm:${var.name}-${other}-*",
      "arn:${local.partition}:ecs:*:${local.account}:task-definition/${var.name}-${other}-*",
    ]])
  } }

  # Only roles of the environment, and only with the boundary: whoever takes over a build cannot create a
  # role with more rights than the platform's own.
  roles = { for environment in local.environments : environment => [
    {
      Sid    = "RolesWithinTheBoundary"
      Effect = "Allow"
      Action = [
        "iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
        "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy",
      ]
      Resource  = "${local.iam}:role/${var.name}-${environment}-*"
      Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary.arn } }
    },
    {
      Sid    = "ManageRoles"
      Effect = "Allow"
      Action = [
        "iam:DeleteRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
        "iam:UpdateRoleDescription",
      ]
      Resource = "${local.iam}:role/${var.name}-${environment}-*"
    },
    {
      Sid       = "GiveRoles"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = "${local.iam}:role/${var.name}-${environment}-*"
      Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    },
    {
      # Whoever could change these could do everything, or give a task the role that removes what is
      # locked. Reading is needed: see read.tf.
      Sid       = "NotItsOwnRights"
      Effect    = "Deny"
      NotAction = ["iam:Get*", "iam:List*"]
      Resource = [
        "${local.iam}:role/${var.name}-github-*", "${local.iam}:role/${var.name}-*-erase",
        aws_iam_policy.boundary.arn,
      ]
    },
    {
      # Applies where AWS evaluates the tags of a resource. The names above restrict the others.
      Sid      = "NotTheOtherEnvironment"
      Effect   = "Deny"
      Action   = "*"
      Resource = "*"
      Condition = {
        Null            = { "aws:ResourceTag/Environment" = "false" }
        StringNotEquals = { "aws:ResourceTag/Environment" = environment }
      }
    },
  ] }

  deploy = { for environment in local.environments : environment => concat(
    local.state[environment], [local.read_configuration, local.named[environment]],
    local.tagged[environment], [local.foreign[environment]], local.roles[environment],
    local.never,
  ) }
}
