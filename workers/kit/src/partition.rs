//! The partitions of AWS: which one a region is in, and how resources and hosts are named there. No network.

/// A partition of AWS: regions with accounts, identities and names of their own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Partition {
    /// As the names of resources (ARNs) have it.
    pub name: &'static str,
    /// What the names of its hosts end with.
    pub dns_suffix: &'static str,
}

/// Where most regions are.
const COMMERCIAL: Partition = Partition {
    name: "aws",
    dns_suffix: "amazonaws.com",
};

/// The others, by how the names of their regions begin.
const OTHERS: [(&str, Partition); 7] = [
    ("cn-", partition("aws-cn", "amazonaws.com.cn")),
    ("us-gov-", partition("aws-us-gov", "amazonaws.com")),
    ("eusc-", partition("aws-eusc", "amazonaws.eu")),
    ("us-iso-", partition("aws-iso", "c2s.ic.gov")),
    ("us-isob-", partition("aws-iso-b", "sc2s.sgov.gov")),
    ("eu-isoe-", partition("aws-iso-e", "cloud.adc-e.uk")),
    ("us-isof-", partition("aws-iso-f", "csp.hci.ic.gov")),
];

const fn partition(name: &'static str, dns_suffix: &'static str) -> Partition {
    Partition { name, dns_suffix }
}

impl Partition {
    /// The partition of a region. The SDK knows the same, and keeps it to itself.
    pub fn of(region: &str) -> Self {
        let other = OTHERS.iter().find(|(begin, _)| region.starts_with(begin));
        other.map_or(COMMERCIAL, |(_, partition)| *partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_in_the_partition_that_its_name_begins_with() {
        for (region, name) in [
            ("eu-west-1", "aws"),
            ("us-east-1", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert_eq!(Partition::of(region).name, name, "{region}");
        }
    }
}
