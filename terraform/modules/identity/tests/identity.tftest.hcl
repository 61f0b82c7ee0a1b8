# Run with `terraform test` in modules/identity; AWS is not asked.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "000000000000" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::000000000000:oidc-provider/token.actions.githubusercontent.com" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::000000000000:policy/totesys-boundary" }
  }
}

variables {
  name             = "totesys"
  repository       = "example/totesys_dagster"
  state_bucket_arn = "arn:aws:s3:::state"
  key_arn          = "arn:aws:kms:eu-west-2:000000000000:key/test"
}

run "deploying_is_for_the_main_branch_alone" {
  command = plan

  assert {
    condition = jsondecode(output.trust["deploy"]).Statement == [{
      Effect    = "Allow"
      Principal = { Federated = "arn:aws:iam::000000000000:oidc-provider/token.actions.githubusercontent.com" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = "repo:example/totesys_dagster:ref:refs/heads/main"
        }
      }
    }]
    error_message = "Others than the main branch could deploy."
  }
}

run "data_is_neither_read_nor_removed" {
  command = plan

  assert {
    condition = alltrue([
      for role in ["deploy", "plan"] : alltrue([
        for action in [
          "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:GetObject",
          "secretsmanager:GetSecretValue", "kms:ScheduleKeyDeletion",
        ] :
        anytrue([
          for statement in jsondecode(output.policies[role]) :
          contains(flatten([statement.Action]), action) if statement.Effect == "Deny"
        ])
      ])
    ])
    error_message = "A role of GitHub may read data or secrets, or delete."
  }

  assert {
    condition     = !strcontains(output.policies["boundary"], "s3:Delete") && !strcontains(output.policies["boundary"], "s3:*")
    error_message = "The boundary lets roles delete."
  }
}

run "the_repository_is_one" {
  command = plan

  variables {
    repository = "example/*"
  }

  expect_failures = [var.repository]
}
