//! PostgreSQL: the first message of its protocol, version 3, as `pg_isready`
//! sends it. The answer is a request for a password, or an error whose SQLSTATE
//! says whether the server takes connections.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use super::{Heard, connect, error::ProbeError, wire::Talk};

/// Protocol 3.0.
const VERSION: u32 = 196_608;
/// An error before the first login is short; more is another protocol.
const LONGEST: usize = 30_000;

pub(super) async fn ask(place: &str, until: Instant) -> Heard {
    let mut talk = if place.starts_with('/') {
        Talk::unix(&socket(Path::new(place)), until).await?
    } else {
        connect(place, until).await?
    };
    talk.say(&startup()).await?;
    let [kind, length @ ..] = header(&mut talk).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    match kind {
        // A newer server may first say which version of the protocol it has.
        b'v' if (8..=LONGEST).contains(&length) => Ok((true, said_yes())),
        b'R' if (8..=LONGEST).contains(&length) => {
            // Hanging up is fine while a password is asked for, and logged as an
            // error when anything else is said; let in, we say goodbye.
            if talk.hear_exactly(4).await? == [0; 4] {
                let _ = talk.say(&[b'X', 0, 0, 0, 4]).await;
            }
            Ok((true, said_yes()))
        }
        b'E' if (4..=LONGEST).contains(&length) => {
            let fields = talk.hear_exactly(length - 4).await?;
            Ok(judge(&fields))
        }
        // Before it can even fork, the server writes plain text behind the `E`.
        b'E' => Ok((false, "it cannot take connections".to_owned())),
        _ => Err(ProbeError::OtherProtocol("PostgreSQL's protocol")),
    }
}

fn said_yes() -> String {
    "it takes connections".to_owned()
}

async fn header(talk: &mut Talk) -> Result<[u8; 5], ProbeError> {
    talk.hear_exactly(5)
        .await?
        .try_into()
        .map_err(|_| ProbeError::OtherProtocol("PostgreSQL's protocol"))
}

/// The name makes the server's log lines explain themselves.
fn startup() -> Vec<u8> {
    let mut body = VERSION.to_be_bytes().to_vec();
    for word in [
        "user",
        "prunella",
        "database",
        "postgres",
        "application_name",
        "prunella",
    ] {
        body.extend_from_slice(word.as_bytes());
        body.push(0);
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body.as_slice()].concat()
}

/// What an ErrorResponse says: fields of a letter and a text each.
fn judge(fields: &[u8]) -> (bool, String) {
    let mut code = String::new();
    let mut message = String::new();
    for field in fields.split(|byte| *byte == 0) {
        let Some((letter, text)) = field.split_first() else {
            continue;
        };
        let text = String::from_utf8_lossy(text).into_owned();
        match letter {
            b'C' => code = text,
            b'M' => message = text,
            _ => {}
        }
    }
    // 53300: too many clients. 57P…: starting up or shutting down. 53: out of
    // memory or disk. 58, XX, F0: broken. Everything else is about who asks.
    let class = code.get(..2).unwrap_or_default();
    let unable = code.starts_with("57P")
        || (class == "53" && code != "53300")
        || matches!(class, "58" | "XX" | "F0" | "");
    if unable {
        (false, format!("it says: {message} ({code})"))
    } else {
        (true, format!("it answers, and says: {message} ({code})"))
    }
}

/// The socket in a folder such as `/var/run/postgresql`, or the path itself.
fn socket(path: &Path) -> PathBuf {
    if !path.is_dir() {
        return path.to_owned();
    }
    let usual = path.join(".s.PGSQL.5432");
    if usual.exists() {
        return usual;
    }
    // A server on another port; with several of them the path says which.
    let mut others = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                name.strip_prefix(".s.PGSQL.")
                    .is_some_and(|port| port.parse::<u16>().is_ok())
            })
        });
    match (others.next(), others.next()) {
        (Some(only), None) => only,
        _ => usual,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::starting("57P03", false)]
    #[case::shutting_down("57P01", false)]
    #[case::out_of_memory("53200", false)]
    #[case::full("53300", true)]
    #[case::unknown_role("28000", true)]
    #[case::no_such_database("3D000", true)]
    #[case::broken("XX000", false)]
    fn errors(#[case] code: &str, #[case] answering: bool) {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0Mso it is\0\0");
        let (there, said) = judge(fields.as_bytes());
        assert_eq!(there, answering);
        assert!(said.contains("so it is"), "{said}");
    }

    #[test]
    fn a_folder_stands_for_its_only_socket() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(socket(dir.path()), dir.path().join(".s.PGSQL.5432"));
        std::fs::write(dir.path().join(".s.PGSQL.5433"), "").unwrap();
        std::fs::write(dir.path().join(".s.PGSQL.5433.lock"), "").unwrap();
        assert_eq!(socket(dir.path()), dir.path().join(".s.PGSQL.5433"));
        std::fs::write(dir.path().join(".s.PGSQL.5434"), "").unwrap();
        assert_eq!(socket(dir.path()), dir.path().join(".s.PGSQL.5432"));
    }
}
