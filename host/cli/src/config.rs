//! `prunella reload`, and `prunella config check`: every mistake, every template that is broken, and
//! every strategy that would not load.

use std::fmt::Write as _;

use prunella_api::Reloaded;
use prunella_config::Config;
use prunella_core::text::counted;
use prunella_daemon::{
    configuration::lost_services,
    host_check,
    plugins::{self, Complaint},
};
use prunella_linux::{Linux, LinuxSettings};
use prunella_report::Renderer;

use crate::{
    exit::Exit,
    output::{self, BAD, FAIR, GOOD, QUIET},
    paths::Paths,
    query::Prunella,
};

/// Runs the command.
pub(crate) fn check(paths: &Paths) -> anyhow::Result<Exit> {
    let Checked { text, exit, .. } = checked(paths)?;
    output::print(&text)?;
    Ok(exit)
}

/// Runs `prunella reload`.
pub(crate) fn reload(paths: &Paths) -> anyhow::Result<Exit> {
    let now = Prunella::new(paths).order(|orders| orders.reload())?;
    output::print(&in_force(&now))?;
    // The reload is done, whatever comes of looking for more.
    match checked(paths) {
        Ok(Checked { warnings: 0, .. }) => {}
        Ok(Checked { warnings, .. }) => {
            let found = counted(warnings, "warning");
            let text = format!("{found}: `prunella config check` shows what is odd");
            output::remark("note", FAIR, &text);
        }
        Err(error) => tracing::debug!("the configuration cannot be looked through: {error:#}"),
    }
    Ok(Exit::Ok)
}

/// What is in force after a reload, in a line.
pub(crate) fn in_force(now: &Reloaded) -> String {
    format!(
        "{} in care, {} in force\n",
        counted(now.services, "service"),
        match now.strategies {
            1 => "1 strategy".to_owned(),
            number => format!("{number} strategies"),
        }
    )
}

/// What was found in the configuration.
struct Checked {
    /// All of it, in words.
    text: String,
    /// Whether the configuration can be used.
    exit: Exit,
    warnings: usize,
}

fn checked(paths: &Paths) -> anyhow::Result<Checked> {
    let loaded = Config::load(&paths.config);
    let mut text = String::new();
    let (mut errors, mut warnings) = (loaded.errors().count(), loaded.warnings().count());
    for diagnostic in &loaded.diagnostics {
        let _ = writeln!(text, "{}\n", diagnostic.coloured());
    }
    // A broken template is left aside, so it is never more than a warning.
    for diagnostic in Renderer::new(Some(&paths.templates())).check() {
        warnings += 1;
        let _ = writeln!(text, "{}\n", diagnostic.coloured());
    }
    let mut services = 0;
    if let Some(config) = &loaded.config {
        services = config.services.len();
        for complaint in plugins::complaints(paths, config)? {
            let (is_error, said) = match complaint {
                Complaint::Mistake(mistake) => (mistake.is_error(), mistake.coloured()),
                Complaint::Sentence(true, text) => (true, format!("{BAD}error:{BAD:#} {text}")),
                Complaint::Sentence(false, text) => {
                    (false, format!("{FAIR}warning:{FAIR:#} {text}"))
                }
            };
            *(if is_error { &mut errors } else { &mut warnings }) += 1;
            let _ = writeln!(text, "{said}\n");
        }
    }
    let mut unchecked = "";
    if let Some(config) = &loaded.config {
        if let Some(lost) = lost_services(paths, config) {
            warnings += 1;
            let _ = writeln!(text, "{FAIR}warning:{FAIR:#} {lost}\n");
        }
        if host_check::is_of_this_host(paths) {
            let linux = Linux::connect(LinuxSettings::default()).ok();
            let mut found = host_check::warnings(paths, config, linux.as_deref());
            if let Some(linux) = &linux {
                found.extend(host_check::unheld_ports(paths, config, linux));
            }
            for found in found {
                warnings += 1;
                let _ = writeln!(text, "{}\n", found.coloured());
            }
        } else {
            unchecked = "Not compared with this host: units, accounts, files and programs, \
                         since this is not /etc/prunella.\n";
        }
    }
    let _ = if errors > 0 {
        writeln!(
            text,
            "{BAD}{}{BAD:#} in {}",
            counted(errors, "mistake"),
            paths.config.display()
        )
    } else {
        let also = if warnings > 0 {
            format!(", {}", counted(warnings, "warning"))
        } else {
            String::new()
        };
        writeln!(
            text,
            "{GOOD}The configuration in {} is valid{GOOD:#}: {}{also}.",
            paths.config.display(),
            counted(services, "service"),
        )
    };
    let _ = write!(text, "{QUIET}{unchecked}{QUIET:#}");
    let exit = if errors > 0 { Exit::Config } else { Exit::Ok };
    Ok(Checked {
        text,
        exit,
        warnings,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn paths(config: &Path) -> Paths {
        Paths {
            config: config.to_owned(),
            state: config.join("state"),
            run: config.join("run"),
            cache: config.join("cache"),
        }
    }

    #[test]
    fn a_broken_template_is_a_warning_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let paths = paths(folder.path());
        fs::create_dir(paths.templates()).unwrap();
        let file = paths.templates().join("report.txt");

        fs::write(&file, "{{ headline }}\n").unwrap();
        let Checked { text, exit, .. } = checked(&paths).unwrap();
        assert_eq!(exit, Exit::Ok);
        assert!(!text.contains("warning"), "{text}");

        fs::write(&file, "{{ headline }}\n{{ hedline }}\n").unwrap();
        let Checked { text, exit, .. } = checked(&paths).unwrap();
        let text = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(exit, Exit::Ok);
        assert!(text.contains("warning: "), "{text}");
        assert!(text.contains("report.txt:2:4"), "{text}");
        assert!(text.contains("hedline"), "{text}");
        assert!(text.contains("1 warning"), "{text}");
    }
}
