# What the agent may do: run the code location as a service that Cloud Map makes known, launch and stop
# runs, and give both the roles of the platform's programs, no others. What it makes itself has the tag
# `Agent`. It reads no data and no secret; ECS gives it its token.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  ecs       = "arn:${local.partition}:ecs:${var.region}:${local.account}"
  discovery = "arn:${local.partition}:servicediscovery:${var.region}:${local.account}"

  services   = "${local.ecs}:service/${var.cluster.name}/*"
  tasks      = "${local.ecs}:task/${var.cluster.name}/*"
  in_cluster = { ArnEquals = { "ecs:cluster" = var.cluster.arn } }

  # The code location has the role of `code`, each run that of its stage.
  passed = concat(
    [for part in ["code", "capture", "process", "load", "whole"] : var.task_role_arns[part]],
    [aws_iam_role.execution["agent-tasks"].arn],
  )

  task_statements = [
    {
      Sid       = "RunTheCodeLocation"
      Effect    = "Allow"
      Action    = ["ecs:CreateService", "ecs:DeleteService", "ecs:DescribeServices", "ecs:UpdateService"]
      Resource  = local.services
      Condition = local.in_cluster
    },
    {
      Sid      = "NotTheServicesOfTerraform"
      Effect   = "Deny"
      Action   = ["ecs:CreateService", "ecs:DeleteService", "ecs:UpdateService"]
      Resource = [for service in ["agent", "code", "daemon", "web"] : "${local.ecs}:service/${var.cluster.name}/${service}"]
    },
    {
      # Dagster names the families of runs; those of Terraform, such as `prepare`, are named otherwise.
      Sid       = "LaunchRuns"
      Effect    = "Allow"
      Action    = "ecs:RunTask"
      Resource  = "${local.ecs}:task-definition/dagsterrun_*:*"
      Condition = local.in_cluster
    },
    {
      Sid       = "WatchAndStopTasks"
      Effect    = "Allow"
      Action    = ["ecs:DescribeTasks", "ecs:StopTask"]
      Resource  = local.tasks
      Condition = local.in_cluster
    },
    {
      Sid       = "TagThem"
      Effect    = "Allow"
      Action    = "ecs:TagResource"
      Resource  = [local.services, local.tasks]
      Condition = { StringEquals = { "ecs:CreateAction" = ["CreateService", "RunTask"] } }
    },
    {
      # AWS cannot restrict these to a service or a family.
      Sid       = "ListWhatRuns"
      Effect    = "Allow"
      Action    = ["ecs:ListServices", "ecs:ListTasks"]
      Resource  = "*"
      Condition = local.in_cluster
    },
    {
      Sid    = "WhatKnowsNoResources"
      Effect = "Allow"
      Action = [
        "ecs:DescribeTaskDefinition", "ecs:ListAccountSettings", "ecs:RegisterTaskDefinition",
        "servicediscovery:GetOperation", "servicediscovery:ListInstances", "servicediscovery:ListServices",
        "servicediscovery:ListTagsForResource", "tag:GetResources",
      ]
      Resource = "*"
    },
    {
      Sid      = "ReadTheNamespace"
      Effect   = "Allow"
      Action   = "servicediscovery:GetNamespace"
      Resource = var.namespace.arn
    },
    {
      # Applies where AWS evaluates the name: an environment's own families start with its name.
      Sid      = "NotTheTaskDefinitionsOfTerraform"
      Effect   = "Deny"
      Action   = "ecs:RegisterTaskDefinition"
      Resource = "${local.ecs}:task-definition/totesys-*"
    },
    {
      Sid       = "MakeTheCodeLocationKnown"
      Effect    = "Allow"
      Action    = ["servicediscovery:CreateService", "servicediscovery:TagResource"]
      Resource  = [var.namespace.arn, "${local.discovery}:service/*"]
      Condition = { StringEquals = { "aws:RequestTag/Agent" = var.name } }
    },
    {
      Sid       = "ForgetTheCodeLocation"
      Effect    = "Allow"
      Action    = ["servicediscovery:DeleteService", "servicediscovery:DeregisterInstance"]
      Resource  = "${local.discovery}:service/*"
      Condition = { StringEquals = { "aws:ResourceTag/Agent" = var.name } }
    },
    {
      Sid       = "GiveTasksTheirRoles"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = local.passed
      Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    },
    {
      # The last lines of a task that died become the reason of its failure.
      Sid      = "ReadLogsOfTasks"
      Effect   = "Allow"
      Action   = "logs:GetLogEvents"
      Resource = "${aws_cloudwatch_log_group.this.arn}:*"
    },
  ]

  # With which ECS starts the agent, and what the agent runs. Only the first reads the token.
  execution_secrets = { agent = [aws_secretsmanager_secret.token.arn], agent-tasks = [] }

  execution_policies = {
    for part, secrets in local.execution_secrets : part => jsonencode({
      Version = "2012-10-17"
      Statement = [for statement in [
        {
          Sid      = "LogInToTheRegistry"
          Effect   = "Allow"
          Action   = "ecr:GetAuthorizationToken"
          Resource = "*"
        },
        {
          Sid      = "PullTheImage"
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = var.repository_arn
        },
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.this.arn}:*"
        },
        {
          Sid      = "ReadTheToken"
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = secrets
        },
        {
          Sid       = "DecryptTheToken"
          Effect    = "Allow"
          Action    = "kms:Decrypt"
          Resource  = var.key_arn
          Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
        },
      ] : statement if length(secrets) > 0 || !endswith(statement.Sid, "TheToken")]
    })
  }

  assumed_by_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role" "task" {
  name                 = "${var.name}-agent"
  assume_role_policy   = local.assumed_by_tasks
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "task" {
  #checkov:skip=CKV_AWS_355: only actions that AWS cannot restrict to resources
  #checkov:skip=CKV_AWS_290: only ecs:RegisterTaskDefinition, which AWS cannot restrict; roles are restricted by iam:PassRole
  name   = "agent"
  role   = aws_iam_role.task.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.task_statements })
}

resource "aws_iam_role" "execution" {
  for_each = local.execution_secrets

  name                 = "${var.name}-${each.key}-execution"
  assume_role_policy   = local.assumed_by_tasks
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "execution" {
  #checkov:skip=CKV_AWS_355: only ecr:GetAuthorizationToken, which knows no resources
  for_each = local.execution_policies

  name   = each.key
  role   = aws_iam_role.execution[each.key].id
  policy = each.value
}
