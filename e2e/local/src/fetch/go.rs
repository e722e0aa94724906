//! Builds the Go parts from their locked modules. Touches the network through `go`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::overlay::{self, Instead};
use crate::cache;
use crate::digest::Digester;
use crate::layout::Layout;
use crate::pins::{GO, GoModule};
use crate::progress::Progress;
use crate::run;

/// Programs that are built from one module. Parts that have much in common share one `go.mod`, so that it is compiled once.
pub struct GoPart {
    pub name: &'static str,
    /// Where their `go.mod` lies among the pins.
    folder: &'static str,
    /// The module whose version is the part's.
    module: &'static str,
    /// Packages by name, or a folder beside `go.mod` that begins with `./`.
    programs: &'static [&'static str],
    tags: &'static str,
    /// The variable that takes the version at link time, or with `=` what else it takes.
    version_variable: &'static str,
    /// Programs whose package does not bear their name.
    rename: &'static [(&'static str, &'static str)],
    /// Files of ours that are compiled in place of a module's own.
    instead: &'static [Instead],
}

pub const KUBERNETES: GoPart = GoPart {
    name: "kubernetes",
    folder: GO,
    module: "k8s.io/kubernetes",
    programs: &[
        "go.etcd.io/etcd/server/v3",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-proxy",
        "k8s.io/kubernetes/cmd/kube-scheduler",
        "k8s.io/kubernetes/cmd/kubectl",
        "k8s.io/kubernetes/cmd/kubelet",
    ],
    tags: "",
    version_variable: "k8s.io/component-base/version.gitVersion",
    rename: &[("server", "etcd")],
    instead: &[],
};

pub const CONTAINERD: GoPart = GoPart {
    name: "containerd",
    folder: GO,
    module: "github.com/containerd/containerd/v2",
    programs: &[
        "github.com/containerd/containerd/v2/cmd/containerd",
        "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
        "github.com/containerd/containerd/v2/cmd/ctr",
    ],
    tags: "no_btrfs no_devmapper no_zfs",
    version_variable: "github.com/containerd/containerd/v2/version.Version",
    rename: &[],
    instead: &[],
};

pub const COREDNS: GoPart = GoPart {
    name: "coredns",
    folder: GO,
    module: "github.com/coredns/coredns",
    // A main of our own beside go.mod: the plugins that are used.
    programs: &["./coredns"],
    tags: "",
    version_variable: "",
    rename: &[],
    instead: &[],
};

pub const HELM: GoPart = GoPart {
    name: "helm",
    folder: GO,
    module: "helm.sh/helm/v4",
    programs: &["helm.sh/helm/v4/cmd/helm"],
    tags: "",
    version_variable: "helm.sh/helm/v4/internal/version.version",
    rename: &[],
    instead: &[],
};

pub const KUBECONFORM: GoPart = GoPart {
    name: "kubeconform",
    folder: GO,
    module: "github.com/yannh/kubeconform",
    programs: &["github.com/yannh/kubeconform/cmd/kubeconform"],
    tags: "",
    version_variable: "",
    rename: &[],
    instead: &[],
};

pub const VERSITYGW: GoPart = GoPart {
    name: "versitygw",
    folder: GO,
    module: "github.com/versity/versitygw",
    programs: &["github.com/versity/versitygw/cmd/versitygw"],
    tags: "",
    version_variable: "main.Version",
    rename: &[],
    instead: &[],
};

/// What tries the chart's alerts. It has little in common with the others, and needs none of what finds targets for Prometheus.
pub const PROMTOOL: GoPart = GoPart {
    name: "promtool",
    folder: "prometheus",
    module: "github.com/prometheus/prometheus",
    programs: &["github.com/prometheus/prometheus/cmd/promtool"],
    tags: "remove_all_sd",
    version_variable: "",
    rename: &[],
    instead: &[],
};

/// AWS's emulator of what runs a function on Lambda. It has nothing in common with the others.
pub const LAMBDA_EMULATOR: GoPart = GoPart {
    name: "lambda-emulator",
    folder: "rie",
    module: "github.com/aws/aws-lambda-runtime-interface-emulator",
    programs: &["github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie"],
    tags: "",
    version_variable: "",
    rename: &[],
    instead: &[],
};

/// What fetches modules and plugins; the client of Google's storage brings a quarter of all packages to tflint.
const WITHOUT_GOOGLE: Instead = Instead {
    module: "github.com/hashicorp/go-getter",
    files: &["get_gcs.go"],
};

/// What reads Terraform's language. It is written against a branch of one library, so that it has a module of its own.
pub const OPENTOFU: GoPart = GoPart {
    name: "opentofu",
    folder: "terraform",
    module: "github.com/opentofu/opentofu",
    programs: &["github.com/opentofu/opentofu/cmd/tofu"],
    tags: "",
    // It has its version from a file of its own, and this makes it no version in the making.
    version_variable: "github.com/opentofu/opentofu/version.dev=no",
    rename: &[],
    // It is run with states on S3 and on the disk alone: the libraries of other places are half of what there is to compile.
    instead: &[
        Instead {
            module: "github.com/opentofu/opentofu",
            files: &[
                "internal/backend/init/init.go",
                "internal/encryption/default_registry.go",
                "internal/tracing/init.go",
            ],
        },
        WITHOUT_GOOGLE,
    ],
};

/// Our stand-in for the AWS provider, and what derives the real one's schemas for it.
pub const AWS_STAND_IN: GoPart = GoPart {
    name: "aws-stand-in",
    folder: "terraform",
    module: "github.com/hashicorp/terraform-plugin-go",
    programs: &["./derive-schema", "./terraform-provider-aws-stand-in"],
    tags: "",
    version_variable: "",
    rename: &[],
    instead: &[],
};

/// The linter of Terraform's language; it has little in common with the others.
pub const TFLINT: GoPart = GoPart {
    name: "tflint",
    folder: "tflint",
    module: "github.com/terraform-linters/tflint",
    programs: &["github.com/terraform-linters/tflint"],
    tags: "",
    version_variable: "",
    rename: &[],
    instead: &[WITHOUT_GOOGLE],
};

impl GoPart {
    pub fn version(&self, layout: &Layout) -> Result<String> {
        Ok(GoModule::read(layout, self.folder)?.version(self.module)?.to_owned())
    }

    fn link_flags(&self, version: &str) -> String {
        match self.version_variable {
            "" => "-s -w".to_owned(),
            given if given.contains('=') => format!("-s -w -X {given}"),
            variable => format!("-s -w -X {variable}={version}"),
        }
    }
}

/// Builds all programs of a part, unless the cache has them.
pub async fn build(layout: &Layout, progress: &Progress, part: &GoPart) -> Result<PathBuf> {
    let module = GoModule::read(layout, part.folder)?;
    let version = module.version(part.module)?.to_owned();
    let flags = part.link_flags(&version);
    let compiler = run::output(Command::new("go").args(["env", "GOVERSION", "GOOS", "GOARCH"])).await?;
    let mut digester = Digester::default();
    for own in part.programs.iter().filter(|program| program.starts_with("./")) {
        digester = digester.folder(&module.folder.join(own))?;
    }
    for one in part.instead {
        for file in one.files {
            digester = digester.text(file).file(&one.ours(&module.folder, file))?;
        }
    }
    let digest = digester
        .file(&module.folder.join("go.mod"))?
        .file(&module.folder.join("go.sum"))?
        .text(&part.programs.join(" "))
        .text(part.tags)
        .text(&flags)
        .text(&compiler)
        .short();
    cache::once(layout, part.name, &digest, |making| async move {
        progress
            .step(format!("{} {version} (Go)", part.name), |step| async move {
                let overlaid = making.join("overlay");
                let mut go = Command::new("nice");
                go.args([
                    "-n",
                    "5",
                    "go",
                    "build",
                    "-v",
                    "-mod=readonly",
                    "-buildvcs=false",
                    "-trimpath",
                    // The linker would throw it away.
                    "-gcflags=all=-dwarf=false",
                ])
                .args(["-tags", part.tags, "-ldflags", &flags, "-o"])
                .arg(format!("{}/", making.display()));
                if !part.instead.is_empty() {
                    go.arg("-overlay")
                        .arg(overlay::write(&module.folder, part.instead, &overlaid).await?);
                }
                go.args(part.programs)
                    .current_dir(&module.folder)
                    .env("CGO_ENABLED", "0")
                    .env("GOFLAGS", "")
                    .env("GOWORK", "off")
                    // The compiler's own garbage collector: memory is there, processors are not.
                    .env("GOGC", "400");
                run::logged(&go, &layout.build_log(part.name), &step).await?;
                cache::clear(&overlaid)?;
                for (built, called) in part.rename {
                    fs::rename(making.join(built), making.join(called))
                        .with_context(|| format!("{} did not bring {built}", part.name))?;
                }
                Ok(())
            })
            .await
    })
    .await
}
