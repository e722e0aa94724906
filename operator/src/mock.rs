//! An API server in memory, as far as tests need one: creates, applies, statuses, deletes, and refusals on demand. No network.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};

/// Under this namespace objects of the cluster are kept.
const CLUSTER: &str = "cluster";

/// Instead of the code of an answer: there is none, ever.
pub(crate) const NO_ANSWER: u16 = 1;

/// Plural, namespace and name of an object.
type Place = (String, String, String);

/// An API server in memory.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<Place, Value>,
    version: u64,
    /// `METHOD plural/name[/subresource]` of every request.
    log: Vec<String>,
    /// What is answered instead, by the beginning of the line in the log.
    refusals: Vec<(String, u16)>,
}

impl Server {
    /// A client of it.
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, "operators")
    }

    /// Stores an object as somebody else would.
    pub fn put(&self, plural: &str, object: Value) -> Value {
        let mut state = self.lock();
        let object = state.stamped(object, None);
        let place = place(plural, &object);
        state.objects.insert(place, object.clone());
        object
    }

    /// An object as it is stored.
    pub fn get(&self, plural: &str, name: &str) -> Option<Value> {
        let state = self.lock();
        let mut found = state.objects.iter().filter(|((a, _, b), _)| a == plural && b == name);
        found.next().map(|(_, object)| object.clone())
    }

    /// Changes an object as somebody else would.
    pub fn edit(&self, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.lock();
        state.version += 1;
        let version = state.version.to_string();
        let mut found = state
            .objects
            .iter_mut()
            .filter(|((a, _, b), _)| a == plural && b == name);
        let (_, object) = found.next().expect("the object");
        change(object);
        object["metadata"]["resourceVersion"] = json!(version);
    }

    /// Removes an object as somebody else would.
    pub fn remove(&self, plural: &str, name: &str) {
        self.lock().objects.retain(|(a, _, b), _| !(a == plural && b == name));
    }

    /// All objects of a kind.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        let state = self.lock();
        let of_kind = state.objects.iter().filter(|((a, ..), _)| a == plural);
        of_kind.map(|(_, object)| object.clone()).collect()
    }

    /// From now on requests whose line begins so are answered with this code; 0: as usual again.
    pub fn refuse(&self, line: &str, code: u16) {
        let mut state = self.lock();
        state.refusals.retain(|(refused, _)| refused != line);
        if code != 0 {
            state.refusals.push((line.to_owned(), code));
        }
    }

    /// The requests since the last call of this.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    /// The same without reads.
    pub fn writes(&self) -> Vec<String> {
        let requests = self.requests();
        requests.into_iter().filter(|line| !line.starts_with("GET")).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn answer(&self, request: Request<Body>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let kind = parts
            .headers
            .get("content-type")
            .map(|kind| kind.to_str().unwrap().to_owned());
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let (code, answer) = self.lock().serve(
            parts.method.as_str(),
            parts.uri.path(),
            &query,
            kind.as_deref().unwrap_or_default(),
            body,
        );
        if code == NO_ANSWER {
            std::future::pending::<()>().await;
        }
        Response::builder()
            .status(code)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(answer.to_string())))
            .unwrap()
    }
}

impl State {
    fn serve(&mut self, method: &str, path: &str, query: &str, kind: &str, body: Value) -> (u16, Value) {
        let Path {
            plural,
            namespace,
            name,
            subresource,
        } = Path::of(path);
        let line_name = name
            .clone()
            .or_else(|| body["metadata"]["name"].as_str().map(str::to_owned))
            .unwrap_or_default();
        let mut line = format!("{method} {plural}/{line_name}");
        if let Some(subresource) = &subresource {
            line = format!("{line}/{subresource}");
        }
        self.log.push(line.clone());
        if let Some((_, code)) = self.refusals.iter().find(|(refused, _)| line.starts_with(refused)) {
            let reason = match code {
                404 => "NotFound",
                409 => "Conflict",
                _ => "Forbidden",
            };
            return failure(*code, reason, &line);
        }
        if path == "/version" {
            return (200, version());
        }
        let Some(namespace) = namespace else {
            return (200, self.list(&plural, None, query));
        };
        let place = |name: &str| (plural.clone(), namespace.clone(), name.to_owned());
        match (method, name) {
            ("GET", None) => (200, self.list(&plural, Some(&namespace), query)),
            ("GET", Some(name)) => match self.objects.get(&place(&name)) {
                Some(object) => (200, object.clone()),
                None => failure(404, "NotFound", &line),
            },
            ("POST", _) => {
                let place = place(&line_name);
                if self.objects.contains_key(&place) {
                    return failure(409, "AlreadyExists", &line);
                }
                let mut object = body;
                object["metadata"]["namespace"] = json!(namespace);
                let object = self.stamped(object, Some("Update"));
                self.objects.insert(place, object.clone());
                (201, object)
            }
            ("PUT", Some(name)) => self.replace(&place(&name), &line, subresource.is_some(), body),
            ("PATCH", Some(name)) => self.patch(&place(&name), &line, kind, body),
            ("DELETE", Some(name)) => {
                let uid = &body["preconditions"]["uid"];
                match self.objects.get(&place(&name)) {
                    None => failure(404, "NotFound", &line),
                    Some(object) if !uid.is_null() && object["metadata"]["uid"] != *uid => {
                        failure(409, "Conflict", &line)
                    }
                    Some(_) => {
                        self.objects.remove(&place(&name));
                        (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
                    }
                }
            }
            _ => failure(405, "MethodNotAllowed", &line),
        }
    }

    fn replace(&mut self, place: &Place, line: &str, is_status: bool, body: Value) -> (u16, Value) {
        let Some(stored) = self.objects.get(place) else {
            return failure(404, "NotFound", line);
        };
        let (known, asked) = (&stored["metadata"], &body["metadata"]);
        let is_another = !asked["uid"].is_null() && asked["uid"] != known["uid"];
        if is_another || known["resourceVersion"] != asked["resourceVersion"] {
            return failure(409, "Conflict", line);
        }
        let mut object = body;
        if is_status {
            let status = object["status"].take();
            object = stored.clone();
            object["status"] = status;
            if object == *stored {
                return (200, object);
            }
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(place.clone(), object.clone());
        (200, object)
    }

    fn patch(&mut self, place: &Place, line: &str, kind: &str, body: Value) -> (u16, Value) {
        let asked = &body["metadata"];
        let Some(stored) = self.objects.get(place) else {
            if !asked["uid"].is_null() {
                return failure(409, "Conflict", line);
            }
            let mut object = body;
            object["metadata"]["namespace"] = json!(place.1);
            let object = self.stamped(object, Some("Apply"));
            self.objects.insert(place.clone(), object.clone());
            return (201, object);
        };
        for field in ["uid", "resourceVersion"] {
            if !asked[field].is_null() && asked[field] != stored["metadata"][field] {
                return failure(409, "Conflict", line);
            }
        }
        let mut object = stored.clone();
        if kind.contains("merge-patch") {
            object["metadata"]["managedFields"] = body["metadata"]["managedFields"].clone();
        } else {
            apply(&mut object, body);
        }
        if object != *stored {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            if object["spec"] != stored["spec"] {
                object["metadata"]["generation"] = json!(stored["metadata"]["generation"].as_i64().unwrap_or(1) + 1);
            }
            self.objects.insert(place.clone(), object.clone());
        }
        (200, object)
    }

    fn list(&self, plural: &str, namespace: Option<&str>, query: &str) -> Value {
        let query = query.replace("%3D", "=").replace("%2C", ",").replace("%2F", "/");
        let selector = query
            .split('&')
            .find_map(|part| part.strip_prefix("labelSelector="))
            .unwrap_or_default()
            .to_owned();
        let fits = |object: &Value| {
            selector.split(',').filter(|part| !part.is_empty()).all(|part| {
                let labels = &object["metadata"]["labels"];
                match part.split_once('=') {
                    Some((key, value)) => labels[key] == value,
                    None => !labels[part].is_null(),
                }
            })
        };
        let items: Vec<_> = self
            .objects
            .iter()
            .filter(|((a, b, _), object)| a == plural && namespace.is_none_or(|own| own == b) && fits(object))
            .map(|(_, object)| object.clone())
            .collect();
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": self.version.to_string()}, "items": items})
    }

    /// What the server adds to a new object.
    fn stamped(&mut self, mut object: Value, operation: Option<&str>) -> Value {
        self.version += 1;
        let fields: Map<_, _> = object
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .filter(|key| !["apiVersion", "kind"].contains(&key.as_str()))
            .map(|key| (format!("f:{key}"), json!({})))
            .collect();
        let metadata = &mut object["metadata"];
        let defaults = [
            ("namespace", json!("shop")),
            ("uid", json!(format!("uid-{}", self.version))),
            ("creationTimestamp", json!("2026-01-01T00:00:00Z")),
            ("generation", json!(1)),
        ];
        for (field, value) in defaults {
            if metadata[field].is_null() {
                metadata[field] = value;
            }
        }
        metadata["resourceVersion"] = json!(self.version.to_string());
        if let Some(operation) = operation {
            metadata["managedFields"] = json!([
                {"manager": "medallion-operator", "operation": operation, "fieldsV1": fields},
            ]);
        }
        object
    }
}

/// Labels and annotations are joined, everything else is as it is applied.
fn apply(object: &mut Value, body: Value) {
    let Value::Object(fields) = body else { return };
    for (field, value) in fields {
        if field != "metadata" {
            object[field.as_str()] = value;
            continue;
        }
        for part in ["labels", "annotations"] {
            for (key, text) in value[part].as_object().into_iter().flatten() {
                object["metadata"][part][key.as_str()] = text.clone();
            }
        }
        if !value["ownerReferences"].is_null() {
            object["metadata"]["ownerReferences"] = value["ownerReferences"].clone();
        }
    }
}

fn place(plural: &str, object: &Value) -> Place {
    let text = |field: &str| object["metadata"][field].as_str().expect("a name").to_owned();
    (plural.to_owned(), text("namespace"), text("name"))
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.24", "compiler": "gc", "platform": "linux/amd64",
    })
}

fn failure(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "code": code, "message": message,
    });
    (code, status)
}

struct Path {
    plural: String,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
}

impl Path {
    /// `/api/v1/...` or `/apis/group/version/...`.
    fn of(path: &str) -> Self {
        let mut parts = path.trim_matches('/').split('/').map(str::to_owned);
        let skip = if parts.next().as_deref() == Some("api") { 1 } else { 2 };
        let mut parts = parts.skip(skip).peekable();
        let mut namespace = None;
        let first = parts.next().unwrap_or_default();
        if first == "namespaces" {
            let own = parts.next().unwrap_or_default();
            if parts.peek().is_none() {
                // A namespace itself is kept like the others.
                return Self {
                    plural: first,
                    namespace: Some(CLUSTER.to_owned()),
                    name: Some(own),
                    subresource: None,
                };
            }
            namespace = Some(own);
        }
        let is_namespaced = namespace.is_some();
        let plural = if is_namespaced {
            parts.next().unwrap_or_default()
        } else {
            first
        };
        if !is_namespaced && parts.peek().is_some() {
            namespace = Some(CLUSTER.to_owned());
        }
        Self {
            plural,
            namespace,
            name: parts.next(),
            subresource: parts.next(),
        }
    }
}
