# What each part of the platform may do, and nothing else. No role may delete or overwrite an object of
# the lake: no policy here allows it, and the bucket policies deny it as well.
#
#   capture   reads its zone, writes batches into it
#   process   reads both zones, writes the processed one
#   load      reads both zones, writes the audit's requests
#   whole     all of that: for the job `whole_path`, and for what people launch by hand
#   code      the code location, whose sensors read both zones and write the audit's requests
#   daemon    launches and watches runs
#   web       shows them, and stops them when asked; reads the published pages, and no other object
#             of the lake
#   prepare   makes the roles of the databases and their passwords
#   admin     migrates, verifies and rebuilds the warehouse, when a person starts it

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  roles = "arn:${local.partition}:iam::${local.account}:role/${var.name}"

  # Which keys each step writes; see The lake in ARCHITECTURE.md.
  batch_keys     = [for kind in ["manifests", "commits", "audits", "rows", "keys", "schemas", "references", "probe"] : "${var.bucket_arns.ingestion}/${kind}/*"]
  request_keys   = ["${var.bucket_arns.ingestion}/requests/*"]
  processed_keys = [for kind in ["receipts", "reports", "rows", "quarantine", "probe"] : "${var.bucket_arns.processed}/${kind}/*"]

  read_ingestion = {
    Sid      = "ReadIngestionZone"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:ListBucket"]
    Resource = [var.bucket_arns.ingestion, "${var.bucket_arns.ingestion}/*"]
  }
  read_processed = {
    Sid      = "ReadProcessedZone"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:ListBucket"]
    Resource = [var.bucket_arns.processed, "${var.bucket_arns.processed}/*"]
  }
  read_pages = [
    {
      Sid      = "ReadPages"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "${var.bucket_arns.processed}/reports/page/*"
    },
    {
      Sid       = "ListPages"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = var.bucket_arns.processed
      Condition = { StringLike = { "s3:prefix" = "reports/page/*" } }
    },
  ]
  write_batches = {
    Sid      = "WriteBatches"
    Effect   = "Allow"
    Action   = "s3:PutObject"
    Resource = local.batch_keys
  }
  write_requests = {
    Sid      = "WriteRequests"
    Effect   = "Allow"
    Action   = "s3:PutObject"
    Resource = local.request_keys
  }
  write_processed = {
    Sid      = "WriteProcessedTables"
    Effect   = "Allow"
    Action   = "s3:PutObject"
    Resource = local.processed_keys
  }
  # The sensor lists what is delivered, and a run of `whole` takes it.
  read_drops = [
    for bucket in compact([var.drops_bucket_arn]) : {
      Sid      = "ReadDrops"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:ListBucket"]
      Resource = [bucket, "${bucket}/*"]
    }
  ]
  use_key = {
    Sid       = "EncryptObjects"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = var.key_arn
    Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
  }
  # What steps and sensors print; the web server shows it.
  compute_logs = {
    Sid      = "ComputeLogs"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
    Resource = [var.bucket_arns.compute, "${var.bucket_arns.compute}/*"]
  }
  read_compute_logs = merge(local.compute_logs, {
    Sid    = "ReadComputeLogs"
    Action = ["s3:GetObject", "s3:ListBucket"]
  })

  # The alert sensor is evaluated in the code location. The topic is encrypted with the key.
  publish_alerts = [
    {
      Sid      = "PublishAlerts"
      Effect   = "Allow"
      Action   = "sns:Publish"
      Resource = var.alert_topic_arn
    },
    {
      Sid       = "EncryptAlerts"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = var.key_arn
      Condition = { StringEquals = { "kms:ViaService" = "sns.${var.region}.amazonaws.com" } }
    },
  ]

  in_cluster = { ArnEquals = { "ecs:cluster" = var.cluster_arn } }
  run_tasks = [
    for stage in ["capture", "process", "load", "whole"] :
    "arn:${local.partition}:ecs:${var.region}:${local.account}:task-definition/${var.name}-${stage}:*"
  ]
  tasks = "arn:${local.partition}:ecs:${var.region}:${local.account}:task/${var.name}/*"

  describe_runs = [
    {
      Sid       = "WatchAndStopRuns"
      Effect    = "Allow"
      Action    = ["ecs:DescribeTasks", "ecs:StopTask"]
      Resource  = local.tasks
      Condition = local.in_cluster
    },
    {
      # ECS cannot restrict this permission to single task definitions.
      Sid      = "ReadTaskDefinitions"
      Effect   = "Allow"
      Action   = "ecs:DescribeTaskDefinition"
      Resource = "*"
    },
  ]

  launch_runs = [
    {
      Sid       = "LaunchRuns"
      Effect    = "Allow"
      Action    = "ecs:RunTask"
      Resource  = local.run_tasks
      Condition = local.in_cluster
    },
    {
      Sid       = "TagRuns"
      Effect    = "Allow"
      Action    = "ecs:TagResource"
      Resource  = local.tasks
      Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
    },
    {
      Sid    = "GiveRunsTheirRoles"
      Effect = "Allow"
      Action = "iam:PassRole"
      Resource = flatten([
        for stage in ["capture", "process", "load", "whole"] :
        ["${local.roles}-${stage}", "${local.roles}-${stage}-execution"]
      ])
      Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    },
    {
      # The launcher starts runs in the daemon's own subnets and security groups.
      Sid      = "ReadOwnNetwork"
      Effect   = "Allow"
      Action   = "ec2:DescribeNetworkInterfaces"
      Resource = "*"
    },
    {
      # The last lines of a run that died become the reason of its failure.
      Sid      = "ReadLogsOfRuns"
      Effect   = "Allow"
      Action   = "logs:GetLogEvents"
      Resource = [for stage in ["capture", "process", "load", "whole"] : "${var.log_group_arns[stage]}:*"]
    },
  ]

  task_statements = {
    capture = [local.read_ingestion, local.write_batches, local.use_key, local.compute_logs]
    process = [local.read_ingestion, local.read_processed, local.write_processed, local.use_key, local.compute_logs]
    load    = [local.read_ingestion, local.read_processed, local.write_requests, local.use_key, local.compute_logs]
    whole = concat(local.read_drops, [
      local.read_ingestion, local.read_processed, local.write_batches, local.write_processed,
      local.write_requests, local.use_key, local.compute_logs,
    ])
    code = concat(local.publish_alerts, local.read_drops, [
      local.read_ingestion, local.read_processed, local.write_requests, local.use_key, local.compute_logs,
    ])
    daemon = concat(local.describe_runs, local.launch_runs, [local.compute_logs, local.use_key])
    web    = concat(local.describe_runs, local.read_pages, [local.read_compute_logs, local.use_key])
    admin = [
      local.read_ingestion, local.read_processed, local.write_processed, local.write_requests,
      local.use_key, local.compute_logs,
    ]
    prepare = [
      {
        Sid      = "PutPasswords"
        Effect   = "Allow"
        Action   = "secretsmanager:PutSecretValue"
        Resource = [for name in ["warehouse-dsn", "warehouse-admin-dsn", "dagster-password"] : var.secret_arns[name]]
      },
      {
        Sid       = "EncryptPasswords"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.key_arn
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      },
    ]
  }

  decrypt_secrets = {
    Sid       = "DecryptSecrets"
    Effect    = "Allow"
    Action    = "kms:Decrypt"
    Resource  = var.key_arn
    Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
  }

  # The secrets that a part's program reads itself, and reads again when a password has changed.
  setting_statements = {
    for part, secrets in var.part_setting_secrets :
    part => [
      for statement in [
        {
          Sid      = "ReadSettings"
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = secrets
        },
        local.decrypt_secrets,
      ] : statement if length(secrets) > 0
    ]
  }

  task_policies = {
    for part, statements in local.task_statements :
    part => jsonencode({
      Version   = "2012-10-17"
      Statement = concat(statements, local.setting_statements[part])
    })
  }

  # ECS uses the execution role to read the secrets that it puts into a part's environment. The program
  # itself has no right to them.
  execution_policies = {
    for part, secrets in var.part_environment_secrets :
    part => jsonencode({
      Version = "2012-10-17"
      Statement = [
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
          Resource = "${var.log_group_arns[part]}:*"
        },
        {
          Sid      = "ReadSecrets"
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = secrets
        },
        local.decrypt_secrets,
      ]
    })
  }

  assumed_by_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      # Prevents a confused deputy: ECS must not use the role for another account's task.
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role" "task" {
  for_each = toset(keys(local.task_statements))

  name                 = "${var.name}-${each.key}"
  assume_role_policy   = local.assumed_by_tasks
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "task" {
  #checkov:skip=CKV_AWS_355: only ecs:DescribeTaskDefinition and ec2:DescribeNetworkInterfaces, which know no resources
  for_each = local.task_policies

  name   = each.key
  role   = aws_iam_role.task[each.key].id
  policy = each.value
}

resource "aws_iam_role" "execution" {
  for_each = toset(keys(var.part_environment_secrets))

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
