//! `prunella-web`: what `prunella-web.service` runs.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use prunella_config::web;
use prunella_web::{App, daemon::Daemon, routes, server::Server};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Prunella's pages and its API for the network
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "`prunella web enable` runs it as a service. Its settings are in web.toml."
)]
struct Args {
    /// The file with its settings
    #[arg(long, value_name = "FILE", default_value = "/etc/prunella/web.toml")]
    config: PathBuf,

    /// The daemon's web socket
    #[arg(long, value_name = "PATH", default_value = "/run/prunella/web.sock")]
    daemon: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // The journal has the time.
        .without_time()
        .with_target(false)
        .init();
    let settings = match web::load(&args.config) {
        Ok(settings) => settings,
        Err(mistakes) => {
            for mistake in mistakes {
                eprintln!("{mistake}");
            }
            return ExitCode::from(2);
        }
    };
    match run(&args, &settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Answers until it is told to end.
fn run(args: &Args, settings: &web::WebSettings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    runtime.block_on(async {
        let app = App {
            daemon: Arc::new(Daemon::new(args.daemon.clone())),
            secure: settings.tls.is_some(),
        };
        let server = Server::open(settings).await?;
        tracing::info!("answers on {}", settings.listen);
        let mut ends = signal(SignalKind::terminate())?;
        let mut interrupts = signal(SignalKind::interrupt())?;
        // Without systemd there is nobody to tell.
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
            tracing::debug!(%error, "systemd was not told");
        }
        tokio::select! {
            () = server.serve(routes::routes(app)) => {}
            _ = ends.recv() => {}
            _ = interrupts.recv() => {}
        }
        Ok(())
    })
}
