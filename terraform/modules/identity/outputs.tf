output "role_arns" {
  description = "Roles for GitHub Actions: variables of the repository, see docs/deployment.md"
  value       = { for name, role in aws_iam_role.github : name => role.arn }
}

output "boundary_arn" {
  description = "The most that a role of the platform can be granted"
  value       = aws_iam_policy.boundary.arn
}

output "trust" {
  description = "Who may assume the roles, for tests"
  value       = local.trust
}

output "policies" {
  description = "Every policy, for tests"
  value = merge(
    { for role, statements in local.policies : role => jsonencode(statements) },
    { boundary = aws_iam_policy.boundary.policy },
  )
}
