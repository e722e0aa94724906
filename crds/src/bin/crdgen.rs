//! Writes the `CustomResourceDefinition`s into `crds/` and into their chart. No network.

use std::error::Error;
use std::path::Path;

use medallion_crds::manifests::{FOLDERS, manifests};

fn main() -> Result<(), Box<dyn Error>> {
    for (name, text) in manifests()? {
        for folder in FOLDERS {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
            std::fs::write(&path, &text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    Ok(())
}
