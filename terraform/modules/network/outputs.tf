output "vpc_id" {
  description = "The network"
  value       = aws_vpc.this.id
}

output "subnets" {
  description = "Subnets by what is in them"
  value = {
    public   = [for zone in var.availability_zones : aws_subnet.public[zone].id]
    private  = [for zone in var.availability_zones : aws_subnet.private[zone].id]
    database = [for zone in var.availability_zones : aws_subnet.database[zone].id]
  }
}

output "security_groups" {
  description = "Security groups by what is in them"
  value = {
    balancer      = aws_security_group.balancer.id
    web           = aws_security_group.web.id
    platform      = aws_security_group.platform.id
    capture       = aws_security_group.stage["capture"].id
    process       = aws_security_group.stage["process"].id
    load          = aws_security_group.stage["load"].id
    warehouse     = aws_security_group.warehouse.id
    orchestration = aws_security_group.orchestration.id
  }
}

output "nat_addresses" {
  description = "Addresses from which the platform reaches ToteSys"
  value       = [for address in aws_eip.nat : address.public_ip]
}
