//! From a linked module to a component.

use std::path::Path;

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use crate::BuildError;

/// How many calls of WASI an error names.
const NAMED: usize = 4;

/// Makes a component of a linked module that carries its world with it. `path`
/// is where the module came from, to name it.
pub(super) fn encode(module: &[u8], path: &Path) -> Result<Vec<u8>, BuildError> {
    let calls = wasi_calls(module);
    if !calls.is_empty() {
        return Err(BuildError::Wasi { calls });
    }
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| BuildError::Encode {
            path: path.to_path_buf(),
            reason: format!("{error:#}"),
        })
}

/// The functions of WASI that a module imports. A module that cannot be read is
/// the encoder's to complain about.
fn wasi_calls(module: &[u8]) -> Vec<String> {
    let imports = Parser::new(0)
        .parse_all(module)
        .filter_map(Result::ok)
        .filter_map(|payload| match payload {
            Payload::ImportSection(imports) => Some(imports.into_imports()),
            _ => None,
        })
        .flatten()
        .filter_map(Result::ok);
    let mut calls: Vec<String> = imports
        .filter(|import| import.module.starts_with("wasi"))
        .map(|import| format!("`{}` of `{}`", import.name, import.module))
        .collect();
    let more = calls.len().saturating_sub(NAMED);
    calls.truncate(NAMED);
    if more > 0 {
        calls.push(format!("{more} more"));
    }
    calls
}
