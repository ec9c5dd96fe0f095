//! What is measured within the machine, by this very program: no interpreter
//! and no bus call lies between an event and its time stamp.
//!
//! Each measurement prints lines of JSON.

mod servers;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{fs::MetadataExt as _, net::UnixDatagram, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use prunella_machine::now;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
    time::{ClockId, clock_gettime},
};
use serde_json::{Value, json};

/// What a service may take to answer again, before that is an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two connections that are tried: short beside what is measured, and
/// it leaves the processor to whoever heals.
const PROBE_EVERY: Duration = Duration::from_micros(200);

/// How often the threads of what is watched are counted.
const THREADS_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut words = words.iter().map(String::as_str);
    match words.next() {
        Some("kill") => kill_in_turn(words),
        Some("exec") => exec(words),
        Some("idle") => idle(words),
        Some("spent") => told_spent(words),
        Some("fsync") => fsync(words),
        Some("programs") => programs(words),
        Some("fill-journal") => fill_journal(words),
        Some("answer") => servers::answer(words),
        Some("scrape") => servers::scrape(words),
        other => bail!("there is no measurement {other:?}"),
    }
}

/// `kill TIMES PAUSE-MS UNIT:PORT:HOOK …`: kills the units' main processes, one
/// unit after the other, and times how long until the port answers. HOOK is a
/// unit whose start is read as well, or `-`.
fn kill_in_turn<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<()> {
    let times: u32 = words.next().context("how often?")?.parse()?;
    let pause = Duration::from_millis(words.next().context("which pause?")?.parse()?);
    let victims: Vec<(&str, u16, &str)> = words
        .map(|word| {
            let mut parts = word.split(':');
            Ok((
                parts.next().context("which unit?")?,
                parts.next().context("which port?")?.parse()?,
                parts.next().context("which hook?")?,
            ))
        })
        .collect::<Result<_>>()?;
    let mut calls = StartCalls::listen()?;
    for _ in 0..times {
        for (unit, port, hook) in &victims {
            println!("{}", kill(unit, *port, hook, &mut calls)?);
            // What follows a recovery, such as its proof, is over by then.
            thread::sleep(pause);
        }
    }
    Ok(())
}

fn kill(unit: &str, port: u16, hook: &str, calls: &mut StartCalls) -> Result<Value> {
    let number = show(unit, "MainPID")?;
    let pid = number.parse().ok().and_then(Pid::from_raw);
    let victim = pidfd_open(
        pid.with_context(|| format!("{unit} does not run"))?,
        PidfdFlags::empty(),
    )?;
    let load = super::load()?;
    let killed = now();
    pidfd_send_signal(&victim, Signal::KILL)?;
    // Until it is gone, it might be the one that answers.
    poll(&mut [PollFd::new(&victim, PollFlags::IN)], None)?;
    let until = Instant::now() + PATIENCE;
    while !answers(port) {
        ensure!(Instant::now() < until, "{unit} does not come back");
        thread::sleep(PROBE_EVERY);
    }
    let answered = now();
    let hook_forked = match hook {
        "-" => None,
        // Read at once: a hook that has ended is forgotten.
        hook => stamp(hook, "ExecMainStartTimestampMonotonic")?,
    };
    // Only of those that do it over the bus: systemctl has a way of its own.
    let asked = calls.of(unit, killed);
    let hook_exec = fs::read_to_string(EXEC_STAMP)
        .ok()
        .and_then(|text| text.trim().parse::<i64>().ok())
        .filter(|at| *at > killed);
    Ok(json!({
        "unit": unit, "load": load, "killed": killed, "answered": answered,
        "failed": stamp(unit, "InactiveEnterTimestampMonotonic")?,
        "started": stamp(unit, "InactiveExitTimestampMonotonic")?,
        "hook_forked": hook_forked, "hook_exec": hook_exec, "asked": asked,
    }))
}

/// Where [`exec`] leaves its time stamp. The hook's sandbox can write there.
pub(crate) const EXEC_STAMP: &str = "/run/prunella/bench-exec";

/// `exec PROGRAM ARGUMENT …`: becomes that program, and leaves the moment in
/// which it did. systemd's own time stamp is of its fork: the sandbox is set up
/// after that.
fn exec<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<()> {
    let program = words.next().context("which program?")?;
    let mut command = Command::new(program);
    command.args(words);
    fs::write(EXEC_STAMP, now().to_string())?;
    Err(command.exec()).with_context(|| format!("cannot execute {program}"))
}

/// The calls of StartUnit that went over the system bus, as they were seen
/// there by a monitor: a little after they were made.
struct StartCalls {
    monitor: Child,
    seen: Receiver<(String, i64)>,
}

impl StartCalls {
    fn listen() -> Result<Self> {
        let mut monitor = Command::new("busctl")
            .args(["monitor", "--json=short", "--match"])
            .arg("type='method_call',interface='org.freedesktop.systemd1.Manager',member='StartUnit'")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run busctl")?;
        let lines = monitor.stdout.take().context("busctl has no output")?;
        let mut says = BufReader::new(monitor.stderr.take().context("busctl says nothing")?);
        // "Monitoring bus message stream.": from here on it misses nothing.
        says.read_line(&mut String::new())?;
        let (tell, seen) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                if let Some(call) = start_call(&line)
                    && tell.send(call).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { monitor, seen })
    }

    /// When the first call for `unit` was made after `since`. Calls come in a
    /// moment late.
    fn of(&mut self, unit: &str, since: i64) -> Option<i64> {
        let mut found = None;
        while let Ok((name, at)) = self.seen.recv_timeout(Duration::from_millis(100)) {
            if found.is_none() && name == unit && at >= since {
                found = Some(at);
            }
        }
        found
    }
}

impl Drop for StartCalls {
    fn drop(&mut self) {
        let _ = self.monitor.kill();
        let _ = self.monitor.wait();
    }
}

/// The unit of a call, and when it was seen, by CLOCK_MONOTONIC.
fn start_call(line: &str) -> Option<(String, i64)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let unit = message.pointer("/payload/data/0")?.as_str()?.to_owned();
    let seen = message.get("timestamp-realtime")?.as_i64()?;
    let real = clock_gettime(ClockId::Realtime);
    let ahead = real.tv_sec * 1_000_000 + real.tv_nsec / 1_000 - now();
    Some((unit, seen - ahead))
}

/// Whether there is an answer to a request, not merely a connection.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<usize> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
        stream.read(&mut [0; 64])
    };
    ask().is_ok_and(|length| length > 0)
}

fn show(unit: &str, property: &str) -> Result<String> {
    let output = Command::new("systemctl")
        .args(["show", "--value", "--property", property, "--", unit])
        .output()?;
    ensure!(output.status.success(), "systemctl does not show {unit}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A time stamp; nothing if what it tells never happened.
fn stamp(unit: &str, property: &str) -> Result<Option<i64>> {
    Ok(show(unit, property)?.parse().ok().filter(|time| *time > 0))
}

/// `idle SETTLE-S SECONDS PID …`: what processes have of memory, and how often their threads
/// wake up when nothing happens; all of them in the same span, and a line for each.
fn idle<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<()> {
    let settle = words.next().context("settle how long?")?.parse()?;
    let seconds: u64 = words.next().context("how long?")?.parse()?;
    thread::sleep(Duration::from_secs(settle));
    let mut all = words
        .map(|pid| Idle::begin(pid.parse()?))
        .collect::<Result<Vec<_>>>()?;
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        thread::sleep(left.min(THREADS_EVERY));
        for one in &mut all {
            let threads = fs::read_dir(format!("/proc/{}/task", one.pid))?.count();
            one.most_threads = one.most_threads.max(threads);
        }
    }
    for one in &all {
        println!("{}", one.end(seconds)?);
    }
    Ok(())
}

/// A process that is watched doing nothing.
struct Idle {
    pid: u32,
    threads: Vec<(String, String, u64)>,
    spent: f64,
    most_threads: usize,
}

impl Idle {
    fn begin(pid: u32) -> Result<Self> {
        let threads = threads(pid)?;
        Ok(Self {
            pid,
            most_threads: threads.len(),
            threads,
            spent: spent(pid)?,
        })
    }

    fn end(&self, seconds: u64) -> Result<Value> {
        let pid = self.pid;
        let spent = spent(pid)? - self.spent;
        let woken: Vec<Value> = threads(pid)?
            .iter()
            .map(|(thread, name, switches)| {
                let earlier = self.threads.iter().find(|(known, ..)| known == thread);
                json!({
                    "thread": name,
                    "times": switches - earlier.map_or(0, |(.., switches)| *switches),
                    "new": earlier.is_none(),
                })
            })
            .collect();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        Ok(json!({
            "seconds": seconds,
            "cpu_ms": spent,
            "woken": woken,
            "most_threads": self.most_threads,
            "rss_kib": field(&status, "VmRSS:")?,
            "peak_kib": field(&status, "VmHWM:")?,
            "anon_kib": field(&status, "RssAnon:")?,
            "pss_kib": field(&rollup, "Pss:")?,
        }))
    }
}

/// Processor time of a process's control group so far, in ms, to the microsecond: threads and
/// processes that have ended count.
fn spent(pid: u32) -> Result<f64> {
    let group = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let group = group.lines().find_map(|line| line.strip_prefix("0::"));
    let group = group.context("it is in no control group of version 2")?;
    let stat = fs::read_to_string(format!("/sys/fs/cgroup{}/cpu.stat", group.trim()))?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of some days at most"
    )]
    let microseconds = field(&stat, "usage_usec")? as f64;
    Ok(microseconds / 1e3)
}

/// `spent PID`.
fn told_spent<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<()> {
    let pid = words.next().context("which process?")?.parse()?;
    println!("{}", json!({ "cpu_ms": spent(pid)? }));
    Ok(())
}

/// `programs TIMES COMMAND…`: how long programs take, from fork to end, in turn.
fn programs<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<()> {
    let times: u32 = words.next().context("how often?")?.parse()?;
    let programs: Vec<&str> = words.collect();
    let mut taken = vec![Vec::new(); programs.len()];
    for _ in 0..times {
        for (program, taken) in programs.iter().zip(&mut taken) {
            let mut words = program.split_whitespace();
            let mut command = Command::new(words.next().context("which program?")?);
            command
                .args(words)
                .stdout(Stdio::null())
                .stdin(Stdio::null());
            let start = Instant::now();
            let status = command
                .status()
                .with_context(|| format!("cannot run {program}"))?;
            taken.push(start.elapsed().as_secs_f64() * 1e3);
            ensure!(status.success(), "{program} failed: {status}");
        }
    }
    for (program, taken) in programs.iter().zip(taken) {
        println!("{}", json!({ "program": program, "ms": taken }));
    }
    Ok(())
}

/// `fill-journal MIB`: logs, until the journal on the disk is so large.
fn fill_journal<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<()> {
    const JOURNAL: &str = "/var/log/journal";
    let wanted: u64 = words.next().context("how large?")?.parse::<u64>()? << 20;
    let socket = UnixDatagram::unbound()?;
    socket.connect("/run/systemd/journal/socket")?;
    let mut number = 0_u64;
    while size_of_files(Path::new(JOURNAL))? < wanted {
        for _ in 0..10_000 {
            number += 1;
            // systemd.journal-fields(7); the socket waits when journald is behind.
            socket.send(
                format!(
                    "PRIORITY=6\nSYSLOG_IDENTIFIER=noise\nMESSAGE=request {number} from \
                     10.0.{}.{} took {} ms\n",
                    number % 251,
                    number % 241,
                    number % 997
                )
                .as_bytes(),
            )?;
        }
    }
    let synced = Command::new("journalctl").arg("--sync").status()?;
    ensure!(synced.success(), "journalctl --sync failed");
    #[expect(clippy::cast_precision_loss, reason = "a size to be shown")]
    let mib = size_of_files(Path::new(JOURNAL))? as f64 / f64::from(1 << 20);
    println!("{}", json!({ "mib": mib, "lines": number }));
    Ok(())
}

/// What is on the disk of all files in a folder, in bytes: journald allocates
/// ahead.
fn size_of_files(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        size += if found.is_dir() {
            size_of_files(&entry.path())?
        } else {
            found.blocks() * 512
        };
    }
    Ok(size)
}

/// The threads of a process: number, name, voluntary switches.
fn threads(pid: u32) -> Result<Vec<(String, String, u64)>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let entry = entry?;
        let status = fs::read_to_string(entry.path().join("status"))?;
        let name = fs::read_to_string(entry.path().join("comm"))?;
        threads.push((
            entry.file_name().to_string_lossy().into_owned(),
            name.trim().to_owned(),
            field(&status, "voluntary_ctxt_switches:")?,
        ));
    }
    Ok(threads)
}

/// The number after a word at the beginning of a line.
fn field(text: &str, word: &str) -> Result<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(word)?.split_whitespace().next())
        .with_context(|| format!("there is no {word}"))?
        .parse()
        .with_context(|| format!("{word} is no number"))
}

/// `fsync FOLDER TIMES`: how long it takes until a page is on the disk.
fn fsync<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<()> {
    let folder = words.next().context("in which folder?")?;
    let times: u32 = words.next().context("how often?")?.parse()?;
    let path = format!("{folder}/bench-fsync");
    let mut file = File::create(&path)?;
    let mut taken = Vec::new();
    for _ in 0..times {
        file.write_all(&[7; 4096])?;
        let start = Instant::now();
        file.sync_data()?;
        taken.push(start.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(&path)?;
    println!("{}", json!({ "ms": taken }));
    Ok(())
}
