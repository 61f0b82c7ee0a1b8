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

variable "running" {
  description = "Whether the services run; if they were stopped on purpose, nobody is notified that they are down"
  type        = bool
}

variable "monthly_budget_usd" {
  description = "What the account may cost per month"
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
  description = "For each database by what is in it: its identifier, its memory in bytes, and how many connections it accepts"
  type = map(object({
    identifier      = string
    memory          = number
    max_connections = number
  }))
}

variable "copies" {
  description = "Buckets and rule of the replication to another region, as its metrics name them; null for no copies"
  type        = object({ from = string, to = string, rule = string })
  default     = null
}

variable "load_balancer" {
  description = "The load balancer, as its metrics name it"
  type        = string
}

variable "target_group" {
  description = "The web server, as its metrics name it"
  type        = string
}
