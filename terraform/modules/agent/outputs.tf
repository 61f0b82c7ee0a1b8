output "policies" {
  description = "Every policy, for tests"
  value = merge(
    { agent = aws_iam_role_policy.task.policy },
    { for part, policy in local.execution_policies : "${part}-execution" => policy },
  )
}
