output "url" {
  description = "The UI"
  value       = "https://${var.domain_name}"
}

output "user_pool_id" {
  description = "Where to add people"
  value       = aws_cognito_user_pool.this.id
}

output "target_group" {
  description = "The web server, as its metrics name it"
  value       = aws_lb_target_group.web.arn_suffix
}

output "load_balancer" {
  description = "The load balancer, as its metrics name it"
  value       = aws_lb.this.arn_suffix
}

output "task_definitions" {
  description = "For each service that runs, the task definition that it should run"
  value = {
    for part in ["code", "daemon", "web"] : part => aws_ecs_task_definition.this[part].arn if var.running
  }
}

locals {
  services = [aws_ecs_service.code.name, aws_ecs_service.daemon.name, aws_ecs_service.web.name]
}

output "stopped_services" {
  description = "Services that should run no task"
  value       = var.running ? [] : local.services
}

output "services" {
  description = "Services of the cluster"
  value       = local.services
}

output "namespace" {
  description = "Namespace of Cloud Map in which code locations are found"
  value = {
    id  = aws_service_discovery_private_dns_namespace.this.id
    arn = aws_service_discovery_private_dns_namespace.this.arn
  }
}

output "code_settings" {
  description = "Settings of the code location; secrets by reference"
  value = {
    for name, value in merge(local.environment, local.code_environment, local.setting_environment["code"]) :
    name => value if startswith(name, "TOTESYS_") || startswith(name, "AWS_")
  }
}
