variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts the topic"
  type        = string
}

variable "emails" {
  description = "Who is notified"
  type        = list(string)
}

variable "silence_minutes" {
  description = "Minutes without a loaded batch after which silence is an alarm"
  type        = number

  validation {
    condition     = var.silence_minutes >= 5 && var.silence_minutes <= 1440 && var.silence_minutes % 5 == 0
    error_message = "silence_minutes is a multiple of 5, up to 1440."
  }
}

variable "monthly_budget_usd" {
  description = "What the account may cost in a month"
  type        = number
}

variable "log_groups" {
  description = "For each part of the platform, the name of its log group"
  type        = map(string)
}

variable "cluster_name" {
  description = "Name of the ECS cluster"
  type        = string
}

variable "cluster_arn" {
  description = "ARN of the ECS cluster"
  type        = string
}

variable "services" {
  description = "Services of the cluster"
  type        = list(string)
}

variable "databases" {
  description = "Identifiers of the databases by what is in them"
  type        = map(string)
}

variable "load_balancer" {
  description = "The load balancer, as its metrics name it"
  type        = string
}

variable "target_group" {
  description = "The web server, as its metrics name it"
  type        = string
}
