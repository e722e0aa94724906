//! A call passes the recorder as the administrator's, and is noted as its worker's. Loopback alone.

use std::convert::Infallible;

use serde_json::json;

use super::*;

/// Answers with who asks, how and for what.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: Request<Incoming>| async move {
                let (parts, body) = request.into_parts();
                let who = parts
                    .headers
                    .get(AUTHORIZATION)
                    .map_or("nobody", |who| who.to_str().unwrap());
                let body = body.collect().await.unwrap().to_bytes();
                let said = format!(
                    "{who} {} {} {}",
                    parts.method,
                    parts.uri,
                    String::from_utf8_lossy(&body)
                );
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(said))))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    format!("http://{address}")
}

fn stack(behind: &str, logs: &Path) -> Stack {
    let stack = json!({
        "name": "test", "nodeIp": "127.0.0.1", "hostIp": "127.0.0.1", "kubeconfig": "/nowhere", "logs": logs,
        "kafka": {"bootstrapServers": "", "listeners": {}, "users": {}, "certificates": "/nowhere"},
        "dynamodb": {"endpoint": behind}, "s3": {"endpoint": behind}, "postgres": {"url": ""},
        "redshift": {"endpoint": behind, "workgroupName": "shop", "database": "analytics"},
        "moto": {"endpoint": behind},
        "aws": {"region": "eu-west-1", "accessKeyId": "administrator", "secretAccessKey": "secret",
                "workers": {"loader": "localloader"}},
        "images": {}, "bin": {"local": "", "kubectl": "", "helm": "", "ctr": "", "python": ""},
    });
    serde_json::from_value(stack).unwrap()
}

async fn ask(request: Request<Full<Bytes>>) -> String {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

fn signed(key: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={key}/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0")
}

#[tokio::test]
async fn a_call_passes_as_the_administrators_and_is_told_as_its_workers() {
    let logs = tempfile::tempdir().unwrap();
    let stack = stack(&echo().await, logs.path());
    let (recorder, doors) = Recorder::start(&stack).await.unwrap();

    let key = doors.access_key("loader");
    let request = Request::get(format!("{}/story-late-gold/_runs/x?x-id=GetObject", doors.s3));
    let request = request
        .header(AUTHORIZATION, signed(key))
        .body(Full::default())
        .unwrap();
    let expected = format!(
        "{} GET /story-late-gold/_runs/x?x-id=GetObject ",
        signed("administrator")
    );
    assert_eq!(ask(request).await, expected);

    let put = Request::post(&doors.dynamodb).header("x-amz-target", "DynamoDB_20120810.PutItem");
    let body = Bytes::from_static(br#"{"TableName": "story_late"}"#);
    let put = put
        .header(AUTHORIZATION, signed("stranger"))
        .body(Full::new(body))
        .unwrap();
    assert_eq!(
        ask(put).await,
        format!("{} POST / {{\"TableName\": \"story_late\"}}", signed("stranger"))
    );

    let told = recorder.compare(&stack).unwrap_err().to_string();
    for call in [
        "access key stranger: dynamodb:PutItem of {table}",
        "loader: s3:GetObject of {gold}/_runs/{any}",
    ] {
        assert!(told.contains(call), "{told}");
    }
    assert!(logs.path().join("calls/loader.jsonl").exists());
}

#[tokio::test]
async fn what_nobody_has_signed_passes_and_is_nobodys() {
    let logs = tempfile::tempdir().unwrap();
    let stack = stack(&echo().await, logs.path());
    let (recorder, doors) = Recorder::start(&stack).await.unwrap();
    let request = Request::get(format!("{}/_health", doors.s3))
        .body(Full::default())
        .unwrap();
    assert_eq!(ask(request).await, "nobody GET /_health ");
    recorder.compare(&stack).unwrap();
}
