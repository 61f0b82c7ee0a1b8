output "url" {
  description = "The UI"
  value       = module.platform.url
}

output "user_pool_id" {
  description = "Where to add people who may use the UI"
  value       = module.platform.user_pool_id
}

output "buckets" {
  description = "Names of the buckets"
  value       = module.platform.buckets
}

output "secrets" {
  description = "Secrets by name"
  value       = module.platform.secrets
}

output "nat_addresses" {
  description = "Addresses from which ToteSys is reached"
  value       = module.platform.nat_addresses
}

output "one_off" {
  description = "Where one-off commands run"
  value       = module.platform.one_off
}

output "task_definitions" {
  description = "For each service that runs, the task definition that it should run: .ci/deploy.py waits for it"
  value       = module.platform.task_definitions
}

output "stopped_services" {
  description = "Services that should run no task: .ci/deploy.py waits until they do not"
  value       = module.platform.stopped_services
}

output "databases" {
  description = "Databases of Athena"
  value       = module.platform.databases
}

output "drops_bucket" {
  description = "Where files are delivered; null for nowhere"
  value       = module.platform.drops_bucket
}
