//! `prunella web`: the pages, and people's way in.

use prunella_api::{LinkCall, account};
use prunella_config::web;
use serde::Serialize;

use crate::{
    args::{WebCommand, WebLoginArgs},
    exit::{Exit, Problem},
    output::{self, QUIET},
    paths::Paths,
    query::Prunella,
    time, web_service,
};

/// Where the pages are, unless web.toml says otherwise.
const USUAL: &str = "http://127.0.0.1:9780";

/// Runs the command.
pub(crate) fn run(paths: &Paths, command: WebCommand) -> anyhow::Result<Exit> {
    match command {
        WebCommand::Enable(args) => web_service::enable(paths, &args),
        WebCommand::Disable(args) => web_service::disable(&args),
        WebCommand::Login(args) => login(paths, &args),
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Link {
    url: String,
    expires_at: prunella_core::Timestamp,
}

fn login(paths: &Paths, args: &WebLoginArgs) -> anyhow::Result<Exit> {
    // Where web.toml has it, unless another one is named.
    let url = match &args.url {
        Some(url) => url.clone(),
        None => web::load(&paths.config.join("web.toml"))
            .ok()
            .and_then(|settings| settings.url())
            .unwrap_or_else(|| USUAL.to_owned()),
    };
    let base = base(&url)?;
    let call = LinkCall {
        role: args.role.role(),
        by: account::own(),
    };
    let link = Prunella::new(paths).order(|orders| orders.login_link(&call))?;
    let url = format!("{base}/login?token={}", link.token);
    if args.json {
        let expires_at = link.expires_at;
        output::print_json(&Link { url, expires_at })?;
        return Ok(Exit::Ok);
    }
    // Alone on the output, so that a script can take it.
    output::print(&format!("{url}\n"))?;
    let until = time::clock(link.expires_at, time::now());
    output::remark(
        "note",
        QUIET,
        &format!(
            "open it in a browser before {until}; it lets one in, as {}",
            call.role
        ),
    );
    Ok(Exit::Ok)
}

/// What the link begins with, without a slash at its end.
fn base(url: &str) -> Result<&str, Problem> {
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let is_base = |host: &str| {
        !host.is_empty() && !host.contains(|c: char| "?#@".contains(c) || c.is_whitespace())
    };
    if host.is_some_and(is_base) {
        Ok(url.trim_end_matches('/'))
    } else {
        Err(
            Problem::new(Exit::Usage, "`--url` is not the address of a host")
                .help("write it as the browser needs it, such as https://host.example.org"),
        )
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("http://127.0.0.1:9780", Some("http://127.0.0.1:9780"))]
    #[case::slash("https://a.example/", Some("https://a.example"))]
    #[case::folder("https://a.example/prunella", Some("https://a.example/prunella"))]
    #[case::other_scheme("ftp://a", None)]
    #[case::no_host("http://", None)]
    #[case::query("http://a/?b", None)]
    #[case::user("http://a@b", None)]
    fn bases(#[case] url: &str, #[case] expected: Option<&str>) {
        assert_eq!(base(url).ok(), expected);
    }
}
