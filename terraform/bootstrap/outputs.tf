output "state_bucket" {
  description = "Variable TF_STATE_BUCKET of the repository on GitHub"
  value       = aws_s3_bucket.state.id
}

output "registry" {
  description = "Where images are pushed: variable IMAGE_REPOSITORY"
  value       = module.registry.url
}

output "role_arns" {
  description = "Variables AWS_PLAN_ROLE, AWS_IMAGE_ROLE, AWS_STAGING_ROLE and AWS_PRODUCTION_ROLE"
  value       = module.identity.role_arns
}
