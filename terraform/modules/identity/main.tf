# What GitHub Actions may do in this account, without any stored key:
#
#   plan                from pull requests of this repository: reads the configuration, and no data
#   image               from the main branch: pushes images
#   deploy-staging      from the main branch: brings what was merged to staging
#   deploy-production   from jobs of GitHub's environment `production`, which people approve
#
# For a job with an `environment`, the subject names that and no branch. A setting of the environment
# restricts it to main, see docs/deployment.md. Pull requests from forks get no token from GitHub.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  issuer    = "token.actions.githubusercontent.com"
  iam       = "arn:${local.partition}:iam::${local.account}"

  main_branch = "repo:${var.repository}:ref:refs/heads/main"

  subjects = {
    plan              = "repo:${var.repository}:pull_request"
    image             = local.main_branch
    deploy-staging    = local.main_branch
    deploy-production = "repo:${var.repository}:environment:production"
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

  # A role's policies may have 10240 characters in total, not counting spaces.
  policies = {
    plan              = concat(local.read_state, [local.read_configuration], local.never)
    image             = local.push_image
    deploy-staging    = local.deploy["staging"]
    deploy-production = local.deploy["production"]
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "github" {
  for_each = local.subjects

  name                 = "${var.name}-github-${each.key}"
  assume_role_policy   = local.trust[each.key]
  max_session_duration = 7200
}

resource "aws_iam_role_policy" "github" {
  #checkov:skip=CKV_AWS_355: reading the configuration and what has no name is bound by tags, and data is denied in the same policy
  #checkov:skip=CKV_AWS_290: reading the configuration and what has no name is bound by tags, and data is denied in the same policy
  #checkov:skip=CKV_AWS_288: reading data and secrets is denied in the same policy
  #checkov:skip=CKV_AWS_289: roles are bound to the prefix and the boundary
  #checkov:skip=CKV_AWS_287: reading secrets is denied in the same policy
  #checkov:skip=CKV_AWS_286: roles are bound to the prefix and the boundary
  for_each = local.policies

  name   = "platform"
  role   = aws_iam_role.github[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}
