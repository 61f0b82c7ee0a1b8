output "host" {
  description = "Name of the server in the network"
  value       = aws_db_instance.this.address
}

output "database" {
  description = "Name of the database"
  value       = var.database
}

output "identifier" {
  description = "Identifier of the server, for its metrics"
  value       = aws_db_instance.this.identifier
}

output "arn" {
  description = "ARN of the server"
  value       = aws_db_instance.this.arn
}

output "memory" {
  description = "Bytes of memory of the server"
  value       = local.memory
}

output "max_connections" {
  description = "How many connections the server accepts: RDS's default, by its memory"
  value       = min(floor(local.memory / 9531392), 5000)
}

output "administrator_secret_arn" {
  description = "Secret with the administrator's user and password"
  value       = one(aws_db_instance.this.master_user_secret[*].secret_arn)
}
