output "url" {
  description = "The UI"
  value       = module.cluster.url
}

output "user_pool_id" {
  description = "Where to add people who may use the UI"
  value       = module.cluster.user_pool_id
}

output "buckets" {
  description = "Names of the buckets"
  value       = module.lake.buckets
}

output "secrets" {
  description = "Secrets by name"
  value       = module.secrets.arns
}

output "nat_addresses" {
  description = "Addresses from which ToteSys is reached"
  value       = module.network.nat_addresses
}

output "one_off" {
  description = "Where one-off commands run: the values that `aws ecs run-task` needs"
  value = {
    cluster        = aws_ecs_cluster.this.name
    subnet         = module.network.subnets.private[0]
    security_group = module.network.security_groups.platform
  }
}

output "task_definitions" {
  description = "For each service that runs, with the agent of Dagster+, the task definition that it should run"
  value       = merge(module.cluster.task_definitions, module.agent[*].task_definitions...)
}

output "stopped_services" {
  description = "Services that should run no task"
  value       = module.cluster.stopped_services
}

output "databases" {
  description = "Databases of Athena"
  value       = module.catalog.databases
}

output "policies" {
  description = "Every policy of the platform's roles, for tests"
  value       = module.roles.policies
}

output "database_arns" {
  description = "ARNs of the databases by what is in them"
  value       = { warehouse = module.warehouse.arn, dagster = module.orchestration.arn }
}

output "drops_bucket" {
  description = "Where files are delivered; null for nowhere"
  value       = one(module.drops[*].bucket)
}
