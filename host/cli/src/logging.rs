//! Logging: to the terminal for people, to the journal with fields for systemd.
//!
//! In the journal each event's fields become the entry's fields, in capitals
//! and without a prefix (`prunella_incident = %id` is `PRUNELLA_INCIDENT=`),
//! those of the spans around it included.
//!
//! Whoever logs never waits for journald: entries go through a bounded queue to
//! a thread of its own. When the queue is full they are dropped, counted, and
//! the count is said as soon as there is room again.

use std::{
    env, fmt, io,
    os::unix::{fs::MetadataExt, net::UnixDatagram},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{EnvFilter, Layer, layer::Context, prelude::*, registry::LookupSpan};

/// journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL).
const SOCKET: &str = "/run/systemd/journal/socket";

/// Entries that may wait for journald.
const QUEUE: usize = 1024;

/// The longest value, in bytes. A datagram has to fit into the socket's buffer
/// with all its fields.
const LONGEST: usize = 16 << 10;

/// Where the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Terminal,
    Journal,
}

/// Writes out what still waits, when it is dropped.
#[must_use = "the log ends when this is dropped"]
pub(crate) struct Guard {
    thread: Option<(SyncSender<Message>, JoinHandle<()>)>,
}

/// Starts logging. `verbose` counts `-v`; PRUNELLA_LOG goes before it.
///
/// `service` commands (daemon, hook, sweep) log at `info`, and to the journal
/// when standard error leads there; others at `warn` to standard error.
pub(crate) fn init(service: bool, verbose: u8) -> Guard {
    let default = match (service, verbose) {
        (false, 0) => "warn",
        (true, 0) => "info,wasmtime=warn,cranelift=warn,zbus=warn",
        (_, 1) => "info,prunella=debug,wasmtime=warn,cranelift=warn,zbus=warn",
        (_, 2) => "debug,wasmtime=warn,cranelift=warn,regalloc2=warn",
        _ => "trace",
    };
    let filter = env::var("PRUNELLA_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let to = if service && stderr_is_the_journal() {
        To::Journal
    } else {
        To::Terminal
    };
    let registry = tracing_subscriber::registry().with(filter);
    if to == To::Journal
        && let Ok((layer, guard)) = journal(Path::new(SOCKET))
    {
        // Only a second call of this function could fail here.
        drop(registry.with(layer).try_init());
        return guard;
    }
    let ansi = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(ansi)
        .with_target(verbose > 0);
    if service {
        drop(registry.with(layer).try_init());
    } else {
        drop(registry.with(layer.without_time()).try_init());
    }
    Guard { thread: None }
}

/// Whether standard error is the stream that systemd connected to the journal
/// (systemd.exec(5), `$JOURNAL_STREAM`).
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else {
        return false;
    };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
        && Path::new(SOCKET)
            .metadata()
            .is_ok_and(|socket| socket.ino() != 0)
}

enum Message {
    /// A whole datagram.
    Entry(Vec<u8>),
    /// Nothing comes after it.
    End,
}

fn journal(socket: &Path) -> io::Result<(JournalLayer, Guard)> {
    let datagrams = UnixDatagram::unbound()?;
    datagrams.connect(socket)?;
    let (sender, receiver) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let counter = dropped.clone();
    let path = socket.to_owned();
    let thread = thread::Builder::new()
        .name("journal".into())
        .stack_size(128 << 10)
        .spawn(move || write_out(&receiver, datagrams, &path, &counter))?;
    let layer = JournalLayer {
        queue: sender.clone(),
        dropped,
    };
    Ok((
        layer,
        Guard {
            thread: Some((sender, thread)),
        },
    ))
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some((sender, thread)) = self.thread.take() else {
            return;
        };
        // A full queue means journald is stuck, and then waiting is no use.
        if sender.try_send(Message::End).is_ok() {
            let deadline = std::time::Instant::now() + Duration::from_secs(1);
            while !thread.is_finished() && std::time::Instant::now() < deadline {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
    }
}

fn write_out(
    queue: &Receiver<Message>,
    mut socket: UnixDatagram,
    path: &Path,
    dropped: &AtomicU64,
) {
    loop {
        // With something to say about dropped entries, say it soon.
        let wait = if dropped.load(Ordering::Relaxed) > 0 {
            Duration::from_secs(1)
        } else {
            Duration::MAX
        };
        let message = match queue.recv_timeout(wait) {
            Ok(Message::Entry(entry)) => Some(entry),
            Err(RecvTimeoutError::Timeout) => None,
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Some(entry) = message
            && socket.send(&entry).is_err()
        {
            // journald was restarted: its new socket has to be found.
            let again = UnixDatagram::unbound().and_then(|fresh| {
                fresh.connect(path)?;
                fresh.send(&entry)?;
                Ok(fresh)
            });
            match again {
                Ok(fresh) => socket = fresh,
                Err(_) => {
                    dropped.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let mut entry = Fields::new(Level::WARN);
            entry.put(
                "MESSAGE",
                &format!("{lost} log entries were dropped: journald did not take them in time"),
            );
            if socket.send(&entry.0).is_err() {
                dropped.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }
}

/// One entry in the making.
#[derive(Debug, Clone)]
struct Fields(Vec<u8>);

impl Fields {
    fn new(level: Level) -> Self {
        let mut fields = Self(Vec::with_capacity(512));
        let priority = match level {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        fields.put("PRIORITY", priority);
        fields.put("SYSLOG_IDENTIFIER", "prunella");
        fields
    }

    fn put(&mut self, name: &str, value: &str) {
        let mut end = value.len().min(LONGEST);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        let value = value.get(..end).unwrap_or_default();
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            // A length instead of a line end: a value cannot forge a field.
            self.0.push(b'\n');
            self.0
                .extend_from_slice(&u64::try_from(value.len()).unwrap_or(0).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }

    /// A field's name as journald accepts it: capitals, digits and `_`, at most
    /// 64, not beginning with `_` (those are journald's own).
    fn name(field: &str) -> String {
        let name: String = field
            .chars()
            .map(|c| match c.to_ascii_uppercase() {
                c @ ('A'..='Z' | '0'..='9') => c,
                _ => '_',
            })
            .collect();
        let name = name.trim_start_matches(|c: char| !c.is_ascii_uppercase());
        name.chars().take(64).collect()
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        // An empty field says nothing.
        if !value.is_empty() || field.name() == "message" {
            self.put(&Self::name(field.name()), value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Hands events to the thread.
struct JournalLayer {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// A span's fields, kept with it.
struct SpanFields(Fields);

impl<S> Layer<S> for JournalLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut fields = Fields(Vec::new());
        attributes.record(&mut fields);
        span.extensions_mut().insert(SpanFields(fields));
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if let Some(SpanFields(fields)) = span.extensions_mut().get_mut() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let metadata = event.metadata();
        let mut entry = Fields::new(*metadata.level());
        entry.put("TARGET", metadata.target());
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                entry.0.extend_from_slice(&fields.0);
            }
        }
        event.record(&mut entry);
        if self.queue.try_send(Message::Entry(entry.0)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("prunella_incident", "PRUNELLA_INCIDENT")]
    #[case("message", "MESSAGE")]
    #[case("_pid", "PID")]
    #[case("log.target", "LOG_TARGET")]
    #[case("9lives", "LIVES")]
    fn field_names(#[case] field: &str, #[case] name: &str) {
        assert_eq!(Fields::name(field), name);
    }

    fn receive(socket: &UnixDatagram) -> String {
        let mut buffer = vec![0; 65536];
        let count = socket.recv(&mut buffer).unwrap();
        buffer.truncate(count);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn an_event_becomes_an_entry_with_fields() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        let (layer, guard) = journal(&path).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("attempt", prunella_attempt = 2);
            let _entered = span.enter();
            tracing::warn!(
                object_systemd_unit = "a.service",
                prunella_strategy = "",
                "failed"
            );
        });
        let entry = receive(&journald);
        drop(guard);
        for line in [
            "PRIORITY=4",
            "SYSLOG_IDENTIFIER=prunella",
            "OBJECT_SYSTEMD_UNIT=a.service",
            "PRUNELLA_ATTEMPT=2",
            "MESSAGE=failed",
        ] {
            assert!(entry.lines().any(|l| l == line), "{line} in {entry}");
        }
        assert!(!entry.contains("PRUNELLA_STRATEGY"), "{entry}");
    }

    #[test]
    fn a_value_with_a_line_end_cannot_forge_a_field() {
        let mut entry = Fields::new(Level::INFO);
        entry.put("MESSAGE", "x\nPRIORITY=0");
        let mut wanted = b"MESSAGE\n".to_vec();
        wanted.extend_from_slice(&12_u64.to_le_bytes());
        wanted.extend_from_slice(b"x\nPRIORITY=0\n");
        assert!(entry.0.ends_with(&wanted));
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let mut entry = Fields(Vec::new());
        entry.put("M", &"ö".repeat(LONGEST));
        assert_eq!(entry.0.len(), LONGEST + 3);
        assert!(String::from_utf8(entry.0).is_ok());
    }

    #[test]
    fn a_stuck_journald_delays_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        let (layer, _guard) = journal(&path).unwrap();
        let dropped = layer.dropped.clone();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            // Nobody reads: the socket fills, then the queue, and then they
            // are dropped, without a wait.
            for _ in 0..QUEUE * 4 {
                tracing::info!("line");
            }
        });
        assert!(dropped.load(Ordering::Relaxed) > 0);
        // Read on: the number of those dropped is told.
        journald
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        while !receive(&journald).contains("were dropped") {}
    }
}
