//! Where a worker's configuration leads: by region, and by the environment that `docs/aws.md` names.
//!
//! Each case is a process of its own, because one environment is for all threads of a process. Loopback only: what goes
//! elsewhere is stopped before it is sent, or sent to a proxy in here.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use rstest::rstest;
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

#[tokio::test]
#[ignore = "a test below starts it"]
async fn asks_for_tables() {
    let client = aws_sdk_dynamodb::Client::new(&configuration().await);
    client.list_tables().send().await.expect_err("nobody answers well");
}

/// What one of those says in this region, with this environment and no other.
fn start(test: &str, region: &str, environment: &[(&str, String)]) -> String {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env_clear()
        .envs([
            ("AWS_REGION", region),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("HOME", "/nonexistent"),
        ])
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    said
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

/// Answers everything with a refusal. Its address, and the first line of each request.
fn listener() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).expect("a line");
            heard.lock().expect("lines").push(line.trim_end().to_owned());
            // Whoever has gone already needs no answer.
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (address, lines)
}

#[test]
fn a_proxy_is_asked_for_the_service_by_its_name() {
    let (proxy, heard) = listener();
    let environment = [("HTTPS_PROXY", format!("http://{proxy}"))];
    start("asks_for_tables", "eu-west-1", &environment);
    let heard = heard.lock().expect("lines");
    let connect = "CONNECT dynamodb.eu-west-1.amazonaws.com:443 HTTP/1.1";
    assert!(heard.iter().any(|line| line == connect), "{heard:?}");
}

#[test]
fn what_no_proxy_names_is_asked_itself() {
    let ((proxy, heard), (service, asked)) = (listener(), listener());
    let environment = [
        ("HTTP_PROXY", format!("http://{proxy}")),
        ("NO_PROXY", "127.0.0.1".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{service}")),
    ];
    start("asks_for_tables", "eu-west-1", &environment);
    assert!(heard.lock().expect("lines").is_empty(), "the proxy was asked");
    let asked = asked.lock().expect("lines");
    assert!(asked.iter().any(|line| line == "POST / HTTP/1.1"), "{asked:?}");
}
