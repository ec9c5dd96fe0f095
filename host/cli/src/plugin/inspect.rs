//! `prunella plugin inspect`: what can be known of a file before it is trusted.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use prunella_engine::LoadError;
use rustix::fs::OFlags;

use super::{
    engine,
    portrait::{Portrait, is_large},
};
use crate::{
    args::PluginInspectArgs,
    assembly::MAX_COMPONENT,
    exit::{Exit, Problem},
    output::{self, QUIET},
};

/// Runs the command. All that runs of the component is `describe`, under all
/// limits and without a host, so anybody's file may be looked at.
pub(super) fn run(args: &PluginInspectArgs) -> anyhow::Result<Exit> {
    let path = &args.file;
    let bytes = read(path)?;
    if is_large(&bytes) {
        output::remark(
            "note",
            QUIET,
            "it is large, and is compiled to be asked who it is: that takes a moment",
        );
    }
    let portrait = Portrait::of(&engine()?, path, &bytes).map_err(|error| {
        match error.downcast::<LoadError>() {
            Ok(error) => Problem::new(
                Exit::Trouble,
                format!("{} is not a strategy", path.display()),
            )
            .because(error)
            .into(),
            Err(error) => error,
        }
    })?;
    if args.json {
        output::print_json(&portrait)?;
    } else {
        output::print(&portrait.show(output::width()))?;
    }
    Ok(if portrait.is_good() {
        Exit::Ok
    } else {
        Exit::Trouble
    })
}

/// Reads a file of anybody's: only a regular one, and not more of it than a
/// component may have.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = |error: io::Error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            io::ErrorKind::PermissionDenied => Exit::NoPermission,
            _ => Exit::Trouble,
        };
        Problem::new(exit, format!("{} cannot be looked at", path.display())).because(error)
    };
    // A pipe without a writer would otherwise keep us waiting.
    let file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(cannot)?;
    let meta = file.metadata().map_err(cannot)?;
    if !meta.is_file() {
        return Err(Problem::new(
            Exit::Usage,
            format!("{} is not a regular file", path.display()),
        )
        .help("name the component itself, a file that ends in `.wasm`")
        .into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_COMPONENT + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > MAX_COMPONENT) {
        return Err(Problem::new(
            Exit::Trouble,
            format!(
                "{} is larger than a component may be ({MAX_COMPONENT} bytes)",
                path.display()
            ),
        )
        .into());
    }
    Ok(bytes)
}
