variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "region" {
  description = "AWS region"
  type        = string
}

variable "image" {
  description = "The agent's image, with its tag: the platform's, built with LOCK=requirements-plus.lock"
  type        = string
}

variable "cpu_architecture" {
  description = "Processors of the agent and of the tasks that it starts, as in modules/cluster"
  type        = string
}

variable "organization" {
  description = "The organization's name in the addresses of Dagster+"
  type        = string
}

variable "key_arn" {
  description = "KMS key of the environment"
  type        = string
}

variable "cluster" {
  description = "The ECS cluster"
  type        = object({ name = string, arn = string })
}

variable "namespace" {
  description = "Namespace of Cloud Map in which the agent finds the code location"
  type        = object({ id = string, arn = string })
}

variable "subnet_ids" {
  description = "Subnets of the tasks"
  type        = list(string)
}

variable "security_groups" {
  description = "Security groups by what is in them"
  type        = object({ platform = string, capture = string, process = string, load = string })
}

variable "settings" {
  description = "Settings of the code location and its runs; secrets by reference"
  type        = map(string)
}

variable "part_setting_secrets" {
  description = "For each part of the platform, the settings that its program reads from a secret: name to ARN"
  type        = map(map(string))
}

variable "task_role_arns" {
  description = "For each part of the platform, the role of its program"
  type        = map(string)
}

variable "repository_arn" {
  description = "The repository of the image"
  type        = string
}

variable "permissions_boundary_arn" {
  description = "What no role may exceed, whatever its policy says; null for no boundary"
  type        = string
  default     = null
}
