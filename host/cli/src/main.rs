//! The `prunella` binary: commands for operators, the daemon and the hook.
//!
//! This crate is where everything meets: it reads what was typed, opens what a
//! command needs, and shows what came of it. It decides nothing about healing.

mod alerts;
mod analyse;
mod approve;
mod args;
mod changes;
mod config;
mod enable;
mod exit;
mod expect;
mod generate;
mod heal;
mod health;
mod incidents;
mod key;
mod learn;
mod logging;
mod metrics;
mod output;
mod paths;
mod pause;
mod plugin;
mod program;
mod query;
mod setup;
mod status;
mod strategies;
mod systemctl;
mod table;
mod tidy;
mod time;
mod timeline;
mod undo;
mod uninstall;
mod web;
mod web_service;

use std::process::ExitCode;

use clap::Parser as _;
use prunella_api::Monitor;
use prunella_core::UnitName;
use prunella_daemon::DaemonError;

use crate::{
    args::{Cli, Command, ConfigCommand, HookArgs},
    exit::{Exit, Problem},
    paths::Paths,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    output::choose(cli.global.color);
    let service = matches!(
        cli.command,
        Command::Daemon(_) | Command::Hook(_) | Command::Sweep(_)
    );
    let _log = logging::init(service, cli.global.verbose);
    let paths = paths::paths(&cli.global);
    match run(&paths, cli.command) {
        Ok(code) => code,
        Err(error) if exit::is_closed_output(&error) => Exit::Ok.into(),
        Err(error) => {
            output::remark("error", output::BAD, &exit::explain(&error));
            exit::code_of(&error).into()
        }
    }
}

fn run(paths: &Paths, command: Command) -> anyhow::Result<ExitCode> {
    let exit = match command {
        Command::Setup(args) => setup::run(paths, &args),
        Command::Uninstall(args) => uninstall::run(paths, &args),
        Command::Enable(args) => enable::enable(paths, &args),
        Command::Disable(args) => enable::disable(paths, &args),
        Command::Status(args) => status::run(paths, &args),
        Command::Health(args) => health::run(paths, &args),
        Command::Incidents(args) => incidents::run(paths, args),
        Command::Strategies(args) => strategies::run(paths, &args),
        Command::Alerts(args) => alerts::run(paths, args),
        Command::Approvals(args) => approve::list(paths, &args),
        Command::Approve(args) => approve::decide(paths, args, true),
        Command::Deny(args) => approve::decide(paths, args, false),
        Command::Undo(args) => undo::run(paths, args),
        Command::Expect(args) => expect::run(paths, args),
        Command::Pause(args) => pause::run_pause(paths, args),
        Command::Resume(args) => pause::run_resume(paths, &args),
        Command::Reload(_) => config::reload(paths),
        Command::Plugin(command) => plugin::run(paths, &command),
        Command::Key(command) => key::run(paths, command),
        Command::Web(command) => web::run(paths, command),
        Command::Config(ConfigCommand::Check(_)) => config::check(paths),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
        Command::Daemon(_) => done(prunella_daemon::run(paths)),
        Command::Metrics(args) => metrics::run(paths, &args),
        Command::Analyse(args) => analyse::run(paths, &args),
        Command::Heal(args) => heal::run(paths, &args),
        Command::Hook(args) => hook(paths, &args),
        Command::Sweep(_) => done(prunella_daemon::sweep::run(paths)),
        Command::Tidy(args) => tidy::run(paths, &args),
        Command::Internal(args) => {
            let words: Vec<String> = args
                .words
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            return Ok(prunella_linux::internal::main(&words));
        }
    };
    exit.map(Into::into)
}

/// What systemd calls for a failed unit. It ends with success whatever became of
/// the service: a handler that fails becomes a failed unit itself.
fn hook(paths: &Paths, args: &HookArgs) -> anyhow::Result<Exit> {
    let unit = UnitName::from_user(&args.unit)
        .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    let monitor = Monitor::read(|name| std::env::var(name).ok());
    done(prunella_daemon::hook::run(paths, unit, monitor))
}

fn done(result: Result<(), DaemonError>) -> anyhow::Result<Exit> {
    result?;
    Ok(Exit::Ok)
}

/// A unit as people type it: `.service` may be left out.
fn unit_name(name: &str) -> Result<UnitName, Problem> {
    UnitName::from_user(name).map_err(|error| {
        Problem::new(Exit::Usage, error.to_string()).help("write it as systemctl shows it")
    })
}
