//! `functions`: builds each function for both architectures of Lambda and packs it from a manifest. Touches the network through cargo and
//! pip.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use super::function::{FUNCTIONS, Function};
use super::runtime;
use crate::cargo;
use crate::context::Context;
use crate::fetch::python;
use crate::run;

/// Lambda's word, cargo-lambda's flag.
const ARCHITECTURES: [(&str, &str); 2] = [("arm64", "--arm64"), ("x86_64", "--x86-64")];
/// What is packed unless a manifest is named.
const MANIFESTS: [&str; 2] = ["crds/examples/on-lambda.yaml", "crds/examples/contract.yaml"];
/// What the operator's program says of a stage that pods do.
const OF_PODS: &str = "does not say runsOn: Lambda";

/// Which Pipeline of the manifests, in the words of the operator's program.
#[derive(Args, Clone, Debug)]
pub struct Which {
    /// Which Pipeline, if the manifests have several
    #[arg(long, requires = "manifest")]
    pipeline: Option<String>,
    /// Namespace of that Pipeline, if the manifests have several of its name
    #[arg(long, requires = "manifest")]
    namespace: Option<String>,
    /// The operator's installation, as status.owner has it before the first slash; left out: taken from there, if the manifest is of the
    /// running object
    #[arg(long, requires = "manifest")]
    installation: Option<String>,
}

impl Which {
    fn arguments(&self) -> impl Iterator<Item = &str> {
        let all = [
            ("--pipeline", &self.pipeline),
            ("--namespace", &self.namespace),
            ("--installation", &self.installation),
        ];
        let given = all
            .into_iter()
            .filter_map(|(flag, value)| Some([flag, value.as_deref()?]));
        given.flatten()
    }
}

/// From what a package is made beside the program.
struct Source<'s> {
    manifests: &'s [PathBuf],
    which: &'s Which,
}

/// Writes `<worker>-<architecture>.zip` for each, and prints how large it is.
pub async fn pack(context: &Context, manifests: &[PathBuf], which: &Which, into: &Path) -> Result<()> {
    if context.compile {
        cargo::build(context).await?;
    }
    let tools = python::lambda_tools(&context.layout, &context.pins, &context.progress).await?;
    fs::create_dir_all(into)?;
    let into = fs::canonicalize(into)?;
    let source = Source { manifests, which };
    for function in FUNCTIONS {
        if !is_wanted(context, &source, function).await? {
            println!("{}: pods do the stage {}", function.program, function.stage);
            continue;
        }
        for (architecture, flag) in ARCHITECTURES {
            let program = build(context, &tools, function, architecture, flag).await?;
            let zip = into.join(format!("{}-{architecture}.zip", function.worker));
            packed(context, &source, function, &program, &zip).await?;
            let glibc = runtime::check(&program).await?;
            let (size, bare) = (fs::metadata(&zip)?.len(), fs::metadata(&program)?.len());
            println!(
                "{}: {size} bytes, unpacked {bare}, glibc {glibc} or newer",
                zip.display()
            );
            ensure!(
                size <= function.limit,
                "{} has more than {} bytes",
                zip.display(),
                function.limit
            );
        }
    }
    Ok(())
}

/// Whether the manifests say that the stage is a function's: asked of the operator's program, with nothing to pack, before anything is
/// built.
async fn is_wanted(context: &Context, source: &Source<'_>, function: &Function) -> Result<bool> {
    let nothing = Path::new("/dev/null");
    match packed(context, source, function, nothing, nothing).await {
        Ok(()) => Ok(true),
        Err(refused) if format!("{refused:#}").contains(OF_PODS) => Ok(false),
        Err(error) => Err(error),
    }
}

/// With what it is linked to inside, because another architecture's libraries are not on this machine.
async fn build(
    context: &Context,
    tools: &Path,
    function: &Function,
    architecture: &str,
    flag: &str,
) -> Result<PathBuf> {
    let layout = &context.layout;
    // Features and linker are others than the workspace's: what is compiled here is of no use to it.
    let target = layout.root.join("target/lambda");
    let out = target.join("functions").join(architecture);
    let headers = headers(&target)?;
    let title = format!("{} for {architecture}", function.program);
    let log = layout.build_log(&format!("function-{}-{architecture}", function.worker));
    let mut path = vec![tools.join("bin")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let path = env::join_paths(path)?;
    context
        .progress
        .step(title, |step| async move {
            let mut cargo = cargo::command(context);
            cargo
                .args(["lambda", "build", "--release", "--locked", flag])
                .args(["--package", function.worker, "--bin", function.program])
                .args(["--features", function.features])
                .args(["--output-format", "binary", "--lambda-dir"])
                .arg(&out)
                .env("PATH", path)
                // Names of functions are of no use there, and are loaded at each cold start.
                .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
                .env("CFLAGS", format!("-I{}", headers.display()))
                .env("CARGO_TARGET_DIR", &target);
            run::logged(&cargo, &log, &step).await?;
            Ok(out.join(function.program).join("bootstrap"))
        })
        .await
}

/// A folder with an empty header of curl. Built by CMake, librdkafka includes that header also where it is told to do without curl: its
/// `rdkafka_conf.c` asks whether `WITH_OAUTHBEARER_OIDC` is defined, which it then is, as 0.
fn headers(target: &Path) -> Result<PathBuf> {
    let folder = target.join("headers");
    let curl = folder.join("curl");
    fs::create_dir_all(&curl)?;
    fs::write(curl.join("curl.h"), "")?;
    Ok(folder)
}

async fn packed(context: &Context, source: &Source<'_>, function: &Function, program: &Path, zip: &Path) -> Result<()> {
    let operator = context.layout.binaries().join("medallion-operator");
    let mut command = tokio::process::Command::new(&operator);
    command
        .args(["function", "--stage", function.stage, "--program"])
        .arg(program);
    command.arg("--into").arg(zip);
    let manifests = source.manifests;
    let shipped: Vec<PathBuf> = MANIFESTS.iter().map(|path| context.layout.root.join(path)).collect();
    let named: &[PathBuf] = if manifests.is_empty() { &shipped } else { manifests };
    for manifest in named {
        command.arg("--manifest").arg(manifest);
    }
    command.args(source.which.arguments());
    if manifests.is_empty() {
        // What is shipped is nobody's running object, which would say it.
        command.args(["--installation", "example"]);
    }
    let said = run::output(&mut command).await;
    said.with_context(|| format!("{} function", operator.display()))
        .map(drop)
}
