output "vpc_id" {
  description = "The VPC."
  value       = local.vpc_id
}

output "cidr_block" {
  description = "Addresses of the VPC."
  value       = local.cidr_block
}

output "private_subnet_ids" {
  description = "Subnets without public addresses, one a zone: for nodes, brokers, functions and the warehouse."
  value       = local.private_subnet_ids
}

output "public_subnet_ids" {
  description = "Subnets of load balancers and NAT gateways; empty for an existing VPC."
  value       = [for zone in local.zones : aws_subnet.public[zone].id]
}

output "endpoint_hosts" {
  description = "Host of each interface endpoint that the services' ordinary names do not lead to, by service."
  value = {
    for service in setintersection(var.interface_endpoints, local.without_private_dns) : service => aws_vpc_endpoint.interface[service].dns_entry[0].dns_name
  }
}

output "endpoint_security_group_id" {
  description = "Security group of the interface endpoints."
  value       = aws_security_group.endpoints.id
}
