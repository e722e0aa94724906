//! `function`: packs a stage's function for AWS Lambda, with settings and contract from the Pipeline's manifest. No network; reads and writes
//! files.

mod archive;
mod destination;
mod manifest;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use medallion_crds::launch::{CONTRACT_PATH, KAFKA_CA_PATH, SETTINGS_PATH, schema_digest};
use medallion_crds::pipeline::{KafkaAuthenticationType, RunsOn};
use medallion_crds::{Owner, Pipeline, Stage};
use medallion_plan::{LaunchSettings, OperatorConfig, STAGES, ValidatedPipeline, function};
use serde_json::json;

use archive::{File, place, zipped};
use manifest::{Manifest, Which};

/// The name by which Lambda's own runtimes for compiled programs start one.
const BOOTSTRAP: &str = "bootstrap";

/// What to pack.
#[derive(Args, Clone, Debug)]
pub struct FunctionArguments {
    /// File of the Pipeline and of the ConfigMaps that it names, as `kubectl apply` takes them; several times, or - for standard input
    #[arg(long, required = true)]
    pub manifest: Vec<PathBuf>,
    /// Which Pipeline, if the manifest has several
    #[arg(long)]
    pub pipeline: Option<String>,
    /// Namespace of that Pipeline, if the manifest has several of its name
    #[arg(long)]
    pub namespace: Option<String>,
    /// Stage that the function does
    #[arg(long, default_value = "ingest")]
    pub stage: String,
    /// The function's program: gateway-lambda, exporter-lambda
    #[arg(long)]
    pub program: PathBuf,
    /// The operator's installation, as status.owner has it before the first slash; left out: taken from there, if the manifest is of the
    /// running object
    #[arg(long)]
    pub installation: Option<String>,
    /// The zip to write; an older package of the same function is replaced, and no other file
    #[arg(long)]
    pub into: PathBuf,
}

/// Packs one function and says what it is made of.
pub(crate) fn package(arguments: &FunctionArguments) -> anyhow::Result<()> {
    let manifest = Manifest::read(&arguments.manifest)?;
    let program = fs::read(&arguments.program).with_context(|| format!("reading {}", arguments.program.display()))?;
    let stage = Stage::from(arguments.stage.as_str());
    let pipeline = manifest.pipeline(Which {
        namespace: arguments.namespace.as_deref(),
        name: arguments.pipeline.as_deref(),
    })?;
    let mut files = files(&manifest, pipeline.clone(), stage, arguments.installation.clone())?;
    files.insert(
        0,
        File {
            name: BOOTSTRAP.to_owned(),
            content: program,
            is_program: true,
        },
    );
    let zip = zipped(&files)?;
    destination::write(&arguments.into, &zip)?;
    println!("{}: {} bytes", arguments.into.display(), zip.len());
    for file in &files {
        println!("  {} ({} bytes)", file.name, file.content.len());
    }
    let fields = secrets(&pipeline, stage);
    if !fields.is_empty() {
        println!(
            "set MEDALLION_SECRETS to the secrets in AWS Secrets Manager that hold {}",
            fields.join(", ")
        );
    }
    Ok(())
}

/// The files beside the program, where pods would have them mounted.
fn files(
    manifest: &Manifest,
    mut pipeline: Pipeline,
    stage: Stage,
    installation: Option<String>,
) -> anyhow::Result<Vec<File>> {
    pipeline.validate_cel().context("the Pipeline")?;
    ensure!(
        runs_on(&pipeline, stage) == Some(RunsOn::Lambda),
        "spec.stages.{stage} does not say runsOn: Lambda: pods do this stage; change the manifest first"
    );
    let known = pipeline.status.as_ref().and_then(|status| status.owner.as_deref());
    let known = known
        .and_then(|owner| owner.parse::<Owner>().ok())
        .map(|owner| owner.installation);
    let installation = installation.or(known).unwrap_or_default();
    ensure!(
        stage == Stage::Ingest || !installation.is_empty(),
        "--installation is needed: tables name their owner by it; see status.owner of the Pipeline"
    );
    ensure!(
        stage == Stage::Ingest || pipeline.metadata.namespace.is_some(),
        "the manifest must say the Pipeline's metadata.namespace: tables name their owner by it, and what applies the manifest may \
         fill in any"
    );
    let metadata = &mut pipeline.metadata;
    metadata.namespace.get_or_insert_with(|| "default".to_owned());
    metadata.uid.get_or_insert_with(String::new);
    // Of the configuration only this stands in a function's settings; what it allows is judged where the Pipeline is applied.
    let config: OperatorConfig =
        serde_json::from_value(json!({"installation": installation, "images": {"workers": ""}}))?;
    let validated = ValidatedPipeline::new(&pipeline, &config)?;
    let reference = &validated.schema_ref;
    let contract = manifest.config_map(&validated.namespace, &reference.name, &reference.key)?;
    let settings = LaunchSettings {
        pipeline: &validated,
        config: &config,
        contract_digest: &schema_digest(contract),
    };
    let Some(launch) = function(STAGES, &settings, stage) else {
        bail!("the stage {stage} is never a function");
    };
    let mut files = vec![packed(SETTINGS_PATH, &launch.text), packed(CONTRACT_PATH, contract)];
    let authority = pipeline.spec.kafka.tls.as_ref().and_then(|tls| tls.ca.as_ref());
    if let Some(found) = authority.and_then(|authority| authority.config_map_key_ref.as_ref()) {
        let authority = manifest.config_map(&validated.namespace, &found.name, &found.key)?;
        files.push(packed(KAFKA_CA_PATH, authority));
    }
    Ok(files)
}

fn packed(path: &str, content: &str) -> File {
    File {
        name: place(path).to_owned(),
        content: content.as_bytes().to_vec(),
        is_program: false,
    }
}

/// Where a stage that can be a function runs.
fn runs_on(pipeline: &Pipeline, stage: Stage) -> Option<RunsOn> {
    match stage {
        Stage::Ingest => pipeline.spec.stages.ingest.as_ref().map(|ingest| ingest.runs_on),
        Stage::Bronze => Some(pipeline.spec.stages.bronze.runs_on),
        _ => None,
    }
}

/// What the function needs of what pods have from Secrets, by the names of the fields.
fn secrets(pipeline: &Pipeline, stage: Stage) -> Vec<&'static str> {
    let spec = &pipeline.spec;
    let mut fields = Vec::new();
    let ingest = spec.stages.ingest.as_ref().filter(|_| stage == Stage::Ingest);
    let Some(ingest) = ingest else { return fields };
    if ingest.authentication.bearer_tokens.is_some() {
        fields.push("tokens");
    }
    fields.extend_from_slice(match spec.kafka.authentication.kind {
        KafkaAuthenticationType::None | KafkaAuthenticationType::MskIam => &[],
        KafkaAuthenticationType::MutualTls => &["tls.crt", "tls.key"],
        KafkaAuthenticationType::Plain | KafkaAuthenticationType::Scram => &["username", "password"],
    });
    let authority = spec.kafka.tls.as_ref().and_then(|tls| tls.ca.as_ref());
    if authority.is_some_and(|authority| authority.secret_key_ref.is_some()) {
        fields.push("ca.pem");
    }
    fields
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use medallion_crds::launch::{ExporterSettings, GatewaySettings, Settings};
    use serde_json::Value;
    use zip::ZipArchive;

    use super::*;

    const SMALLEST: &str = include_str!("../../../crds/examples/smallest.yaml");
    const CONTRACT: &str = include_str!("../../../crds/examples/contract.yaml");

    /// The smallest example with its contract, and its stage ingest changed.
    fn manifest(ingest: &Value) -> Manifest {
        let mut pipeline: Value = serde_saphyr::from_str(SMALLEST).unwrap();
        pipeline["spec"]["stages"]["ingest"] = ingest.clone();
        Manifest::of(&[pipeline.to_string(), CONTRACT.to_owned()]).unwrap()
    }

    fn on_lambda() -> Value {
        json!({"runsOn": "Lambda", "authentication": {"type": "None"}})
    }

    fn packed_files(manifest: &Manifest, stage: Stage) -> anyhow::Result<Vec<File>> {
        files(manifest, manifest.pipeline(Which::default())?, stage, None)
    }

    #[test]
    fn a_package_holds_settings_and_contract_where_pods_have_them() {
        let manifest = manifest(&on_lambda());
        let files = packed_files(&manifest, Stage::Ingest).unwrap();
        let zip = zipped(&files).unwrap();
        assert_eq!(zip, zipped(&files).unwrap(), "the same files are the same bytes");
        let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
        let mut read = |name: &str| {
            let mut text = String::new();
            archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        let settings: Settings<GatewaySettings> = serde_json::from_str(&read("settings/settings.json")).unwrap();
        let pipeline = manifest.pipeline(Which::default()).unwrap();
        assert_eq!(settings.worker.kafka.topic, pipeline.spec.kafka.topic);
        assert_eq!(settings.worker.contract.schema_path(), CONTRACT_PATH);
        let text = read("contract/schema.json");
        let digest = settings.worker.contract.schema_digest();
        assert_eq!(
            digest,
            schema_digest(&text),
            "or the function would refuse it as changed"
        );
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["type"], "object");
    }

    #[test]
    fn what_pods_do_is_not_packed_and_a_missing_contract_is_named() {
        let in_pods = manifest(&json!({"authentication": {"type": "None"}}));
        let words = |result: anyhow::Result<Vec<File>>| format!("{:#}", result.unwrap_err());
        assert!(words(packed_files(&in_pods, Stage::Ingest)).contains("runsOn: Lambda"));
        assert!(words(packed_files(&manifest(&on_lambda()), Stage::Gold)).contains("spec.stages.gold"));
        let mut pipeline: Value = serde_saphyr::from_str(SMALLEST).unwrap();
        pipeline["spec"]["stages"]["ingest"] = on_lambda();
        let alone = Manifest::of(&[pipeline.to_string()]).unwrap();
        let words = words(packed_files(&alone, Stage::Ingest));
        assert!(words.contains("ConfigMap purchase-contract-v1"), "{words}");
    }

    #[test]
    fn the_exporters_function_is_given_the_pods_settings_and_names_the_owner() {
        let mut pipeline: Value = serde_saphyr::from_str(SMALLEST).unwrap();
        pipeline["spec"]["stages"]["bronze"] = json!({"runsOn": "Lambda"});
        let manifest = Manifest::of(&[pipeline.to_string(), CONTRACT.to_owned()]).unwrap();
        let packed = |installation: Option<&str>| {
            let pipeline = manifest.pipeline(Which::default()).unwrap();
            files(&manifest, pipeline, Stage::Bronze, installation.map(str::to_owned))
        };
        assert!(packed(None).unwrap_err().to_string().contains("--installation"));
        let files = packed(Some("here")).unwrap();
        let settings: Settings<ExporterSettings> = serde_json::from_slice(&files[0].content).unwrap();
        assert_eq!(settings.worker.runs_on, RunsOn::Lambda);
        assert_eq!(settings.pipeline.owner().installation, "here");
        assert_eq!(files[1].name, "contract/schema.json");

        let metadata = pipeline["metadata"].as_object_mut().unwrap();
        metadata.remove("namespace");
        let nowhere = Manifest::of(&[pipeline.to_string(), CONTRACT.to_owned()]).unwrap();
        let refused = files_of(&nowhere, "here").unwrap_err().to_string();
        assert!(refused.contains("metadata.namespace"), "{refused}");
    }

    fn files_of(manifest: &Manifest, installation: &str) -> anyhow::Result<Vec<File>> {
        files(
            manifest,
            manifest.pipeline(Which::default())?,
            Stage::Bronze,
            Some(installation.to_owned()),
        )
    }

    #[test]
    fn what_the_function_needs_beside_its_package_is_named() {
        let tokens =
            json!({"type": "BearerTokens", "bearerTokens": {"secretKeyRef": {"name": "shop", "key": "tokens"}}});
        let manifest = manifest(&json!({"runsOn": "Lambda", "authentication": tokens}));
        let mut pipeline = manifest.pipeline(Which::default()).unwrap();
        assert_eq!(secrets(&pipeline, Stage::Ingest), ["tokens"]);
        pipeline.spec.kafka.authentication.kind = KafkaAuthenticationType::Scram;
        assert_eq!(secrets(&pipeline, Stage::Ingest), ["tokens", "username", "password"]);
    }
}
