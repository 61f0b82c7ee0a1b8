output "state_bucket" {
  description = "Variable TF_STATE_BUCKET of the repository on GitHub"
  value       = aws_s3_bucket.state.id
}

output "registry" {
  description = "Where images are pushed: variable IMAGE_REPOSITORY"
  value       = module.registry.url
}

output "role_arns" {
  description = "Variables AWS_DEPLOY_ROLE and AWS_PLAN_ROLE"
  value       = module.identity.role_arns
}
