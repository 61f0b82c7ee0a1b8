# Who may talk to whom: people to the load balancer, the load balancer to the web server, the web server
# and the daemon to the code location, and the platform to its two databases and to ToteSys. A run
# reaches only what its stage needs: a capture does not reach the warehouse, a load does not reach
# ToteSys.

resource "aws_security_group" "balancer" {
  #checkov:skip=CKV2_AWS_5: attached to the load balancer in modules/cluster
  name        = "${var.name}-balancer"
  description = "The load balancer"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "web" {
  #checkov:skip=CKV2_AWS_5: attached to the web server in modules/cluster
  name        = "${var.name}-web"
  description = "The web server"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "platform" {
  #checkov:skip=CKV2_AWS_5: attached to the daemon and the code location in modules/cluster
  name        = "${var.name}-platform"
  description = "The daemon, the code location, and the runs of several stages"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "stage" {
  #checkov:skip=CKV2_AWS_5: attached to the runs by deploy/aws/stage_launcher.py
  for_each = toset(["capture", "process", "load"])

  name        = "${var.name}-${each.key}"
  description = "The runs of ${each.key}"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "warehouse" {
  #checkov:skip=CKV2_AWS_5: attached to the database in modules/postgres
  name        = "${var.name}-warehouse"
  description = "The warehouse"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "orchestration" {
  #checkov:skip=CKV2_AWS_5: attached to the database in modules/postgres
  name        = "${var.name}-orchestration"
  description = "The database of Dagster"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  for_each = toset(var.allowed_cidrs)

  security_group_id = aws_security_group.balancer.id
  description       = "People"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "balancer_to_web" {
  security_group_id            = aws_security_group.balancer.id
  description                  = "The web server"
  referenced_security_group_id = aws_security_group.web.id
  ip_protocol                  = "tcp"
  from_port                    = 3000
  to_port                      = 3000
}

resource "aws_vpc_security_group_egress_rule" "https" {
  # The load balancer asks Cognito, whose addresses are public; tasks ask AWS and send mail by HTTPS.
  for_each = {
    balancer = aws_security_group.balancer.id
    web      = aws_security_group.web.id
    platform = aws_security_group.platform.id
    capture  = aws_security_group.stage["capture"].id
    process  = aws_security_group.stage["process"].id
    load     = aws_security_group.stage["load"].id
  }

  security_group_id = each.value
  description       = "AWS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "web" {
  security_group_id            = aws_security_group.web.id
  description                  = "The load balancer"
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = 3000
  to_port                      = 3000
}

locals {
  # Code servers have no login: only these two may reach one.
  code_clients = {
    web      = aws_security_group.web.id
    platform = aws_security_group.platform.id
  }
}

resource "aws_vpc_security_group_ingress_rule" "code" {
  for_each = local.code_clients

  security_group_id            = aws_security_group.platform.id
  description                  = "The code location, from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 4000
  to_port                      = 4000
}

resource "aws_vpc_security_group_egress_rule" "code" {
  for_each = local.code_clients

  security_group_id            = each.value
  description                  = "The code location"
  referenced_security_group_id = aws_security_group.platform.id
  ip_protocol                  = "tcp"
  from_port                    = 4000
  to_port                      = 4000
}

locals {
  # The web server shows what Dagster's database holds, and never asks the warehouse. Every run writes
  # its history there.
  database_clients = {
    platform_warehouse     = { from = aws_security_group.platform.id, to = aws_security_group.warehouse.id }
    load_warehouse         = { from = aws_security_group.stage["load"].id, to = aws_security_group.warehouse.id }
    platform_orchestration = { from = aws_security_group.platform.id, to = aws_security_group.orchestration.id }
    web_orchestration      = { from = aws_security_group.web.id, to = aws_security_group.orchestration.id }
    capture_orchestration  = { from = aws_security_group.stage["capture"].id, to = aws_security_group.orchestration.id }
    process_orchestration  = { from = aws_security_group.stage["process"].id, to = aws_security_group.orchestration.id }
    load_orchestration     = { from = aws_security_group.stage["load"].id, to = aws_security_group.orchestration.id }
  }

  source_clients = {
    for pair in setproduct(["platform", "capture"], var.source_cidrs) : join(" ", pair) => {
      from = pair[0] == "capture" ? aws_security_group.stage["capture"].id : aws_security_group.platform.id
      cidr = pair[1]
    }
  }
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each = local.database_clients

  security_group_id            = each.value.to
  description                  = "PostgreSQL"
  referenced_security_group_id = each.value.from
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_egress_rule" "database" {
  for_each = local.database_clients

  security_group_id            = each.value.from
  description                  = "PostgreSQL"
  referenced_security_group_id = each.value.to
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_ingress_rule" "readers" {
  for_each = toset(var.reader_cidrs)

  security_group_id = aws_security_group.warehouse.id
  description       = "Readers of the warehouse"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 5432
  to_port           = 5432
}

resource "aws_vpc_security_group_egress_rule" "source" {
  for_each = local.source_clients

  security_group_id = each.value.from
  description       = "ToteSys"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = var.source_port
  to_port           = var.source_port
}

resource "aws_vpc_security_group_egress_rule" "mail" {
  for_each = var.mail_port == null ? toset([]) : toset([tostring(var.mail_port)])

  security_group_id = aws_security_group.platform.id
  description       = "The mail server"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
}
