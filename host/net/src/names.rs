//! Names to addresses, in Rust: a statically linked getaddrinfo would load the
//! host's NSS modules into a foreign libc.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The addresses of `host`, which may be one itself: by `/etc/hosts`, then by
/// the servers in `/etc/resolv.conf`, and by no others.
///
/// # Errors
/// When there is no such name, or nobody to ask.
pub async fn addresses(host: &str) -> Result<Vec<IpAddr>, NetError> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
        // Without servers, names in /etc/hosts are still found.
        TokioResolver::builder_with_config(
            ResolverConfig::from_name_servers(Vec::new()),
            TokioRuntimeProvider::default(),
        )
    });
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    let found = builder.build()?.lookup_ip(host).await?;
    Ok(found.iter().collect())
}

/// [`addresses`] for reqwest.
pub struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = addresses(name.as_str()).await?;
            let found = found.into_iter().map(|address| SocketAddr::new(address, 0));
            let found: Addrs = Box::new(found);
            Ok(found)
        })
    }
}
