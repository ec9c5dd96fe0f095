//! Programs that are known: how they check their configuration, and how they
//! can be asked whether they are there.

use std::path::Path;

use prunella_core::service::ProbeKind;

use super::{Finding, Learned, LearnedCheck, tuning};

/// A program that is known, by the name of its executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Nginx,
    Apache,
    Haproxy,
    Named,
    Postfix,
    PhpFpm,
    Caddy,
    Traefik,
    Postgres,
    Mysql,
    Redis,
    Prometheus,
}

/// The first known program among a unit's commands.
pub(super) fn of(commands: &[Vec<String>]) -> Option<Known> {
    commands.iter().find_map(|words| by_name(name(words)?))
}

fn name(words: &[String]) -> Option<&str> {
    Path::new(words.first()?).file_name()?.to_str()
}

fn by_name(name: &str) -> Option<Known> {
    Some(match name {
        "nginx" => Known::Nginx,
        "apachectl" | "apache2ctl" | "apache2" | "httpd" => Known::Apache,
        "haproxy" => Known::Haproxy,
        "named" => Known::Named,
        "postfix" | "postmulti" => Known::Postfix,
        "caddy" => Known::Caddy,
        "traefik" => Known::Traefik,
        "postgres" | "pg_ctlcluster" => Known::Postgres,
        "mysqld" | "mariadbd" | "mysqld_safe" => Known::Mysql,
        "redis-server" | "valkey-server" => Known::Redis,
        "prometheus" => Known::Prometheus,
        name if is_php_fpm(name) => Known::PhpFpm,
        _ => return None,
    })
}

/// `php-fpm`, and Debian's `php-fpm8.2`.
fn is_php_fpm(name: &str) -> bool {
    name.strip_prefix("php-fpm").is_some_and(|version| {
        version
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

impl Known {
    /// Adds what is known of it. Programs are looked for below `root`.
    pub(super) fn tell(self, commands: &[Vec<String>], learned: &mut Learned, root: &Path) {
        let empty = Vec::new();
        let words = commands
            .iter()
            .find(|words| name(words).and_then(by_name) == Some(self))
            .unwrap_or(&empty);
        let program = words.first().map_or("", String::as_str);
        // systemd takes a bare name too and looks for it; a check must say where.
        let found = first_there(root, &[program]).filter(|_| !program.starts_with('/'));
        let program = found.as_deref().unwrap_or(program);
        let option = |names: &[&str]| path_behind(words, names);
        let command: Option<Vec<String>> = match self {
            Self::Nginx => Some(with(
                program,
                &["-t"],
                option(&["-c"]).map(|path| ("-c", path)),
            )),
            // Debian's apache2 reads its environment from a file that only
            // apache2ctl knows.
            Self::Apache => match first_there(root, &["apache2ctl", "apachectl"]) {
                Some(control) => Some(with(&control, &["configtest"], None)),
                None => Some(with(program, &["-t"], None)),
            },
            Self::Haproxy => {
                let config = option(&["-f"]).unwrap_or("/etc/haproxy/haproxy.cfg");
                Some(with(program, &["-c"], Some(("-f", config))))
            }
            Self::Named => first_there(root, &["named-checkconf"]).map(|check| {
                let mut command = with(&check, &[], None);
                command.extend(option(&["-c"]).map(str::to_owned));
                command
            }),
            Self::Postfix => {
                first_there(root, &["postfix"]).map(|postfix| with(&postfix, &["check"], None))
            }
            Self::PhpFpm => Some(with(
                program,
                &["-t"],
                option(&["--fpm-config", "-y"]).map(|path| ("--fpm-config", path)),
            )),
            Self::Caddy => {
                let config = option(&["--config", "-c"]).unwrap_or("/etc/caddy/Caddyfile");
                Some(with(program, &["validate"], Some(("--config", config))))
            }
            Self::Traefik => {
                learned.notes.push(
                    "Traefik has no command that checks its configuration, so none is proposed"
                        .to_owned(),
                );
                None
            }
            Self::Prometheus => {
                let config = option(&["--config.file"]).unwrap_or("/etc/prometheus/prometheus.yml");
                let config_check = first_there(root, &["promtool"]);
                if config_check.is_some() {
                    learned.remedies.extend(tuning::scrapes(root, config));
                }
                config_check.map(|check| with(&check, &["check"], Some(("config", config))))
            }
            Self::Postgres | Self::Mysql | Self::Redis => None,
        };
        if let Some(command) = command
            && let Some(checker) = command.first()
        {
            if is_there(root, checker) {
                let as_root = matches!(learned.status.user.as_str(), "" | "root");
                let why = format!("it runs {program}");
                learned
                    .checks
                    .push(Finding::new(LearnedCheck { command, as_root }, why));
            } else {
                learned
                    .notes
                    .push(format!("its check {checker} is not installed"));
            }
        }
    }

    /// How a database is greeted, and where its socket usually is.
    pub(super) fn database(self) -> Option<Database> {
        Some(match self {
            Self::Postgres => Database {
                probe: ProbeKind::Postgres,
                sockets: &["/run/postgresql/.s.PGSQL.5432", "/tmp/.s.PGSQL.5432"],
            },
            Self::Mysql => Database {
                probe: ProbeKind::Mysql,
                sockets: &["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock"],
            },
            Self::Redis => Database {
                probe: ProbeKind::Redis,
                sockets: &["/run/redis/redis-server.sock"],
            },
            _ => return None,
        })
    }

    /// Whether it certainly speaks no HTTP.
    pub(super) fn speaks_no_http(self) -> bool {
        matches!(
            self,
            Self::Named | Self::Postfix | Self::PhpFpm | Self::Postgres | Self::Mysql | Self::Redis
        )
    }
}

/// What is known of a database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Database {
    /// The probe that greets it at a place.
    pub(super) probe: fn(String) -> ProbeKind,
    /// Its sockets, by default.
    pub(super) sockets: &'static [&'static str],
}

fn with(program: &str, words: &[&str], option: Option<(&str, &str)>) -> Vec<String> {
    let mut command = vec![program.to_owned()];
    command.extend(words.iter().map(|word| (*word).to_owned()));
    if let Some((name, value)) = option {
        command.extend([name.to_owned(), value.to_owned()]);
    }
    command
}

/// The absolute path that follows one of these options, or is joined to it by
/// `=`. A variable such as `$CONFIG` is none.
fn path_behind<'a>(words: &'a [String], options: &[&str]) -> Option<&'a str> {
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        for option in options {
            let value = if word == option {
                words.clone().next().map(String::as_str)
            } else {
                word.strip_prefix(option)
                    .and_then(|rest| rest.strip_prefix('='))
            };
            if let Some(path) = value.filter(|path| path.starts_with('/')) {
                return Some(path);
            }
        }
    }
    None
}

fn first_there(root: &Path, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        ["/usr/sbin", "/usr/bin"]
            .iter()
            .map(|folder| format!("{folder}/{name}"))
            .find(|path| is_there(root, path))
    })
}

pub(super) fn is_there(root: &Path, path: &str) -> bool {
    root.join(path.trim_start_matches('/')).exists()
}
