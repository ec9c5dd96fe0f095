//! Making a component of a project.

mod c;
mod encode;
mod javascript;
mod python;
mod rust;
mod world;

use std::{
    fs,
    path::{Path, PathBuf},
};

use prunella_engine::{Inspection, LoadError};

use crate::{BuildError, Language};

/// The folder, in a project, for what is built.
const BUILD: &str = "build";

/// A component that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// What its author calls it.
    pub name: String,
    /// Of what it was made.
    pub language: Language,
    /// Where it is: `build/NAME.wasm` in the project.
    pub path: PathBuf,
    /// What it imports and exports.
    pub inspection: Inspection,
}

/// What a language's toolchain made.
struct Made {
    name: String,
    component: Vec<u8>,
}

/// Makes a component of the project in `folder`, with the toolchain of its
/// language. What is written is a strategy that Prunella would load, or
/// nothing; in particular it imports nothing of WASI.
///
/// # Errors
/// When a tool is missing, when it finds a mistake, and when Prunella would not
/// load what came of it.
pub fn build(folder: &Path) -> Result<Built, BuildError> {
    let language = Language::of(folder)?;
    // Tools run elsewhere, and are told where this is.
    let folder = folder.canonicalize().map_err(BuildError::read(folder))?;
    let out = folder.join(BUILD);
    fs::create_dir_all(&out).map_err(BuildError::write(&out))?;
    let made = match language {
        Language::Rust => rust::build(&folder)?,
        Language::C => c::build(&folder, &out)?,
        Language::Python => python::build(&folder, &out)?,
        Language::JavaScript => javascript::build(&folder, &out)?,
    };
    let inspection = inspect(&made.component).map_err(BuildError::Refused)?;
    let path = out.join(format!("{}.wasm", made.name));
    fs::write(&path, &made.component).map_err(BuildError::write(&path))?;
    Ok(Built {
        name: made.name,
        language,
        path,
        inspection,
    })
}

/// What it imports and exports, if Prunella would load it.
fn inspect(component: &[u8]) -> Result<Inspection, LoadError> {
    let inspection = Inspection::of(component)?;
    inspection.loadable()?;
    Ok(inspection)
}

/// Gives what a tool has written to a file, and takes the file away.
fn take(path: &Path) -> Result<Vec<u8>, BuildError> {
    let bytes = fs::read(path).map_err(BuildError::read(path))?;
    fs::remove_file(path).map_err(BuildError::write(path))?;
    Ok(bytes)
}
