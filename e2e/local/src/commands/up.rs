//! `up`: everything that is missing is built, everything that does not run is started. Touches the network through cargo, go, mvn, pip and apt.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use tokio::sync::{OnceCell, watch};

use super::{down, ready};
use crate::cache;
use crate::cargo;
use crate::context::Context;
use crate::digest;
use crate::fetch::{self, Fetched, go};
use crate::functions;
use crate::images;
use crate::images::base::{self, Base};
use crate::images::build::{self, Built};
use crate::parts::redshift;
use crate::run;
use crate::stack::document::{self, Functions, Images};
use crate::stack::status::Status;
use crate::stack::{self, Extent, REDSHIFT_PROGRAM, Stack, namespaces};
use crate::toolchains;

/// What the two lanes share.
struct Shared {
    /// The lane that needs it first makes it.
    fetched: OnceCell<Fetched>,
    base: OnceCell<Base>,
    /// The stack, as soon as its first process runs.
    started: watch::Sender<Option<Stack>>,
}

pub async fn up(context: &Context) -> Result<Stack> {
    toolchains::check_root()?;
    let progress = &context.progress;
    progress.line(format!("stack `{}`: checking toolchains", context.name));
    toolchains::check(&context.layout, &context.pins, progress).await?;
    let path = context.layout.state.join(format!("{}.lock", context.name));
    let _lock = progress
        .quiet_step(|step| async move { cache::lock(&path, &step).await })
        .await?;

    // Two cores, two lanes: cargo and the images; everything else and the start.
    let shared = Shared {
        fetched: OnceCell::new(),
        base: OnceCell::new(),
        started: watch::channel(None).0,
    };
    let programs = binaries_and_images(context, &shared);
    let (stack, (images, functions)) = tokio::try_join!(parts_and_start(context, &shared), programs)?;
    ready::wait(context, &stack).await?;
    document::publish(&stack, &images, &functions)?;
    Ok(stack)
}

/// What to type next.
pub fn print(stack: &Stack) {
    println!("stack `{}` is up", stack.name);
    println!(
        "  eval \"$(cargo local --stack {} env)\"    # kubectl, helm, psql and the stack's endpoints",
        stack.name
    );
    println!("  {}", stack.json().display());
}

async fn parts_and_start(context: &Context, shared: &Shared) -> Result<Stack> {
    let fetched = shared
        .fetched
        .get_or_try_init(|| fetch::all(&context.layout, &context.pins, &context.progress))
        .await?
        .clone();
    // The processors are often idle now: cargo's last crates take one, the parts wait for each other.
    if context.extent == Extent::ControlPlane {
        return start(context, shared, fetched).await;
    }
    let base = shared.base.get_or_try_init(|| make_base(context));
    let (stack, _) = tokio::try_join!(start(context, shared, fetched), base)?;
    Ok(stack)
}

async fn start(context: &Context, shared: &Shared, fetched: Fetched) -> Result<Stack> {
    let home = context.home();
    // Until the choice stands in a file, no other stack may make the same.
    let addresses = context.layout.state.join(".addresses.lock");
    let choosing = context
        .progress
        .quiet_step(|step| async move { cache::lock(&addresses, &step).await })
        .await?;
    let stack = describe(context, fetched).await?;
    if namespaces::running(&home).is_some() {
        drop(choosing);
        let running = Stack::read(&home)?;
        if running != stack {
            context.progress.line("the running stack is made of other parts than the tree pins now; `cargo local down` and `up` renews it");
        }
        shared.started.send_replace(Some(running.clone()));
        ready::wait(context, &running).await?;
        return Ok(running);
    }
    // Parts that remember each other start from nothing together.
    down::clear(context)?;
    // The last lines of a log are to be this stack's.
    cache::clear(&stack.logs())?;
    fs::create_dir_all(stack.logs())?;
    stack.write()?;
    drop(choosing);
    // By the kernel's link: cargo may meanwhile have put another build where this program was.
    copy_program(Path::new("/proc/self/exe"), &stack.own_program("local"))?;
    let starting = stack.clone();
    tokio::task::spawn_blocking(move || namespaces::start(&starting)).await??;
    shared.started.send_replace(Some(stack.clone()));
    ready::wait(context, &stack).await?;
    Ok(stack)
}

async fn describe(context: &Context, fetched: Fetched) -> Result<Stack> {
    let layout = &context.layout;
    let coredns_version = go::COREDNS.version(layout)?;
    let pause_tag = context.pins.pause.tag.clone();
    let index = match Stack::read(&context.home()) {
        Ok(known) if namespaces::running(&context.home()).is_some() => known.index,
        _ => stack::free_index(layout, &context.name)?,
    };
    Ok(Stack {
        name: context.name.clone(),
        extent: context.extent,
        index,
        home: context.home(),
        kubernetes_version: go::KUBERNETES.version(layout)?,
        pause_archive: images::pause(layout, &stack::pause_image(&pause_tag)).await?,
        coredns_archive: images::coredns(layout, &fetched.coredns, &stack::coredns_image(&coredns_version)).await?,
        coredns_version,
        pause_tag,
        fetched,
    })
}

async fn binaries_and_images(context: &Context, shared: &Shared) -> Result<(Images, Functions)> {
    if context.compile {
        cargo::build(context).await?;
    }
    let images = Box::pin(images_and_functions(context, shared));
    let tests = Box::pin(async {
        if context.compile && context.with_stack_tests {
            cargo::build_stack_tests(context).await;
        }
    });
    // One processor makes images, and the parts wait for each other: the other one has time.
    let (made, ()) = tokio::join!(images, tests);
    made
}

async fn images_and_functions(context: &Context, shared: &Shared) -> Result<(Images, Functions)> {
    if context.extent == Extent::ControlPlane {
        // Nothing runs in containers, nor as functions.
        return Ok((Images::default(), Functions::default()));
    }
    let functions = functions::bootstraps(&context.layout).await?;
    let [medallion, dbt_purchases] = build_images(context, shared).await?;
    let Some(stack) = shared.started.subscribe().wait_for(Option::is_some).await?.clone() else {
        bail!("the stack was not started");
    };
    install_redshift(context, &stack).await?;
    let mut images = Images::default();
    if let Some(image) = medallion {
        images.medallion = Some(import(context, &stack, image).await?);
    }
    if let Some(image) = dbt_purchases {
        images.dbt_purchases = Some(import(context, &stack, image).await?);
    }
    Ok((images, functions))
}

async fn build_images(context: &Context, shared: &Shared) -> Result<[Option<Built>; 2]> {
    let (layout, progress) = (&context.layout, &context.progress);
    if ![build::MEDALLION, build::DBT_PURCHASES]
        .iter()
        .any(|image| layout.root.join(image.dockerfile).exists())
    {
        progress.line("images: no Dockerfile in the tree yet, skipped");
        return Ok([None, None]);
    }
    let base = shared.base.get_or_try_init(|| make_base(context)).await?;
    let fetched = shared
        .fetched
        .get_or_try_init(|| fetch::all(layout, &context.pins, progress))
        .await?;
    let _lock = lock_images(context).await?;
    Ok([
        build::image(layout, progress, &build::MEDALLION, base, &fetched.wheels).await?,
        build::image(layout, progress, &build::DBT_PURCHASES, base, &fetched.wheels).await?,
    ])
}

async fn make_base(context: &Context) -> Result<Base> {
    let _lock = lock_images(context).await?;
    base::forget_containers(&context.layout).await?;
    base::make(&context.layout, &context.pins, &context.progress).await
}

/// The builder's store and the folders that it reads are the same for all stacks and clones.
async fn lock_images(context: &Context) -> Result<cache::Lock> {
    let path = context.layout.cache.join("images.lock");
    context
        .progress
        .quiet_step(|step| async move { cache::lock(&path, &step).await })
        .await
}

/// Copies the stand-in into the stack; a running one of another build is replaced.
async fn install_redshift(context: &Context, stack: &Stack) -> Result<()> {
    let built = context.layout.binaries().join(REDSHIFT_PROGRAM);
    if !built.exists() {
        context
            .progress
            .line("no redshift-stand-in in the workspace yet, the stack does without");
        return Ok(());
    }
    let installed = stack.own_program(REDSHIFT_PROGRAM);
    if installed.exists() && digest::of_file(&installed)? == digest::of_file(&built)? {
        return Ok(());
    }
    let replaced = installed.exists();
    copy_program(&built, &installed)?;
    let running = Status::read(&stack.home).and_then(|status| status.part(redshift::NAME).cloned());
    let Some(running) = running.filter(|part| replaced && part.pid.is_some()) else {
        return Ok(());
    };
    super::kill::kill(context, redshift::NAME)?;
    // Until its death is noted, what the status says is about the old one.
    context
        .progress
        .quiet_step(|_| async {
            while !replacement_noted(stack, running.restarts)? {
                tokio::time::sleep(run::POLL).await;
            }
            Ok(())
        })
        .await
}

fn replacement_noted(stack: &Stack, restarts_before: u32) -> Result<bool> {
    if namespaces::running(&stack.home).is_none() {
        bail!("the stack ended");
    }
    let status = Status::read(&stack.home);
    let part = status.as_ref().and_then(|status| status.part(redshift::NAME));
    Ok(part.is_some_and(|part| part.restarts > restarts_before))
}

/// A copy that appears at once, also where the old one is running.
fn copy_program(from: &Path, to: &Path) -> Result<()> {
    let new = to.with_extension("new");
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, &new).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(fs::rename(new, to)?)
}

/// Brings an image into the cluster as soon as its containerd answers.
async fn import(context: &Context, stack: &Stack, image: Built) -> Result<String> {
    let stack = stack.clone();
    context
        .progress
        .step(format!("import {}", image.reference), |_| async move {
            while !ready::has(&stack, "containerd") {
                if namespaces::running(&stack.home).is_none() {
                    bail!("the stack ended");
                }
                tokio::time::sleep(run::POLL).await;
            }
            tokio::task::spawn_blocking(move || {
                images::import(&stack, &image.archive, &image.reference)?;
                Ok(image.reference)
            })
            .await?
        })
        .await
}
