//! Addresses, host names and user names, taken out before anything is sent and
//! put back into what comes back.
//!
//! The same thing gets the same name each time, such as `[address-2]`, so that
//! a model can still tell that two lines are about one machine. What names no
//! machine (`localhost`, `127.0.0.1`, `0.0.0.0`) stays. Like every recognition
//! by form it has holes: a host with a one-word name that nothing marks as one
//! passes.

use std::{collections::HashMap, net::IpAddr};

use regex::{Captures, Regex};

/// Endings of names of machines, beside those of countries.
const ENDINGS: [&str; 24] = [
    "com",
    "net",
    "org",
    "edu",
    "gov",
    "mil",
    "int",
    "info",
    "biz",
    "dev",
    "app",
    "cloud",
    "local",
    "localdomain",
    "lan",
    "internal",
    "intranet",
    "corp",
    "home",
    "arpa",
    "test",
    "example",
    "invalid",
    "online",
];

/// Two letters that are more often the ending of a file's name than a country.
const FILES: [&str; 26] = [
    "sh", "so", "py", "rs", "pl", "md", "ps", "cc", "js", "go", "rb", "db", "gz", "xz", "bz", "ko",
    "hs", "ml", "am", "ac", "la", "ts", "pm", "in", "pid", "el",
];

/// Endings of systemd's names.
const UNITS: [&str; 11] = [
    ".service",
    ".socket",
    ".timer",
    ".target",
    ".mount",
    ".slice",
    ".scope",
    ".path",
    ".device",
    ".swap",
    ".automount",
];

/// Addresses that are the same on every machine.
const EVERYWHERE: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    "0.0.0.0",
    "::1",
    "::",
    "example.com",
];

/// Hides what it is told to, and knows how to put it back.
#[derive(Default)]
pub struct Hider {
    rules: Vec<(Regex, Kind)>,
    names: HashMap<String, String>,
    counts: HashMap<&'static str, usize>,
}

#[derive(Clone, Copy)]
enum Kind {
    Mail,
    UrlHost,
    Mac,
    Address4,
    Address6,
    Host,
    User,
}

impl Hider {
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Hides addresses, these hosts, these users, and what looks like them.
    pub fn new(hosts: &[String], users: &[String]) -> Self {
        let mut rules = vec![
            (r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+[A-Za-z0-9]".to_owned(), Kind::Mail),
            (r"://(?:[^/@ ]+@)?(?<it>[A-Za-z0-9_.-]+)".to_owned(), Kind::UrlHost),
            (r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}".to_owned(), Kind::Mac),
            (r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}".to_owned(), Kind::Address4),
            (r"[0-9A-Za-z_]*:[0-9A-Za-z_:.]*[0-9A-Za-z_]".to_owned(), Kind::Address6),
            (
                r"(?:[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}".to_owned(),
                Kind::Host,
            ),
            (r"/home/(?<it>[^/ :'\x22]+)".to_owned(), Kind::User),
            (
                r"(?i-u:for user|user=|user:|username=|login=|role) ?['\x22]?(?<it>[A-Za-z0-9_.-]+)"
                    .to_owned(),
                Kind::User,
            ),
        ];
        let word = |word: &String| format!(r"(?-u:\b){}(?-u:\b)", regex::escape(word));
        let long = |name: &&String| name.len() >= 2;
        rules.extend(
            hosts
                .iter()
                .filter(long)
                .map(|host| (word(host), Kind::Host)),
        );
        rules.extend(
            users
                .iter()
                .filter(long)
                .map(|user| (word(user), Kind::User)),
        );
        Self {
            rules: rules
                .into_iter()
                .filter_map(|(rule, kind)| Some((Regex::new(&rule).ok()?, kind)))
                .collect(),
            ..Self::default()
        }
    }

    /// `text` with names in place of what is hidden.
    pub fn hide(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        let rules = std::mem::take(&mut self.rules);
        for (rule, kind) in &rules {
            let hidden = rule.replace_all(&text, |found: &Captures<'_>| {
                let whole = found.get(0).map_or("", |found| found.as_str());
                let it = found.name("it").map_or(whole, |found| found.as_str());
                // What was hidden before stays as it is named.
                let named = whole.contains('[')
                    && self
                        .names
                        .values()
                        .any(|name| whole.contains(name.as_str()));
                match kind.noun(it).filter(|_| !named) {
                    Some(noun) => whole.replacen(it, &self.name(noun, it), 1),
                    None => whole.to_owned(),
                }
            });
            text = hidden.into_owned();
        }
        self.rules = rules;
        text
    }

    fn name(&mut self, noun: &'static str, it: &str) -> String {
        if let Some(name) = self.names.get(it) {
            return name.clone();
        }
        let count = self.counts.entry(noun).or_default();
        *count += 1;
        let name = format!("[{noun}-{count}]");
        self.names.insert(it.to_owned(), name.clone());
        name
    }

    /// `text` with what was hidden in its place again.
    pub fn show(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for (it, name) in &self.names {
            if shown.contains(name.as_str()) {
                shown = shown.replace(name.as_str(), it);
            }
        }
        shown
    }
}

impl Kind {
    /// What `it` is called, if it is to be hidden.
    fn noun(self, it: &str) -> Option<&'static str> {
        if EVERYWHERE.contains(&it) {
            return None;
        }
        let ending = it
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let is_unit = UNITS.iter().any(|unit| it.ends_with(unit));
        match self {
            // `getty@tty1.service` has the form of one, too.
            Self::Mail => (!is_unit && !it.ends_with('@')).then_some("mail"),
            Self::UrlHost => (it.parse::<IpAddr>().is_err()).then_some("host"),
            Self::Mac => Some("address"),
            Self::Address4 | Self::Address6 => it.parse::<IpAddr>().ok().map(|_| "address"),
            Self::Host => {
                let known = ENDINGS.contains(&ending.as_str());
                let country = ending.len() == 2 && !FILES.contains(&ending.as_str());
                // A name that was given, or one that looks like it.
                (!is_unit && (known || country || !it.contains('.'))).then_some("host")
            }
            Self::User => (it != "root" && !it.is_empty()).then_some("user"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn hider() -> Hider {
        Hider::new(
            &["web1".to_owned()],
            &["alice".to_owned(), "shop".to_owned()],
        )
    }

    #[rstest]
    #[case(
        "connect ECONNREFUSED 10.1.2.3:5432",
        "connect ECONNREFUSED [address-1]:5432"
    )]
    #[case("from fe80::1ff:fe23:4567:890a", "from [address-1]")]
    #[case(
        "dial tcp [2001:db8::17]:443: refused",
        "dial tcp [[address-1]]:443: refused"
    )]
    #[case("arp 52:54:00:12:34:56", "arp [address-1]")]
    #[case("mail to bob.b@mail.shop.example failed", "mail to [mail-1] failed")]
    #[case(
        "lookup db.prod.internal: no such host",
        "lookup [host-1]: no such host"
    )]
    #[case("GET http://backend:8080/x", "GET http://[host-1]:8080/x")]
    #[case(
        "on web1: web1 is down, web10 is not",
        "on [host-1]: [host-1] is down, web10 is not"
    )]
    #[case(
        "open /home/bob/x: permission denied",
        "open /home/[user-1]/x: permission denied"
    )]
    #[case(
        "password authentication failed for user \"bob\"",
        "password authentication failed for user \"[user-1]\""
    )]
    #[case("runs as alice", "runs as [user-1]")]
    #[case("kernel.org and heise.de", "[host-1] and [host-2]")]
    fn hidden(#[case] text: &str, #[case] expected: &str) {
        let mut hider = hider();
        let found = hider.hide(text);
        assert_eq!(found, expected);
        assert_eq!(hider.show(&found), text, "it can be put back");
    }

    #[rstest]
    #[case("at 10:00:00 listen 127.0.0.1:80 and [::1]:80 and 0.0.0.0:80")]
    #[case("postgresql@15-main.service: Failed with result 'exit-code'.")]
    #[case("open /etc/nginx/nginx.conf: libssl.so.3, run.sh, main.py, lib.rs")]
    #[case("java.lang.OutOfMemoryError: Java heap space at java.base/java.util.Arrays")]
    #[case("std::bad_alloc in shop::cart::add")]
    #[case("version 1.22.1 of nginx, took 0.25 s")]
    #[case("for user root")]
    fn not_hidden(#[case] text: &str) {
        assert_eq!(Hider::new(&[], &[]).hide(text), text);
    }

    #[test]
    fn the_same_thing_has_the_same_name() {
        let mut hider = hider();
        let first = hider.hide("10.0.0.1 to 10.0.0.2");
        let second = hider.hide("10.0.0.2 to 10.0.0.1");
        assert_eq!(first, "[address-1] to [address-2]");
        assert_eq!(second, "[address-2] to [address-1]");
        assert_eq!(Hider::nothing().hide("10.0.0.1"), "10.0.0.1");
    }
}
