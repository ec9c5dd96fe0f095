//! The mail server at which healers leave what they have to tell people: it
//! takes everything, and keeps when and about what.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context, Result};

use super::now;
use crate::plan::{MAIL_PORT, tells_of};

type Letters = Arc<Mutex<Vec<(i64, String)>>>;

pub(super) struct Mailbox(Letters);

impl Mailbox {
    pub(super) fn open() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", MAIL_PORT))
            .with_context(|| format!("cannot take mail on port {MAIL_PORT}"))?;
        let letters = Letters::default();
        thread::spawn({
            let letters = letters.clone();
            move || {
                for stream in listener.incoming().flatten() {
                    let letters = letters.clone();
                    // One that breaks off has left no letter.
                    thread::spawn(move || drop(talk(&stream, &letters)));
                }
            }
        });
        Ok(Self(letters))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(i64, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether a message came that tells of what one of `words` names.
    pub(super) fn tells_of(&self, words: &[String]) -> bool {
        let letters = self.lock();
        letters.iter().any(|(_, subject)| tells_of(subject, words))
    }

    pub(super) fn take(&self) -> Vec<(i64, String)> {
        std::mem::take(&mut *self.lock())
    }
}

/// As much of SMTP (RFC 5321) as a server needs that refuses nothing.
fn talk(stream: &TcpStream, letters: &Letters) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let mut out = stream;
    out.write_all(b"220 mailbox ESMTP\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let word = line.split(' ').next().unwrap_or_default().to_uppercase();
        match word.as_str() {
            "DATA" => {
                out.write_all(b"354 go on\r\n")?;
                let mut subject = String::new();
                while let Some(line) = lines.next().transpose()? {
                    if line == "." {
                        break;
                    }
                    let lower = line.to_lowercase();
                    if subject.is_empty() && lower.starts_with("subject:") {
                        subject = line.chars().skip("subject:".len()).collect();
                    }
                }
                let letter = (now(), subject.trim().to_owned());
                letters
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(letter);
                out.write_all(b"250 taken\r\n")?;
            }
            "QUIT" => return out.write_all(b"221 bye\r\n"),
            _ => out.write_all(b"250 mailbox\r\n")?,
        }
    }
    Ok(())
}
