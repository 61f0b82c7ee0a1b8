variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "region" {
  description = "AWS region"
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts the flow log"
  type        = string
}

variable "cidr" {
  description = "Addresses of the network, a /16 to /20"
  type        = string
}

variable "availability_zones" {
  description = "Two to four availability zones"
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2 && length(var.availability_zones) <= 4
    error_message = "availability_zones must name two to four zones: the load balancer needs two."
  }
}

variable "single_nat_gateway" {
  description = "One NAT gateway for all zones: cheaper, but it fails with its zone"
  type        = bool
}

variable "allowed_cidrs" {
  description = "Addresses from which people reach the load balancer"
  type        = list(string)
}

variable "source_cidrs" {
  description = "Addresses of ToteSys"
  type        = list(string)
}

variable "reader_cidrs" {
  description = "Private addresses from which people and tools read the warehouse, for example of a VPN"
  type        = list(string)
  default     = []
}

variable "source_port" {
  description = "Port of ToteSys"
  type        = number
  default     = 5432
}

variable "mail_port" {
  description = "Port of the mail server for alerts of the platform itself, null for none"
  type        = number
  default     = null
}

variable "permissions_boundary_arn" {
  description = "What no role may exceed, whatever its policy says; null for no boundary"
  type        = string
  default     = null
}
