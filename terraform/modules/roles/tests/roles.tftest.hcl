# Run with `terraform test` in modules/roles; AWS is not asked.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "000000000000" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  name            = "totesys-test"
  region          = "eu-west-2"
  key_arn         = "arn:aws:kms:eu-west-2:000000000000:key/test"
  cluster_arn     = "arn:aws:ecs:eu-west-2:000000000000:cluster/totesys-test"
  alert_topic_arn = "arn:aws:sns:eu-west-2:000000000000:alerts"
  repository_arn  = "arn:aws:ecr:eu-west-2:000000000000:repository/totesys"
  bucket_arns = {
    ingestion = "arn:aws:s3:::ingestion"
    processed = "arn:aws:s3:::processed"
    compute   = "arn:aws:s3:::compute"
  }
  secret_arns = {
    source-dsn          = "arn:source"
    warehouse-dsn       = "arn:warehouse"
    warehouse-admin-dsn = "arn:warehouse-admin"
    dagster-password    = "arn:dagster"
  }
  part_setting_secrets = {
    capture = ["arn:source"]
    process = []
    load    = ["arn:warehouse"]
    whole   = ["arn:source", "arn:warehouse"]
    code    = ["arn:source", "arn:warehouse", "arn:mail"]
    daemon  = []
    web     = []
    prepare = []
    admin   = ["arn:warehouse", "arn:warehouse-admin"]
  }
  part_environment_secrets = {
    capture = ["arn:dagster"]
    process = ["arn:dagster"]
    load    = ["arn:dagster"]
    whole   = ["arn:dagster"]
    code    = ["arn:dagster"]
    daemon  = ["arn:dagster"]
    web     = ["arn:dagster"]
    prepare = ["arn:administrator"]
    admin   = ["arn:dagster"]
  }
  log_group_arns = {
    for part in ["capture", "process", "load", "whole", "code", "daemon", "web", "prepare", "admin"] :
    part => "arn:aws:logs:eu-west-2:000000000000:log-group:/totesys-test/${part}"
  }
}

run "nobody_may_delete_or_do_everything" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for policy in values(output.policies) : [
        for statement in jsondecode(policy).Statement : [
          for action in flatten([statement.Action]) :
          action != "*" && action != "s3:*" && !can(regex("^s3:(Delete|Bypass|PutBucket|PutObjectRet|PutLife)", action))
        ]
      ]
    ]))
    error_message = "A role may delete objects, or change the rules that protect them."
  }
}

run "each_stage_writes_its_own_keys_only" {
  command = plan

  assert {
    condition = toset(flatten([
      for statement in jsondecode(output.policies["capture"]).Statement : statement.Resource
      if statement.Action == "s3:PutObject"
      ])) == toset([
      "arn:aws:s3:::ingestion/manifests/*", "arn:aws:s3:::ingestion/rows/*", "arn:aws:s3:::ingestion/audits/*",
      "arn:aws:s3:::ingestion/keys/*", "arn:aws:s3:::ingestion/schemas/*",
      "arn:aws:s3:::ingestion/commits/*", "arn:aws:s3:::ingestion/references/*", "arn:aws:s3:::ingestion/probe/*",
    ])
    error_message = "The role capture writes other keys than those of batches."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(output.policies["process"]).Statement :
      alltrue([for resource in flatten([statement.Resource]) : startswith(resource, "arn:aws:s3:::processed/")])
      if statement.Action == "s3:PutObject"
    ])
    error_message = "The role process writes outside of the processed zone."
  }

  assert {
    condition = flatten([
      for statement in jsondecode(output.policies["load"]).Statement : statement.Resource
      if statement.Action == "s3:PutObject"
    ]) == ["arn:aws:s3:::ingestion/requests/*"]
    error_message = "The role load writes more than requests for full reads."
  }

  assert {
    condition     = !strcontains(output.policies["daemon"], "s3:::ingestion") && !strcontains(output.policies["daemon"], "s3:::processed")
    error_message = "The daemon reaches the lake."
  }

  assert {
    condition = [
      for statement in jsondecode(output.policies["web"]).Statement : [statement.Action, statement.Resource, lookup(statement, "Condition", null)]
      if strcontains(jsonencode(statement.Resource), "s3:::ingestion") || strcontains(jsonencode(statement.Resource), "s3:::processed")
      ] == [
      ["s3:GetObject", "arn:aws:s3:::processed/reports/page/*", null],
      ["s3:ListBucket", "arn:aws:s3:::processed", { StringLike = { "s3:prefix" = "reports/page/*" } }],
    ]
    error_message = "The web server reaches more of the lake than the pages that it shows, or not those."
  }
}

run "alerts_are_sent_by_the_code_location_alone" {
  command = plan

  assert {
    condition = [
      for part, policy in output.policies : part if strcontains(policy, "sns:Publish")
    ] == ["code"]
    error_message = "Another part than the code location may publish alerts, or it may not."
  }

  assert {
    condition = [
      for statement in jsondecode(output.policies["code"]).Statement : statement.Resource
      if statement.Action == "sns:Publish"
    ] == ["arn:aws:sns:eu-west-2:000000000000:alerts"]
    error_message = "The code location may publish to other topics."
  }
}

run "each_program_reads_its_own_secrets_only" {
  command = plan

  assert {
    condition = alltrue([
      for part, secrets in var.part_setting_secrets : jsonencode(flatten([
        for statement in jsondecode(output.policies[part]).Statement : statement.Resource
        if anytrue([for action in flatten([statement.Action]) : can(regex("^secretsmanager:(.*Get|\\*)", action))])
      ])) == jsonencode(secrets)
    ])
    error_message = "The program of a part may read other secrets than those of its settings."
  }

  # Without any, the key is of no use for secrets either; `prepare` encrypts what it puts.
  assert {
    condition = toset([
      for part in keys(var.part_setting_secrets) : part if strcontains(output.policies[part], "secretsmanager.eu-west-2")
    ]) == toset(concat([for part, secrets in var.part_setting_secrets : part if length(secrets) > 0], ["prepare"]))
    error_message = "A part may decrypt secrets without reading any, or cannot decrypt those that it reads."
  }

  assert {
    condition = alltrue([
      for part in keys(var.part_setting_secrets) : alltrue([
        for statement in jsondecode(output.policies[part]).Statement :
        can(statement.Condition.StringEquals["kms:ViaService"]) && statement.Resource == var.key_arn
        if anytrue([for action in flatten([statement.Action]) : startswith(action, "kms:")])
      ])
    ])
    error_message = "A part may use a key on its own, not only through a service."
  }
}

run "each_task_is_started_with_its_own_secrets_only" {
  command = plan

  assert {
    condition = alltrue([
      for part, secrets in var.part_environment_secrets : jsonencode(flatten([
        for statement in jsondecode(output.policies["${part}-execution"]).Statement : statement.Resource
        if statement.Action == "secretsmanager:GetSecretValue"
      ])) == jsonencode(secrets)
    ])
    error_message = "ECS may read other secrets for a part than those of its environment."
  }
}

run "passwords_are_put_by_prepare_alone" {
  command = plan

  assert {
    condition = [
      for part, policy in output.policies : part if strcontains(policy, "secretsmanager:Put")
    ] == ["prepare"]
    error_message = "Another part than prepare may change passwords."
  }
}
