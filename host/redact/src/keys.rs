//! Secrets that the key, the header or the URL around them announces.

use std::ops::Range;

use crate::REDACTED;

/// `text` without them.
pub(crate) fn redact(text: &str) -> String {
    Redactor {
        text,
        shown: String::with_capacity(text.len()),
        copied: 0,
    }
    .run()
}

/// One walk through a text, from word to word.
struct Redactor<'a> {
    text: &'a str,
    shown: String,
    /// Up to here the text has been copied or left out.
    copied: usize,
}

impl<'a> Redactor<'a> {
    fn run(mut self) -> String {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        let mut previous = "";
        while let Some(byte) = bytes.get(at) {
            if (at == 0 || *byte == b'\n')
                && let Some(line) = self.key_material(at + usize::from(*byte == b'\n'))
            {
                at = line.end;
                self.leave_out(line);
                continue;
            }
            if !is_word(*byte) {
                at += 1;
                continue;
            }
            let end = at + run_of(self.rest(at), is_word);
            let word = self.rest(at).get(..end - at).unwrap_or_default();
            let after = self.after_word(at, word, previous);
            at = after.unwrap_or(end);
            previous = word;
        }
        let rest = self.rest(self.copied);
        self.shown.push_str(rest);
        self.shown
    }

    fn rest(&self, from: usize) -> &'a str {
        self.text.get(from..).unwrap_or_default()
    }

    fn leave_out(&mut self, secret: Range<usize>) {
        let before = self.text.get(self.copied..secret.start).unwrap_or_default();
        self.shown.push_str(before);
        self.shown.push_str(REDACTED);
        self.copied = secret.end;
    }

    /// Leaves out the secret that `word` (which stands at `start`) is or
    /// announces; where to go on then.
    fn after_word(&mut self, start: usize, word: &str, previous: &str) -> Option<usize> {
        let end = start + word.len();
        let secret = if word.starts_with("-----BEGIN") {
            self.private_key(start)?
        } else if self.rest(end).starts_with("://") {
            self.userinfo(end + 3)?
        } else if word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic") {
            self.credentials(end)?
        } else if is_header(word) {
            self.header(start, end)?
        } else if matches!(word, "requirepass" | "masterauth" | "auth-pass")
            || (previous.eq_ignore_ascii_case("identified") && word.eq_ignore_ascii_case("by"))
        {
            self.next_word(end)?
        } else if is_secretive(word) {
            self.value(start, end)?
        } else {
            return None;
        };
        let end = secret.end;
        self.leave_out(secret);
        Some(end)
    }

    /// From `-----BEGIN … PRIVATE KEY-----` to its end, or to the text's.
    fn private_key(&self, start: usize) -> Option<Range<usize>> {
        let rest = self.rest(start);
        let label = rest.get(10..)?;
        let label_end = label.bytes().take(64).position(|b| b == b'-')?;
        if !label.get(..label_end)?.contains("PRIVATE") {
            return None;
        }
        let end = rest.find("-----END").map_or(rest.len(), |end| {
            let tail = rest.get(end + 8..).unwrap_or_default();
            end + 8 + tail.find("-----").map_or(tail.len(), |dashes| dashes + 5)
        });
        Some(start..start + end)
    }

    /// A line of nothing but base64, as within a PEM block whose lines arrive
    /// one by one.
    fn key_material(&self, start: usize) -> Option<Range<usize>> {
        let rest = self.rest(start);
        let length = run_of(rest, is_base64);
        let line = rest.get(..length)?;
        let ends_here = rest
            .as_bytes()
            .get(length)
            .is_none_or(|b| matches!(b, b'\n' | b'\r'));
        (length >= 60 && ends_here && looks_random(line)).then_some(start..start + length)
    }

    /// The password within a URL whose authority begins at `start`.
    fn userinfo(&self, start: usize) -> Option<Range<usize>> {
        let rest = self.rest(start);
        let length = rest
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>')
            })
            .unwrap_or(rest.len());
        let user = rest.get(..rest.get(..length)?.rfind('@')?)?;
        match user.find(':') {
            Some(colon) if colon + 1 < user.len() => Some(start + colon + 1..start + user.len()),
            Some(_) => None,
            // A name alone is no secret, but a token may stand in its place.
            None => (user.len() >= 20).then_some(start..start + user.len()),
        }
    }

    /// What follows `Bearer` or `Basic`.
    fn credentials(&self, end: usize) -> Option<Range<usize>> {
        let rest = self.rest(end);
        let gap = run_of(rest, |b| b == b' ');
        let start = end + gap;
        let length = run_of(self.rest(start), |b| is_base64(b) || b".~-_".contains(&b));
        let token = self.rest(start).get(..length)?;
        (gap > 0 && looks_random(token)).then_some(start..start + length)
    }

    /// The value of a header such as `Authorization:`, but for its scheme.
    fn header(&self, word: usize, end: usize) -> Option<Range<usize>> {
        let mut start = self.separator(word, end, false)?.end;
        let quote = |at: usize| {
            self.text
                .as_bytes()
                .get(at)
                .copied()
                .filter(|b| matches!(b, b'"' | b'\''))
        };
        // A quote before the value or before the whole header ends it.
        let until = quote(start)
            .inspect(|_| start += 1)
            .or_else(|| quote(word.checked_sub(1)?));
        let rest = self.rest(start);
        let mut length = rest
            .bytes()
            .position(|b| b == b'\n' || Some(b) == until)
            .unwrap_or(rest.len());
        for scheme in ["bearer ", "basic ", "digest ", "token ", "negotiate "] {
            if rest
                .get(..scheme.len())
                .is_some_and(|word| word.eq_ignore_ascii_case(scheme))
            {
                start += scheme.len();
                length = length.saturating_sub(scheme.len());
                break;
            }
        }
        let value = self.rest(start).get(..length)?;
        let length = value.trim_end_matches(['\\', '\r']).len();
        (length > 0).then_some(start..start + length)
    }

    /// What lies between a key that ends at `end` and its value: `=`, `:`,
    /// `=>`, with spaces, after the quote that closes the key.
    fn separator(&self, word: usize, end: usize, flag: bool) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        let mut at = end;
        let quoted = word
            .checked_sub(1)
            .and_then(|before| bytes.get(before))
            .is_some_and(|b| matches!(b, b'"' | b'\''));
        if quoted {
            at += run_of(self.rest(at), |b| b == b'\\');
            at += usize::from(matches!(bytes.get(at), Some(b'"' | b'\'')));
        }
        let spaces = run_of(self.rest(at), |b| b == b' ' || b == b'\t');
        at += spaces;
        let sign = run_of(self.rest(at), |b| matches!(b, b'=' | b':' | b'>')).min(2);
        if sign == 0 && !(flag && spaces > 0) {
            return None;
        }
        at += sign;
        let gap = run_of(self.rest(at), |b| b == b' ' || b == b'\t');
        Some(end..at + gap)
    }

    /// The value of a key whose name says that it is secret.
    fn value(&self, word: usize, end: usize) -> Option<Range<usize>> {
        let key = self.text.get(word..end)?;
        let flag = key.starts_with("--");
        // As in SQL. What is called a secret or a token may be named so:
        // `secret "shop-tls" not found`.
        let quote_follows = ["password", "passwd", "pwd", "passphrase"]
            .iter()
            .any(|name| key.to_ascii_lowercase().ends_with(name))
            && self
                .rest(end)
                .trim_start_matches(' ')
                .starts_with(['"', '\'']);
        let separator = self.separator(word, end, flag || quote_follows)?;
        let sign = self
            .text
            .get(separator.clone())?
            .trim_matches(['"', '\'', ' ', '\t', '\\']);
        let start = separator.end;
        let rest = self.rest(start);
        if flag && sign.is_empty() && rest.starts_with('-') {
            return None;
        }
        let slashes = run_of(rest, |b| b == b'\\');
        if let Some(quote) = rest
            .as_bytes()
            .get(slashes)
            .copied()
            .filter(|b| matches!(b, b'"' | b'\'' | b'`'))
        {
            return self.quoted(start + slashes + 1, quote, slashes);
        }
        let length = plain_value(rest);
        let value = rest.get(..length)?;
        let colon = sign == ":";
        let nothing = value.is_empty()
            || is_placeholder(value)
            // `pass: 3`, `unexpected token: }` and the like are prose.
            || (colon && value.len() < 3)
            || (colon && value.len() < 8 && key.eq_ignore_ascii_case("pass"))
            // `/run/secrets/token: Permission denied` is about a file.
            || (colon && is_errno(rest))
            // The shell's working directory.
            || (key.ends_with("PWD") && value.starts_with('/') && value.len() < 256);
        (!nothing).then_some(start..start + length)
    }

    /// From `start` to the quote that closes it: one after as many backslashes
    /// as the opening one had.
    fn quoted(&self, start: usize, quote: u8, slashes: usize) -> Option<Range<usize>> {
        let rest = self.rest(start);
        let mut run = 0;
        let mut length = rest.len();
        for (at, byte) in rest.bytes().enumerate() {
            if byte == quote && (run == slashes || (slashes == 0 && run % 2 == 0)) {
                length = at - if slashes == 0 { 0 } else { run };
                break;
            }
            run = if byte == b'\\' { run + 1 } else { 0 };
        }
        let value = rest.get(..length)?;
        (!value.is_empty() && !is_placeholder(value)).then_some(start..start + length)
    }

    fn next_word(&self, end: usize) -> Option<Range<usize>> {
        let rest = self.rest(end);
        let gap = run_of(rest, |b| b == b' ');
        let start = end + gap;
        let rest = self.rest(start);
        match rest.as_bytes().first() {
            Some(quote @ (b'"' | b'\'')) => self.quoted(start + 1, *quote, 0),
            _ => {
                let length = plain_value(rest);
                (gap > 0 && length > 0).then_some(start..start + length)
            }
        }
    }
}

fn run_of(text: &str, of: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|b| !of(b)).unwrap_or(text.len())
}

/// Bytes of keys, file names, host names and tokens.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

/// How far a value without quotes goes: to white space, or to a `,`, `;` or `&`
/// that ends it or has another key after it (a password may contain either).
fn plain_value(rest: &str) -> usize {
    let mut length = rest.len();
    for (at, c) in rest.char_indices() {
        if c.is_whitespace() {
            length = at;
            break;
        }
        if matches!(c, ',' | ';' | '&') && another_key(rest.get(at + 1..).unwrap_or_default()) {
            length = at;
            break;
        }
    }
    // What closes something that was opened before the value is not its part.
    let mut value = rest.get(..length).unwrap_or_default();
    let opened = ['(', '[', '{', '<'].map(|open| value.contains(open));
    while let Some(last) = value.chars().next_back() {
        let closes = match last {
            ',' | ';' | '"' | '\'' => true,
            ')' => !opened[0],
            ']' => !opened[1],
            '}' => !opened[2],
            '>' => !opened[3],
            _ => false,
        };
        if !closes {
            break;
        }
        value = value.get(..value.len() - 1).unwrap_or_default();
    }
    value.len()
}

/// Whether `rest` begins with `key=`; looks no further than a key may be long.
fn another_key(rest: &str) -> bool {
    let key = rest.bytes().take(40).take_while(|b| is_word(*b)).count();
    key > 0 && rest.as_bytes().get(key) == Some(&b'=')
}

/// Whether `rest` begins with what the system says of a file or a connection.
fn is_errno(rest: &str) -> bool {
    [
        "permission denied",
        "no such file or directory",
        "operation not permitted",
        "is a directory",
        "not a directory",
        "read-only file system",
        "no space left on device",
        "too many open files",
        "input/output error",
        "file exists",
        "connection refused",
    ]
    .iter()
    .any(|said| {
        rest.get(..said.len())
            .is_some_and(|words| words.eq_ignore_ascii_case(said))
    })
}

/// A value that says there is no secret here, or where it comes from.
fn is_placeholder(value: &str) -> bool {
    // Whoever looks at a long value again and again takes quadratic time.
    if value.len() > 64 {
        return false;
    }
    let lower = value.to_ascii_lowercase();
    matches!(
        lower.as_str(),
        "null"
            | "nil"
            | "<nil>"
            | "none"
            | "true"
            | "false"
            | "yes"
            | "no"
            | "undefined"
            | "unset"
            | "empty"
            | "<redacted>"
            | REDACTED
    ) || value.bytes().all(|b| b == b'*')
        || (value.starts_with("${") && value.ends_with('}'))
}

/// Long enough and mixed enough to be a token and not a word or a plain number.
fn looks_random(token: &str) -> bool {
    let has = |of: fn(&u8) -> bool| token.as_bytes().iter().any(of);
    let digit = has(u8::is_ascii_digit);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let hash = token.len() >= 60 && token.bytes().all(|b| b.is_ascii_hexdigit());
    token.len() >= 8 && !hash && (digit || token.ends_with('=') || (mixed && token.len() >= 16))
}

fn is_header(word: &str) -> bool {
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "x-auth-token",
    ]
    .iter()
    .any(|header| word.eq_ignore_ascii_case(header))
}

/// Whether a key's name says that its value is secret.
fn is_secretive(word: &str) -> bool {
    // Nobody's key is that long; what is, is not worth a look.
    if word.len() > 128 {
        return false;
    }
    let parts = parts(word);
    let Some(last) = parts.last() else {
        return false;
    };
    let about = matches!(
        last.as_str(),
        "file"
            | "path"
            | "dir"
            | "count"
            | "length"
            | "len"
            | "size"
            | "type"
            | "ttl"
            | "name"
            | "policy"
            | "enabled"
            | "required"
            | "timeout"
            | "min"
            | "max"
            | "age"
            | "expiry"
            | "expires"
            | "expired"
            | "method"
            | "plugin"
            | "manager"
            | "provider"
            | "attempts"
            | "error"
            | "status"
            | "id"
            | "url"
            | "endpoint"
            | "store"
            | "service"
    );
    if about {
        return false;
    }
    let secret = parts.iter().any(|part| {
        matches!(part.as_str(), "pwd" | "pass" | "creds" | "jwt" | "passcode")
            || [
                "password",
                "passwd",
                "passphrase",
                "secret",
                "secrets",
                "token",
                "apikey",
                "accesskey",
                "secretkey",
                "privatekey",
                "signingkey",
                "encryptionkey",
                "masterkey",
                "credential",
                "credentials",
            ]
            .iter()
            .any(|end| part.ends_with(end))
    });
    let key = last == "key"
        && parts.iter().rev().nth(1).is_some_and(|before| {
            matches!(
                before.as_str(),
                "api"
                    | "access"
                    | "secret"
                    | "private"
                    | "encryption"
                    | "signing"
                    | "master"
                    | "account"
                    | "auth"
                    | "shared"
                    | "session"
                    | "storage"
                    | "license"
                    | "hmac"
            )
        });
    secret || key
}

/// `dbPassword`, `DB_PASSWORD` and `db.password` as `db` and `password`.
fn parts(word: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut part = String::new();
    let mut lower_before = false;
    for c in word.chars() {
        let separator = matches!(c, '_' | '-' | '.');
        if (separator || (c.is_ascii_uppercase() && lower_before)) && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
        if !separator {
            part.push(c.to_ascii_lowercase());
        }
        lower_before = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::redact;

    #[rstest]
    #[case::assignment("DB_PASSWORD=hunter2 started", "DB_PASSWORD=[redacted] started")]
    #[case::spaced("password = hunter2", "password = [redacted]")]
    #[case::yaml("password: hunter2", "password: [redacted]")]
    #[case::arrow("'passwd' => 'hunter2',", "'passwd' => '[redacted]',")]
    #[case::json(
        r#"{"user":"a","dbPassword":"hun\"ter2","n":1}"#,
        r#"{"user":"a","dbPassword":"[redacted]","n":1}"#
    )]
    #[case::json_in_json(
        r#""{\"api_key\":\"abc123\",\"n\":1}""#,
        r#""{\"api_key\":\"[redacted]\",\"n\":1}""#
    )]
    #[case::quoted_with_spaces("PGPASSWORD='my long phrase' psql", "PGPASSWORD='[redacted]' psql")]
    #[case::quote_never_closed("secret=\"abc def", "secret=\"[redacted]")]
    #[case::flag("curl --token abc123 -v", "curl --token [redacted] -v")]
    #[case::flag_equals("--db-password=abc123", "--db-password=[redacted]")]
    #[case::query("GET /x?token=abc123&page=2 200", "GET /x?token=[redacted]&page=2 200")]
    #[case::connection_string(
        "Server=db;Password=a,b;Timeout=3",
        "Server=db;Password=[redacted];Timeout=3"
    )]
    #[case::parenthesis("(secret=abc123)", "(secret=[redacted])")]
    #[case::aws_secret(
        "aws_secret_access_key = wJalr/K7MD+bPx",
        "aws_secret_access_key = [redacted]"
    )]
    #[case::compound(
        "SECRETKEY=abc stripeApiKey=def",
        "SECRETKEY=[redacted] stripeApiKey=[redacted]"
    )]
    #[case::non_ascii("password=pässwörd über", "password=[redacted] über")]
    #[case::two_on_a_line("pwd=a1b2 token=c3d4", "pwd=[redacted] token=[redacted]")]
    #[case::authorization("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]")]
    #[case::authorization_curl(
        "-H 'Authorization: Basic dXNlcjpwYXNz' -v",
        "-H 'Authorization: Basic [redacted]' -v"
    )]
    #[case::authorization_json(
        r#"{"authorization":"Token abc","m":"GET"}"#,
        r#"{"authorization":"Token [redacted]","m":"GET"}"#
    )]
    #[case::cookie("Cookie: sid=abc; theme=dark", "Cookie: [redacted]")]
    #[case::bearer_alone("sent bearer abcdef0123456789", "sent bearer [redacted]")]
    #[case::url(
        "postgres://app:hunter2@db:5432/x",
        "postgres://app:[redacted]@db:5432/x"
    )]
    #[case::url_with_at("redis://:p@ss@cache/0", "redis://:[redacted]@cache/0")]
    #[case::url_token(
        "https://abcdefghij0123456789@github.com/x",
        "https://[redacted]@github.com/x"
    )]
    #[case::aws_key("key AKIAIOSFODNN7EXAMPLE used", "key [redacted] used")]
    #[case::github(
        "remote: ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "remote: [redacted]"
    )]
    #[case::slack("xoxb-123456789012-abcdefABCDEF", "[redacted]")]
    #[case::jwt(
        "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.",
        "got [redacted]"
    )]
    #[case::pem(
        "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb",
        "a\n[redacted]\nb"
    )]
    #[case::pem_cut_short("-----BEGIN PRIVATE KEY-----\nMIIEabc", "[redacted]")]
    #[case::pem_line(
        "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF0qJDr7ZbWbWbZbWbWbWbWbWbWbW",
        "[redacted]"
    )]
    #[case::sql(
        "ALTER USER a WITH PASSWORD 'x y'",
        "ALTER USER a WITH PASSWORD '[redacted]'"
    )]
    #[case::mysql(
        "CREATE USER a IDENTIFIED BY 'x'",
        "CREATE USER a IDENTIFIED BY '[redacted]'"
    )]
    #[case::redis("requirepass foobared", "requirepass [redacted]")]
    fn secrets_are_left_out(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(redact(text), expected);
        assert_eq!(redact(expected), expected, "twice is no worse than once");
    }

    #[rstest]
    #[case::failed_login("Failed password for root from 10.0.0.1 port 22 ssh2")]
    #[case::authentication(r#"FATAL: password authentication failed for user "app""#)]
    #[case::file("password_file=/run/secrets/db token_type=bearer")]
    #[case::count("max_tokens=100 secret_name=db token-expiry: 300")]
    #[case::working_directory("PWD=/srv/app OLDPWD=/root")]
    #[case::socket("SSH_AUTH_SOCK=/run/ssh.sock")]
    #[case::prose("unexpected token: } at line 3, pass: 12, fail: 0")]
    #[case::about_a_file(
        "cat: /etc/shop/secret: Permission denied, /run/token: No such file or directory"
    )]
    #[case::none("password=null secret: none token=\"\" api_key=")]
    #[case::variable("password=${DB_PASSWORD}")]
    #[case::stars("password=********")]
    #[case::words("compass=north secretary=bob keyword=x monkey=1")]
    #[case::basic("Basic authentication is required; bearer token missing")]
    #[case::url("https://example.com:8443/a@b?x=1 ssh://git@host/x user@host")]
    #[case::certificate("-----BEGIN CERTIFICATE-----")]
    #[case::hash("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    #[case::port("bind() to 0.0.0.0:80 failed (98: Address already in use)")]
    #[case::flag("--token --verbose")]
    #[case::path("/etc/nginx/nginx.conf:12 unknown directive \"sever\"")]
    #[case::empty("")]
    fn ordinary_text_stays(#[case] text: &str) {
        assert_eq!(redact(text), text);
    }

    /// Text made to be slow, or to cut a character in half.
    #[rstest]
    #[case("password=")]
    #[case("password=\"\\")]
    #[case("://a:b@")]
    #[case("-----BEGIN PRIVATE KEY-----")]
    #[case("-----BEGIN ")]
    #[case("Authorization:\"")]
    #[case("token;")]
    #[case("a,")]
    #[case("eyJ.")]
    #[case("\\\"secret\\\":\\\"ü")]
    #[case("identified by 'é")]
    #[case("bearer ")]
    #[case("password=${")]
    #[case("PWD=/")]
    #[case("pass:1")]
    #[case("secret=)]}")]
    #[case("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1a\n")]
    fn hostile_text_takes_linear_time(#[case] piece: &str) {
        let time = |times| {
            let text = piece.repeat(times);
            (0..5)
                .map(|_| {
                    let began = std::time::Instant::now();
                    std::hint::black_box(redact(&text));
                    began.elapsed()
                })
                .min()
                .unwrap()
        };
        let (short, long) = (time(500), time(16_000));
        // Linear would be 32 times, quadratic 1024 times as long; between them
        // lies room for a busy machine.
        assert!(
            long < short * 300 + std::time::Duration::from_millis(5),
            "{short:?} grew to {long:?}"
        );
    }
}
