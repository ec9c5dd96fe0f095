//! Questions to services: is there an answer, not merely a connection?

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::catalogue::Probe;

/// How long an answer may take before it is none.
const PATIENCE: Duration = Duration::from_secs(1);

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// PostgreSQL's protocol 3.0: length, version, `user` `postgres`, end.
const POSTGRES: &[u8] = b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0";

/// What a database says that does not let anybody in yet, or any more.
const NOT_NOW: [&str; 3] = ["57P01", "57P02", "57P03"];

/// A probe's name, for people.
pub(super) fn name(probe: &Probe) -> String {
    match probe {
        Probe {
            http: Some(port), ..
        } => format!("http on {port}"),
        Probe {
            redis: Some(port), ..
        } => format!("redis on {port}"),
        Probe {
            postgres: Some(port),
            ..
        } => format!("postgres on {port}"),
        Probe {
            http_unix: Some(path),
            ..
        } => format!("http on {}", path.display()),
        Probe { .. } => "nothing".to_owned(),
    }
}

pub(super) fn ask(probe: &Probe) -> Result<()> {
    match probe {
        Probe {
            http: Some(port), ..
        } => http(tcp(*port)?),
        Probe {
            http_unix: Some(path),
            ..
        } => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            http(stream)
        }
        Probe {
            redis: Some(port), ..
        } => {
            let answer = answer(tcp(*port)?, b"PING\r\n", 7)?;
            ensure!(answer.starts_with("+PONG"), "it says {answer:?}");
            Ok(())
        }
        Probe {
            postgres: Some(port),
            ..
        } => {
            let answer = answer(tcp(*port)?, POSTGRES, 512)?;
            ensure!(
                !NOT_NOW.iter().any(|code| answer.contains(code)),
                "it is not ready: {answer:?}"
            );
            Ok(())
        }
        Probe { .. } => Ok(()),
    }
}

fn tcp(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn http(stream: impl Read + Write) -> Result<()> {
    let answer = answer(stream, GET, 12)?;
    let status = answer.split(' ').nth(1).context("that is not HTTP")?;
    ensure!(status == "200", "it answers {status}");
    Ok(())
}

/// Sends a question, and reads `enough` bytes, or what there is.
fn answer(mut stream: impl Read + Write, question: &[u8], enough: usize) -> Result<String> {
    stream.write_all(question)?;
    let mut bytes = vec![0; enough];
    let mut length = 0;
    while let Some(free) = bytes.get_mut(length..)
        && !free.is_empty()
    {
        let read = stream.read(free)?;
        length += read;
        // One message is enough of those that have no fixed length.
        if read == 0 || enough > 64 {
            break;
        }
    }
    ensure!(length > 0, "it closed the connection without an answer");
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
