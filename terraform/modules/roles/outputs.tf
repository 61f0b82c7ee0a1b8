output "task_role_arns" {
  description = "For each part of the platform, the role of its program"
  value       = { for part, role in aws_iam_role.task : part => role.arn }
}

output "execution_role_arns" {
  description = "For each part of the platform, the role with which ECS starts it"
  value       = { for part, role in aws_iam_role.execution : part => role.arn }
}

output "policies" {
  description = "Every policy, for tests"
  value       = merge(local.task_policies, { for part, policy in local.execution_policies : "${part}-execution" => policy })
}
