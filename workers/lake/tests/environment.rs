//! The tables' object store goes through the proxy and trusts the authorities that the environment names, as the SDK's clients do (`workers/kit/tests/endpoints.rs`). Loopback only.

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use medallion_crds::launch::environment::TRUST_BUNDLE;
use medallion_lake::LakeStore;
use rstest::rstest;
use stand_ins::listener::{AUTHORITY, Listener, OTHER_AUTHORITY};
use stand_ins::process::alone;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a test below starts it, with an environment of its own"]
async fn looks_for_tables() {
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let configuration = SdkConfig::builder()
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let store = LakeStore::s3(&configuration).expect("a store");
    let error = store.tables("s3://shop-bronze").await.expect_err("nobody answers well");
    println!("{error}");
}

#[test]
fn the_proxy_is_asked_for_the_bucket_by_its_host() {
    let proxy = Listener::plain().expect("a proxy");
    let environment = [("HTTPS_PROXY", format!("http://{}", proxy.address()))];
    alone("looks_for_tables", environment).expect("it passes");
    let heard = proxy.heard();
    let connect = "CONNECT shop-bronze.s3.eu-west-1.amazonaws.com:443 HTTP/1.1";
    assert!(heard.iter().any(|line| line == connect), "{heard:?}");
}

/// What the store said about a service of an authority's own, and what came there.
fn asked_behind_tls(trusted: Option<&str>) -> (String, Vec<String>) {
    let service = Listener::behind_tls().expect("a service");
    let mut environment = vec![("AWS_ENDPOINT_URL_S3", service.secure_url())];
    environment.extend(trusted.map(|file| (TRUST_BUNDLE, file.to_owned())));
    let said = alone("looks_for_tables", environment).expect("it passes");
    (said, service.heard())
}

#[test]
fn whom_the_trust_bundle_names_the_store_trusts() {
    let (said, heard) = asked_behind_tls(Some(AUTHORITY));
    assert!(
        heard.iter().any(|line| line.starts_with("GET /shop-bronze?")),
        "{heard:?}, {said}"
    );
}

#[rstest]
#[case::another(Some(OTHER_AUTHORITY))]
#[case::none_of_ones_own(None)]
fn whom_it_does_not_name_the_store_does_not_trust_and_says_so(#[case] trusted: Option<&str>) {
    let (said, heard) = asked_behind_tls(trusted);
    assert!(heard.is_empty(), "{heard:?}");
    assert!(said.contains("invalid peer certificate: UnknownIssuer"), "{said}");
}
