//! Running the programs of a language's toolchain.

use std::{
    env,
    ffi::OsStr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::BuildError;

/// The program of that name on the PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| is_program(path))
}

pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs a program to its end. What it complains about is shown as it comes;
/// what it writes besides is given back.
pub(crate) fn run(command: &mut Command) -> Result<Output, BuildError> {
    let program = program(command.get_program());
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| BuildError::Run {
            program: program.clone(),
            error,
        })?;
    if !output.status.success() {
        return Err(BuildError::Failed {
            program,
            status: output.status.to_string(),
        });
    }
    Ok(output)
}

fn program(name: &OsStr) -> PathBuf {
    PathBuf::from(name)
}
