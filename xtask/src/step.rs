//! One step of a command: a program that is shown, run, and has to succeed.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The cargo that runs us, in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = prunella_machine::cargo();
    command.args(arguments);
    command
}

/// Where `program` is, if it is on the PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// Shows a step, takes it, and says how long it took. Nothing is ever asked of
/// whoever started it: there is no standard input.
pub(crate) fn take(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("\n==> {shown}");
    let started = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let took = started.elapsed().as_secs_f32();
    if !status.success() {
        bail!("`{shown}` failed ({status}, after {took:.1} s)");
    }
    eprintln!("    done in {took:.1} s");
    Ok(())
}

/// The command as one would type it.
fn show(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let mut shown = program.display().to_string();
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    shown
}
