//! Where S3 is: one answer for the tables' object store and the SDK's clients. Opens no connection.
//!
//! The rules are the SDK's own: partition by region, FIPS and dual stack by the SDK's environment names, and path style
//! for buckets whose dots no certificate covers. Beside them `MEDALLION_S3_PATH_STYLE` asks for path style everywhere,
//! and an endpoint of one's own is always addressed by path, for it has no name per bucket.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use futures::FutureExt;
use medallion_crds::launch::environment::S3_PATH_STYLE;

use crate::error::LakeError;

/// The SDK's own name.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_S3";

/// How S3 is addressed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct S3Addressing {
    region: Option<String>,
    endpoint: Option<String>,
    path_style: bool,
    fips: bool,
    dual_stack: bool,
}

impl S3Addressing {
    /// As the SDK's configuration and the environment say.
    pub fn of(configuration: &SdkConfig) -> Self {
        Self::with(configuration, |name| std::env::var(name).ok())
    }

    /// The same, with the environment as an argument.
    pub(crate) fn with(configuration: &SdkConfig, variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let endpoint = variable(ENDPOINT).or_else(|| configuration.endpoint_url().map(str::to_owned));
        Self {
            region: configuration.region().map(ToString::to_string),
            path_style: endpoint.is_some() || variable(S3_PATH_STYLE).is_some_and(|value| value == "true"),
            endpoint,
            fips: configuration.use_fips().unwrap_or_default(),
            dual_stack: configuration.use_dual_stack().unwrap_or_default(),
        }
    }

    /// The SDK's client for S3.
    pub fn client(configuration: &SdkConfig) -> Client {
        let path_style = Self::of(configuration).path_style;
        let settings = aws_sdk_s3::config::Builder::from(configuration).force_path_style(path_style);
        Client::from_conf(settings.build())
    }

    /// The region; empty if the configuration names none.
    pub fn region(&self) -> &str {
        self.region.as_deref().unwrap_or_default()
    }

    /// URL under which a bucket's objects stand, without a slash at its end.
    pub fn bucket_url(&self, bucket: &str) -> Result<String, LakeError> {
        let refused = |reason: String| LakeError::BadAddress {
            address: format!("s3://{bucket}"),
            reason: format!("no endpoint of S3 in region {} fits: {reason}", self.region()),
        };
        let asked = Params::builder()
            .bucket(bucket)
            .set_region(self.region.clone())
            .use_fips(self.fips)
            .use_dual_stack(self.dual_stack)
            .force_path_style(self.path_style)
            .set_endpoint(self.endpoint.clone())
            .build()
            .map_err(|error| refused(error.to_string()))?;
        // The SDK's own rules need nobody else, so the answer is there at once.
        let found = DefaultResolver::new()
            .resolve_endpoint(&asked)
            .now_or_never()
            .ok_or_else(|| LakeError::Internal("the rules for endpoints did not answer".to_owned()))?
            .map_err(|error| refused(error.to_string()))?;
        Ok(found.url().trim_end_matches('/').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use aws_config::Region;
    use rstest::rstest;

    use super::*;

    fn aws(region: &'static str) -> SdkConfig {
        SdkConfig::builder().region(Region::new(region)).build()
    }

    fn addressing(configuration: &SdkConfig, variables: &[(&str, &str)]) -> S3Addressing {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        S3Addressing::with(configuration, variable)
    }

    #[rstest]
    #[case::plain("eu-west-1", "shop-gold", "https://shop-gold.s3.eu-west-1.amazonaws.com")]
    #[case::first_region("us-east-1", "shop-gold", "https://shop-gold.s3.us-east-1.amazonaws.com")]
    #[case::dotted(
        "eu-west-1",
        "gold.shop.example",
        "https://s3.eu-west-1.amazonaws.com/gold.shop.example"
    )]
    #[case::china("cn-north-1", "shop-gold", "https://shop-gold.s3.cn-north-1.amazonaws.com.cn")]
    #[case::dotted_in_china(
        "cn-northwest-1",
        "shop.gold",
        "https://s3.cn-northwest-1.amazonaws.com.cn/shop.gold"
    )]
    #[case::government("us-gov-west-1", "shop-gold", "https://shop-gold.s3.us-gov-west-1.amazonaws.com")]
    #[case::sovereign("eusc-de-east-1", "shop-gold", "https://shop-gold.s3.eusc-de-east-1.amazonaws.eu")]
    fn a_bucket_has_the_url_of_its_region(#[case] region: &'static str, #[case] bucket: &str, #[case] url: &str) {
        let addressing = addressing(&aws(region), &[]);
        assert_eq!(addressing.bucket_url(bucket).expect("a URL"), url);
    }

    #[rstest]
    #[case::fips(true, false, "shop-gold", "https://shop-gold.s3-fips.us-west-2.amazonaws.com")]
    #[case::dual_stack(false, true, "shop-gold", "https://shop-gold.s3.dualstack.us-west-2.amazonaws.com")]
    #[case::both(
        true,
        true,
        "shop-gold",
        "https://shop-gold.s3-fips.dualstack.us-west-2.amazonaws.com"
    )]
    #[case::dotted(
        true,
        true,
        "shop.gold",
        "https://s3-fips.dualstack.us-west-2.amazonaws.com/shop.gold"
    )]
    fn fips_and_dual_stack_are_the_sdk_s_own(
        #[case] fips: bool,
        #[case] dual_stack: bool,
        #[case] bucket: &str,
        #[case] url: &str,
    ) {
        let configuration = aws("us-west-2").into_builder();
        let configuration = configuration.use_fips(fips).use_dual_stack(dual_stack).build();
        let addressing = addressing(&configuration, &[]);
        assert_eq!(addressing.bucket_url(bucket).expect("a URL"), url);
    }

    #[test]
    fn an_endpoint_of_one_s_own_is_addressed_by_path() {
        for (endpoint, variables) in [
            (None, &[(ENDPOINT, "http://s3:7070/")][..]),
            (Some("http://s3:7070"), &[]),
            (Some("http://another"), &[(ENDPOINT, "http://s3:7070")]),
        ] {
            let mut configuration = aws("eu-west-1").into_builder();
            configuration.set_endpoint_url(endpoint.map(str::to_owned));
            let addressing = addressing(&configuration.build(), variables);
            assert_eq!(addressing.bucket_url("gold").expect("a URL"), "http://s3:7070/gold");
        }
    }

    #[test]
    fn path_style_can_be_asked_for() {
        let addressing = addressing(&aws("eu-west-1"), &[(S3_PATH_STYLE, "true"), (ENDPOINT, "")]);
        assert_eq!(
            addressing.bucket_url("gold").expect("a URL"),
            "https://s3.eu-west-1.amazonaws.com/gold"
        );
    }

    #[test]
    fn without_a_region_there_is_no_url() {
        assert!(
            addressing(&SdkConfig::builder().build(), &[])
                .bucket_url("gold")
                .is_err()
        );
    }

    #[test]
    fn what_a_region_does_not_have_is_named() {
        let configuration = aws("cn-north-1").into_builder().use_fips(true).build();
        let error = addressing(&configuration, &[])
            .bucket_url("gold")
            .expect_err("no such endpoint");
        assert!(error.to_string().contains("FIPS"), "{error}");
    }
}
