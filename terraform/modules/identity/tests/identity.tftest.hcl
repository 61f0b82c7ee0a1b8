# Run with `terraform test` in modules/identity; AWS is not asked. What the roles may do is evaluated in
# totesys_dagster_tests/deployment.

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
  registry_arn     = "arn:aws:ecr:eu-west-2:000000000000:repository/totesys"
}

run "each_role_is_for_one_subject" {
  command = plan

  assert {
    condition = {
      for role, trust in output.trust : role => jsondecode(trust).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"]
      } == {
      plan              = "repo:example/totesys_dagster:pull_request"
      image             = "repo:example/totesys_dagster:ref:refs/heads/main"
      deploy-staging    = "repo:example/totesys_dagster:ref:refs/heads/main"
      deploy-production = "repo:example/totesys_dagster:environment:production"
    }
    error_message = "Others than the main branch, or than approved jobs, could deploy."
  }
}

run "the_repository_is_one" {
  command = plan

  variables {
    repository = "example/*"
  }

  expect_failures = [var.repository]
}
