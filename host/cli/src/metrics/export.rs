//! `prunella metrics export`: what monitoring reads.

use prunella_api::ExpositionFormat;
use prunella_daemon::files;

use crate::{
    args::{ExportMetricsArgs, MetricsFormat},
    exit::Exit,
    output,
    paths::Paths,
    query::Prunella,
};

/// Runs the command.
pub(super) fn run(paths: &Paths, args: &ExportMetricsArgs) -> anyhow::Result<Exit> {
    let format = match args.format {
        MetricsFormat::Prometheus => ExpositionFormat::Prometheus,
        MetricsFormat::OpenMetrics => ExpositionFormat::OpenMetrics,
    };
    let text = Prunella::new(paths).ask(|queries| queries.exposition(format))?;
    match &args.output {
        Some(file) => files::write(file, text)?,
        None => output::print(&text)?,
    }
    Ok(Exit::Ok)
}
