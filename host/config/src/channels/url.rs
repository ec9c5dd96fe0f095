//! What a URL of a channel must be like. No message here repeats the URL, which
//! may be a secret.

use ::url::{Host, Url};

/// Why a URL cannot be used. It does not say which: a URL may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL at all.
    #[error("it is not a URL: write it whole, beginning with https://")]
    NotAUrl,
    /// Another scheme than `http` and `https`.
    #[error("it begins with neither https:// nor http://")]
    Scheme,
    /// It holds a name and a password.
    #[error("it has a user or password before its host: keep these out of it")]
    Login,
    /// It ends in `#…`, which is never sent.
    #[error("it has a part after `#`, which is never sent")]
    Fragment,
    /// It is `http://` and leaves this host.
    #[error(
        "it begins with http://, which everybody on the way can read: use https://, or set `allow-http = true`"
    )]
    Unprotected,
}

/// Reads a channel's URL.
///
/// # Errors
/// What is wrong with it, without a word of it.
pub fn check_url(text: &str, allow_http: bool) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|_| UrlError::NotAUrl)?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(UrlError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Login);
    }
    if url.fragment().is_some() {
        return Err(UrlError::Fragment);
    }
    if url.scheme() == "http" && !allow_http && !url.host().is_some_and(is_this_host) {
        return Err(UrlError::Unprotected);
    }
    Ok(url)
}

/// Whether what is sent there stays on this host.
fn is_this_host(host: Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_loopback(name),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether `host`, a name or an address, is this host itself.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
