//! Servers to be asked, and who asks: what stands around what is measured.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

/// Longer than any probe waits.
const NEVER: Duration = Duration::from_secs(3600);

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// `answer FIRST-PORT PORTS AFTER-MS FILE`: answers on these ports at once, and once FILE is
/// there after so many ms, or never. The time of the first late answer, in ms since 1970, is
/// written into FILE.
pub(super) fn answer<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<()> {
    let first: u16 = words.next().context("from which port on?")?.parse()?;
    let ports: u16 = words.next().context("how many ports?")?.parse()?;
    let after = match words.next().context("after how long?")? {
        "never" => NEVER,
        text => Duration::from_millis(text.parse()?),
    };
    let file: Arc<Path> = PathBuf::from(words.next().context("until which file is there?")?).into();
    let mut accepting = Vec::new();
    for port in first..first + ports {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let file = Arc::clone(&file);
        accepting.push(thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let file = Arc::clone(&file);
                thread::spawn(move || {
                    // Who has hung up wants no answer.
                    let _ = talk(stream, after, &file);
                });
            }
        }));
    }
    for one in accepting {
        let _ = one.join();
    }
    Ok(())
}

fn talk(mut stream: TcpStream, after: Duration, file: &Path) -> std::io::Result<()> {
    let is_late = file.exists();
    if is_late {
        // Until it hangs up, or it is time.
        stream.set_read_timeout(Some(after))?;
        let mut heard = [0; 1024];
        while stream.read(&mut heard).is_ok_and(|count| count > 0) {}
    } else {
        let _ = stream.read(&mut [0; 1024])?;
    }
    stream.write_all(ANSWER)?;
    if is_late && fs::read(file)?.is_empty() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        fs::write(file, now.unwrap_or_default().as_millis().to_string())?;
    }
    Ok(())
}

/// `scrape PORT PATH SECONDS`: gets it again and again.
pub(super) fn scrape<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<()> {
    let port: u16 = words.next().context("which port?")?.parse()?;
    let path = words.next().context("which path?")?;
    let every = Duration::from_secs(words.next().context("how often?")?.parse()?);
    loop {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let ask = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes())?;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard)?;
        thread::sleep(every);
    }
}
