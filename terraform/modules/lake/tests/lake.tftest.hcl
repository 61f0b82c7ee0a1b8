# Run with `terraform test` in modules/lake; AWS is not asked.

mock_provider "aws" {
  override_during = plan

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::bucket" }
  }
}

variables {
  name           = "totesys-test"
  key_arn        = "arn:aws:kms:eu-west-2:000000000000:key/test"
  retention_mode = "COMPLIANCE"
  retention_days = 365
}

run "objects_are_written_once_and_never_deleted" {
  command = plan

  assert {
    condition = alltrue([
      for zone in ["ingestion", "processed"] : anytrue([
        for rule in jsondecode(aws_s3_bucket_policy.zone[zone].policy).Statement :
        rule.Effect == "Deny" && rule.Principal == "*" && rule.Action == "s3:PutObject"
        && try(rule.Condition.Null["s3:if-none-match"], "") == "true"
      ])
    ])
    error_message = "A zone takes puts without If-None-Match, which could overwrite an object."
  }

  assert {
    condition = alltrue([
      for zone in ["ingestion", "processed"] : anytrue([
        for rule in jsondecode(aws_s3_bucket_policy.zone[zone].policy).Statement :
        rule.Effect == "Deny" && rule.Principal == "*" && !can(rule.Condition)
        && try(contains(rule.Action, "s3:DeleteObject"), false)
        && try(contains(rule.Action, "s3:DeleteObjectVersion"), false)
        && try(contains(rule.Action, "s3:BypassGovernanceRetention"), false)
      ])
    ])
    error_message = "A principal may delete objects of a zone."
  }

  assert {
    condition = alltrue([
      for zone in ["ingestion", "processed"] : alltrue([
        for rule in jsondecode(aws_s3_bucket_policy.zone[zone].policy).Statement : rule.Effect == "Deny"
      ])
    ])
    error_message = "A bucket policy of the lake allows something: that is for roles alone."
  }
}

run "the_ingestion_zone_is_locked" {
  command = plan

  assert {
    condition     = aws_s3_bucket.zone["ingestion"].object_lock_enabled && !aws_s3_bucket.zone["processed"].object_lock_enabled
    error_message = "Exactly the ingestion zone has Object Lock."
  }

  assert {
    condition     = aws_s3_bucket_object_lock_configuration.ingestion.rule[0].default_retention[0].mode == "COMPLIANCE"
    error_message = "The lock's mode is not the one asked for."
  }

  assert {
    condition     = aws_s3_bucket_object_lock_configuration.ingestion.rule[0].default_retention[0].days == 365
    error_message = "The lock's days are not those asked for."
  }
}

run "no_current_version_of_the_lake_expires" {
  command = plan

  assert {
    condition = alltrue([
      for zone in ["ingestion", "processed"] : alltrue([
        for rule in aws_s3_bucket_lifecycle_configuration.zone[zone].rule :
        alltrue([for expiration in rule.expiration : expiration.expired_object_delete_marker == true])
      ])
    ])
    error_message = "A life-cycle rule removes more than delete markers and hidden versions."
  }
}

run "nothing_is_public" {
  command = plan

  assert {
    condition = alltrue([
      for block in concat(values(aws_s3_bucket_public_access_block.zone), values(aws_s3_bucket_public_access_block.service)) :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ])
    error_message = "A bucket could be made public."
  }
}

run "a_lock_of_no_days_is_refused" {
  command = plan

  variables {
    retention_days = 0
  }

  expect_failures = [var.retention_days]
}

run "nothing_is_copied_unless_asked_for" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_replication_configuration.this) == 0 && length(aws_iam_role.replication) == 0
    error_message = "Objects leave the region though nobody has asked for it."
  }
}

run "the_ingestion_zone_is_copied_without_deletions" {
  command = plan

  variables {
    replica = { bucket_arn = "arn:aws:s3:::replica", key_arn = "arn:aws:kms:eu-west-1:000000000000:key/replica" }
  }

  assert {
    condition = (
      keys(aws_s3_bucket_replication_configuration.this) == ["ingestion"]
      && aws_s3_bucket_replication_configuration.this["ingestion"].rule[0].delete_marker_replication[0].status == "Disabled"
      && aws_s3_bucket_replication_configuration.this["ingestion"].rule[0].destination[0].encryption_configuration[0].replica_kms_key_id == var.replica.key_arn
    )
    error_message = "The wrong zone is copied, or deletions are, or under a key that is lost with the region."
  }

  assert {
    condition = (
      output.copies.to == "replica"
      && output.copies.rule == aws_s3_bucket_replication_configuration.this["ingestion"].rule[0].id
      && aws_s3_bucket_replication_configuration.this["ingestion"].rule[0].destination[0].metrics[0].status == "Enabled"
    )
    error_message = "What S3 measures of the copies has another name than the alarms ask for, or is not measured."
  }

  assert {
    condition = !anytrue([
      for statement in jsondecode(aws_iam_role_policy.replication["ingestion"].policy).Statement :
      anytrue([for action in flatten([statement.Action]) : strcontains(action, "Delete") || strcontains(action, "*")])
    ])
    error_message = "Replication may delete."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.replication["ingestion"].policy).Statement :
      try(
        statement.Condition.StringLike["kms:ViaService"] == "s3.*.amazonaws.com"
        && !contains(statement.Condition.StringLike["kms:EncryptionContext:aws:s3:arn"], "*"),
        false
      )
      if anytrue([for action in flatten([statement.Action]) : startswith(action, "kms:")])
    ])
    error_message = "Replication may use a key on its own, or for other buckets."
  }
}
