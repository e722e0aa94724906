# A VPC with private and public subnets in three zones, or an existing one. What is made in both is in endpoints.tf.

locals {
  made  = var.existing == null
  zones = local.made ? toset(var.availability_zones) : toset([])

  vpc_id     = local.made ? aws_vpc.this[0].id : var.existing.vpc_id
  cidr_block = local.made ? var.cidr_block : var.existing.cidr_block

  private_subnet_ids      = local.made ? [for zone in local.zones : aws_subnet.private[zone].id] : var.existing.private_subnet_ids
  private_route_table_ids = local.made ? [for zone in local.zones : aws_route_table.private[zone].id] : var.existing.private_route_table_ids

  order     = { for index, zone in sort(var.availability_zones) : zone => index }
  first     = try(sort(var.availability_zones)[0], null)
  nat_zones = !local.made || var.nat_gateways == "None" ? toset([]) : var.nat_gateways == "Single" ? toset([local.first]) : local.zones
}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:the flow log is in flow_log.tf, by count as the VPC is
  #checkov:skip=CKV2_AWS_12:aws_default_security_group below takes all rules from the default group
  count = local.made ? 1 : 0

  cidr_block           = var.cidr_block
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# Nobody's by intention, so it lets nothing through.
resource "aws_default_security_group" "this" {
  count = local.made ? 1 : 0

  vpc_id = aws_vpc.this[0].id
}

resource "aws_subnet" "private" {
  for_each = local.zones

  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr_block, 4, local.order[each.key])

  tags = {
    Name                              = "${var.name}-private-${each.key}"
    "kubernetes.io/role/internal-elb" = "1"
  }
}

resource "aws_subnet" "public" {
  for_each = local.zones

  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr_block, 8, 240 + local.order[each.key])

  tags = {
    Name                     = "${var.name}-public-${each.key}"
    "kubernetes.io/role/elb" = "1"
  }
}

resource "aws_internet_gateway" "this" {
  count = local.made ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = var.name }
}

resource "aws_route_table" "public" {
  count = local.made ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "internet" {
  count = local.made ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "public" {
  for_each = local.zones

  subnet_id      = aws_subnet.public[each.key].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_eip" "nat" {
  for_each = local.nat_zones

  domain = "vpc"

  tags = { Name = "${var.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "this" {
  for_each = local.nat_zones

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id

  tags = { Name = "${var.name}-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route_table" "private" {
  for_each = local.zones

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "nat" {
  for_each = var.nat_gateways == "None" ? toset([]) : local.zones

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[var.nat_gateways == "Single" ? local.first : each.key].id
}

resource "aws_route_table_association" "private" {
  for_each = local.zones

  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[each.key].id
}
