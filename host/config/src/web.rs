//! Reads `web.toml`: where the web process listens.
//!
//! ```toml
//! listen = "127.0.0.1:9780"        # or "/run/prunella-web/web.sock"
//!
//! [tls]                            # read again when the files change
//! certificate = "/etc/ssl/certs/host.pem"
//! key = "/etc/ssl/private/host.key"
//! ```
//!
//! A file that is not there means the defaults. Beyond this host nothing is said without TLS.

use std::{
    fmt, fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use super::{
    diagnostic::{Diagnostic, Source},
    reader::{Reader, Section},
};

/// Its port, unless told otherwise.
pub const PORT: u16 = 9780;

/// How the web process is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSettings {
    pub listen: Listen,
    /// TLS; without it, nobody from another host can connect.
    pub tls: Option<TlsFiles>,
}

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Address(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
}

/// A certificate and its key, in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// With all that stands between it and a known authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            listen: Listen::Address((Ipv4Addr::LOCALHOST, PORT).into()),
            tls: None,
        }
    }
}

impl WebSettings {
    /// What a browser on this host is given; none behind a Unix socket, or where it listens on
    /// all addresses and no name of the host is known.
    pub fn url(&self) -> Option<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match &self.listen {
            Listen::Address(address) if !address.ip().is_unspecified() => {
                Some(format!("{scheme}://{address}"))
            }
            Listen::Address(_) | Listen::Socket(_) => None,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

/// The settings, or every mistake in them.
pub fn load(path: &Path) -> Result<WebSettings, Vec<Diagnostic>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(WebSettings::default()),
        Err(error) => {
            let message = format!("cannot be read: {error}");
            return Err(vec![Diagnostic::about_file(path, message)]);
        }
    };
    let source = Source {
        file: path.to_owned(),
        text,
    };
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        return Err(errors
            .iter()
            .map(|error| source.error(error.span().unwrap_or_default(), error.message()))
            .collect());
    }
    let mut reader = Reader::new(&source);
    let settings = read(
        &mut reader,
        Section {
            table: table.get_ref(),
            name: "web.toml",
        },
    );
    if reader.found.iter().any(Diagnostic::is_error) {
        return Err(reader.found);
    }
    Ok(settings)
}

fn read(reader: &mut Reader<'_>, top: Section<'_>) -> WebSettings {
    let mut settings = WebSettings::default();
    reader.only(top, &["listen", "tls"]);
    if let Some(section) = reader.section(top, "tls", "[tls]") {
        reader.only(section, &["certificate", "key"]);
        let certificate = file(reader, section, "certificate", "/etc/ssl/certs/host.pem");
        let key = file(reader, section, "key", "/etc/ssl/private/host.key");
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                settings.tls = Some(TlsFiles { certificate, key });
            }
            _ => {
                if let Some(value) = top.table.get("tls") {
                    reader.error_help(
                        value.span(),
                        "[tls] needs both a certificate and its key",
                        "`certificate` and `key` are the paths of PEM files",
                    );
                }
            }
        }
    }
    let Some((text, span)) = reader.text(top, "listen", "127.0.0.1:9780") else {
        return settings;
    };
    if text.starts_with('/') {
        settings.listen = Listen::Socket(PathBuf::from(text));
        return settings;
    }
    match text.parse::<SocketAddr>() {
        Ok(address) => {
            if !address.ip().is_loopback() && settings.tls.is_none() {
                reader.error_help(
                    span,
                    format!("{address} can be reached from other hosts, and there is no TLS"),
                    "add [tls] with `certificate` and `key`, or listen on 127.0.0.1 or a Unix \
                     socket behind a proxy",
                );
            }
            settings.listen = Listen::Address(address);
        }
        Err(_) => reader.error_help(
            span,
            "`listen` is neither an address with a port nor the path of a Unix socket",
            "for example \"127.0.0.1:9780\", \"[::1]:9780\" or \"/run/prunella-web/web.sock\"",
        ),
    }
    settings
}

fn file(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    key: &str,
    example: &str,
) -> Option<PathBuf> {
    let text = reader.text(section, key, example)?;
    reader.path(key, text)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn loaded(text: &str) -> Result<WebSettings, Vec<Diagnostic>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.toml");
        fs::write(&path, text).unwrap();
        load(&path)
    }

    #[test]
    fn nothing_said_is_this_host_alone() {
        let settings = load(Path::new("/nowhere/web.toml")).unwrap();
        assert_eq!(settings, loaded("").unwrap());
        assert_eq!(settings.url().as_deref(), Some("http://127.0.0.1:9780"));
    }

    #[test]
    fn tls_opens_it_to_others() {
        let tls = "[tls]\ncertificate = \"/c.pem\"\nkey = \"/k.pem\"\n";
        let settings = loaded(&format!("listen = \"0.0.0.0:443\"\n{tls}")).unwrap();
        assert_eq!(settings.listen.to_string(), "0.0.0.0:443");
        assert_eq!(settings.tls.unwrap().key, Path::new("/k.pem"));
    }

    #[rstest]
    #[case::open_to_all("listen = \"0.0.0.0:9780\"", "there is no TLS", 1)]
    #[case::no_port("listen = \"127.0.0.1\"", "neither an address", 1)]
    #[case::no_text("listen = 9780", "must be text", 1)]
    #[case::half("\n[tls]\ncertificate = \"/c.pem\"", "both", 2)]
    #[case::relative("[tls]\ncertificate = \"c.pem\"\nkey = \"/k\"", "absolute", 2)]
    #[case::unknown("lisen = \"127.0.0.1:1\"", "unknown key `lisen`", 1)]
    #[case::no_toml("listen = ", "", 1)]
    fn a_mistake_is_told_with_its_place(
        #[case] text: &str,
        #[case] expected: &str,
        #[case] line: usize,
    ) {
        let mistakes = loaded(text).unwrap_err();
        let found = mistakes
            .iter()
            .any(|it| it.message.contains(expected) && it.place.as_ref().unwrap().line == line);
        assert!(found, "{mistakes:?}");
    }
}
