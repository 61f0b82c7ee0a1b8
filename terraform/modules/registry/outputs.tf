output "url" {
  description = "Where to push images"
  value       = aws_ecr_repository.this.repository_url
}

output "arn" {
  description = "ARN of the repository"
  value       = aws_ecr_repository.this.arn
}
