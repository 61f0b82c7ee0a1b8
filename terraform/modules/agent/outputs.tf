output "task_definitions" {
  description = "For the agent's service, the task definition that it should run"
  value       = { (aws_ecs_service.this.name) = aws_ecs_task_definition.this.arn }
}

output "policies" {
  description = "Every policy, for tests"
  value = merge(
    { agent = aws_iam_role_policy.task.policy },
    { for part, policy in local.execution_policies : "${part}-execution" => policy },
  )
}
