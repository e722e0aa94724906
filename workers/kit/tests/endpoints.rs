//! Where a worker's configuration leads: by region, and by the environment that `docs/aws.md` names.
//!
//! Each case is a process of its own, because one environment is for all threads of a process. Loopback only: what goes
//! elsewhere is stopped before it is sent, or sent to a proxy in here.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use medallion_crds::launch::environment::TRUST_BUNDLE;
use rstest::rstest;
use stand_ins::listener::{AUTHORITY, Listener, OTHER_AUTHORITY};
use stand_ins::process::alone;
use worker_kit::{Partition, aws};

/// Services in the order of [`says_where_the_services_are`].
const SERVICES: [&str; 5] = ["dynamodb", "streams", "redshift", "sts", "s3"];

/// Notes where a request goes, and keeps it.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<String>>);

impl Kept {
    fn say(&self, service: &str) {
        let uri = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let host = uri.split_once("://").map_or("", |(_, rest)| rest).split('/').next();
        println!("\n{service} {}", host.unwrap_or_default());
    }
}

impl Intercept for Kept {
    fn name(&self) -> &'static str {
        "Kept"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        context.request().uri().clone_into(&mut kept);
        Err("it is kept".into())
    }
}

/// Asks a service something, as far as its host.
macro_rules! ask {
    ($sdk:ident, $question:ident, $service:expr, $configuration:expr) => {{
        let kept = Kept::default();
        let configuration = $sdk::config::Builder::from($configuration).interceptor(kept.clone());
        let client = $sdk::Client::from_conf(configuration.build());
        client.$question().send().await.expect_err("it is kept");
        kept.say($service);
    }};
}

async fn configuration() -> aws_config::SdkConfig {
    aws::configuration(&std::env::var("AWS_REGION").expect("a region")).await
}

#[tokio::test]
#[ignore = "a test below starts it"]
async fn says_where_the_services_are() {
    let configuration = configuration().await;
    ask!(aws_sdk_dynamodb, list_tables, SERVICES[0], &configuration);
    ask!(aws_sdk_dynamodbstreams, list_streams, SERVICES[1], &configuration);
    ask!(aws_sdk_redshiftdata, list_statements, SERVICES[2], &configuration);
    ask!(aws_sdk_sts, get_caller_identity, SERVICES[3], &configuration);
    ask!(aws_sdk_s3, list_buckets, SERVICES[4], &configuration);
}

/// Says why a service did not answer well.
macro_rules! refused {
    ($sdk:ident, $question:ident, $service:expr, $configuration:expr) => {{
        let client = $sdk::Client::new($configuration);
        let error = client.$question().send().await.expect_err("nobody answers well");
        println!("\n{} {}", $service, aws::said(&error));
    }};
}

#[tokio::test]
#[ignore = "a test below starts it"]
async fn says_why_services_do_not_answer() {
    let configuration = configuration().await;
    refused!(aws_sdk_dynamodb, list_tables, SERVICES[0], &configuration);
    refused!(aws_sdk_dynamodbstreams, list_streams, SERVICES[1], &configuration);
    refused!(aws_sdk_redshiftdata, list_statements, SERVICES[2], &configuration);
    refused!(aws_sdk_sts, get_caller_identity, SERVICES[3], &configuration);
    refused!(aws_sdk_s3, list_buckets, SERVICES[4], &configuration);
}

#[tokio::test]
#[ignore = "a test below starts it"]
async fn asks_for_tables() {
    let client = aws_sdk_dynamodb::Client::new(&configuration().await);
    client.list_tables().send().await.expect_err("nobody answers well");
}

/// What one of those says in this region, with this environment and no other.
fn start(test: &str, region: &str, environment: &[(&str, String)]) -> String {
    let standard = [
        ("AWS_REGION", region),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("HOME", "/nonexistent"),
    ];
    let standard = standard.map(|(name, value)| (name, value.to_owned()));
    alone(test, standard.into_iter().chain(environment.iter().cloned())).expect("it passes")
}

const FIPS: &str = "AWS_USE_FIPS_ENDPOINT";
const DUAL_STACK: &str = "AWS_USE_DUALSTACK_ENDPOINT";

#[rstest]
#[case::commercial("eu-west-1", &[], [
    "dynamodb.eu-west-1.amazonaws.com",
    "streams.dynamodb.eu-west-1.amazonaws.com",
    "redshift-data.eu-west-1.amazonaws.com",
    "sts.eu-west-1.amazonaws.com",
    "s3.eu-west-1.amazonaws.com",
])]
#[case::china("cn-north-1", &[], [
    "dynamodb.cn-north-1.amazonaws.com.cn",
    "streams.dynamodb.cn-north-1.amazonaws.com.cn",
    "redshift-data.cn-north-1.amazonaws.com.cn",
    "sts.cn-north-1.amazonaws.com.cn",
    "s3.cn-north-1.amazonaws.com.cn",
])]
#[case::government("us-gov-west-1", &[], [
    "dynamodb.us-gov-west-1.amazonaws.com",
    "streams.dynamodb.us-gov-west-1.amazonaws.com",
    "redshift-data.us-gov-west-1.amazonaws.com",
    "sts.us-gov-west-1.amazonaws.com",
    "s3.us-gov-west-1.amazonaws.com",
])]
#[case::fips("us-east-1", &[FIPS], [
    "dynamodb-fips.us-east-1.amazonaws.com",
    "streams.dynamodb-fips.us-east-1.amazonaws.com",
    "redshift-data-fips.us-east-1.amazonaws.com",
    "sts-fips.us-east-1.amazonaws.com",
    "s3-fips.us-east-1.amazonaws.com",
])]
#[case::fips_for_the_government("us-gov-west-1", &[FIPS], [
    "dynamodb.us-gov-west-1.amazonaws.com",
    "streams.dynamodb.us-gov-west-1.amazonaws.com",
    "redshift-data-fips.us-gov-west-1.amazonaws.com",
    "sts.us-gov-west-1.amazonaws.com",
    "s3-fips.us-gov-west-1.amazonaws.com",
])]
#[case::dual_stack("us-east-1", &[DUAL_STACK], [
    "dynamodb.us-east-1.api.aws",
    "streams-dynamodb.us-east-1.api.aws",
    "redshift-data.us-east-1.api.aws",
    "sts.us-east-1.api.aws",
    "s3.dualstack.us-east-1.amazonaws.com",
])]
#[case::both("us-east-1", &[FIPS, DUAL_STACK], [
    "dynamodb-fips.us-east-1.api.aws",
    "streams-dynamodb-fips.us-east-1.api.aws",
    "redshift-data-fips.us-east-1.api.aws",
    "sts-fips.us-east-1.api.aws",
    "s3-fips.dualstack.us-east-1.amazonaws.com",
])]
fn each_service_is_where_region_and_environment_say(
    #[case] region: &str,
    #[case] switches: &[&str],
    #[case] hosts: [&str; 5],
) {
    let environment: Vec<_> = switches.iter().map(|name| (*name, "true".to_owned())).collect();
    let text = start("says_where_the_services_are", region, &environment);
    for (service, host) in SERVICES.iter().zip(hosts) {
        let said = format!("{service} {host}");
        assert!(text.lines().any(|line| line == said), "{said} is not in {text}");
    }
    if !switches.contains(&DUAL_STACK) {
        let suffix = Partition::of(region).dns_suffix;
        assert!(hosts.iter().all(|host| host.ends_with(suffix)), "{suffix}");
    }
}

#[test]
fn an_endpoint_of_ones_own_is_taken_for_the_service_that_it_is_named_for() {
    let own = "vpce-1-abc.dynamodb.eu-west-1.vpce.amazonaws.com";
    let environment = [("AWS_ENDPOINT_URL_DYNAMODB", format!("https://{own}"))];
    let text = start("says_where_the_services_are", "eu-west-1", &environment);
    for (service, host) in [
        ("dynamodb", own),
        ("streams", "streams.dynamodb.eu-west-1.amazonaws.com"),
    ] {
        let line = format!("{service} {host}");
        assert!(text.lines().any(|said| said == line), "{line} is not in {text}");
    }
}

#[test]
fn a_proxy_is_asked_for_the_service_by_its_name() {
    let proxy = Listener::plain().expect("a proxy");
    let environment = [("HTTPS_PROXY", format!("http://{}", proxy.address()))];
    start("asks_for_tables", "eu-west-1", &environment);
    let heard = proxy.heard();
    let connect = "CONNECT dynamodb.eu-west-1.amazonaws.com:443 HTTP/1.1";
    assert!(heard.iter().any(|line| line == connect), "{heard:?}");
}

#[test]
fn what_no_proxy_names_is_asked_itself() {
    let [proxy, service] = [(); 2].map(|()| Listener::plain().expect("a port"));
    let environment = [
        ("HTTP_PROXY", format!("http://{}", proxy.address())),
        ("NO_PROXY", "127.0.0.1".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{}", service.address())),
    ];
    start("asks_for_tables", "eu-west-1", &environment);
    assert!(proxy.heard().is_empty(), "the proxy was asked");
    let asked = service.heard();
    assert!(asked.iter().any(|line| line == "POST / HTTP/1.1"), "{asked:?}");
}

/// What each service's client said about one of an authority's own, and what came there.
fn asked_behind_tls(trusted: Option<&str>) -> (Vec<String>, Vec<String>) {
    let service = Listener::behind_tls().expect("a service");
    let mut environment = vec![("AWS_ENDPOINT_URL", service.secure_url())];
    environment.extend(trusted.map(|file| (TRUST_BUNDLE, file.to_owned())));
    let text = start("says_why_services_do_not_answer", "eu-west-1", &environment);
    let of_service = |service: &&str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{service} ")));
        line.unwrap_or_else(|| panic!("nothing of {service} in {text}"))
            .to_owned()
    };
    (SERVICES.iter().map(of_service).collect(), service.heard())
}

#[test]
fn whom_the_trust_bundle_names_every_client_trusts() {
    let (said, heard) = asked_behind_tls(Some(AUTHORITY));
    assert!(heard.len() >= SERVICES.len(), "{heard:?}, {said:?}");
    assert!(!said.iter().any(|said| said.contains("certificate")), "{said:?}");
}

#[rstest]
#[case::another(Some(OTHER_AUTHORITY))]
#[case::none_of_ones_own(None)]
fn whom_it_does_not_name_no_client_trusts_and_each_says_so(#[case] trusted: Option<&str>) {
    let (said, heard) = asked_behind_tls(trusted);
    assert!(heard.is_empty(), "{heard:?}");
    for said in said {
        assert!(said.contains("invalid peer certificate: UnknownIssuer"), "{said}");
    }
}
