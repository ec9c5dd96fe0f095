//! Running programs and keeping what they said.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What came of a program.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit code; absent when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Output {
    /// Whether it ended with success.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Its standard output, or an error that shows what it said.
    ///
    /// # Errors
    /// When it did not end with success.
    pub fn into_stdout(self, what: &str) -> Result<String> {
        if self.success() {
            return Ok(self.stdout);
        }
        let code = self.code.map_or("a signal".to_owned(), |c| c.to_string());
        bail!("`{what}` ended with {code}\n{}{}", self.stdout, self.stderr);
    }
}

/// Runs a program to its end, without input.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    Ok(Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// `program`, which enters the namespaces of the machine whose init is
/// `leader`. For programs that only talk to the machine's init or read its
/// journal: it keeps the host's capabilities.
pub(crate) fn enter(leader: i32, program: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command
        .args(["--target", &leader.to_string(), "--all", "--"])
        .args(program)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
        .env("LANG", "C.UTF-8")
        .env("SYSTEMD_COLORS", "0")
        .env("SYSTEMD_PAGER", "");
    command
}
