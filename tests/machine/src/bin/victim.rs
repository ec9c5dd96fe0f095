//! A service that misbehaves as it is told: what tests make fail.
//!
//! | option | means |
//! |---|---|
//! | `--listen [ADDRESS:]PORT` | answer there (on 127.0.0.1): 200 to HTTP, PONG to Redis' PING |
//! | `--reuse-port` | share the port with others who do so, too (SO_REUSEPORT) |
//! | `--no-reuse-address` | not bind a port of which the kernel keeps closed connections |
//! | `--listen-unix PATH` | the same on a Unix socket |
//! | `--listen-stdin` | the same on the listening socket that is its standard input (`StandardInput=socket`, `StandardOutput=journal`) |
//! | `--only PATH` | answer HTTP requests for any other path with 404 |
//! | `--log-requests` | log them, as a web server's access log does |
//! | `--log-plainly` | log them without a User-Agent, and with the address in X-Forwarded-For at most |
//! | `--need-file PATH` | end at once unless this exists |
//! | `--need-env KEY` | end at once unless this is set to something |
//! | `--need-tcp PORT` | end at once unless something listens there |
//! | `--read PATH` | end at once unless this can be read |
//! | `--config PATH` | end at once unless this is made of `key = value` lines |
//! | `--check` | do only that, and say what came of it |
//! | `--start-takes MS` | be slow to start |
//! | `--exit-code N` | what to end with (1) |
//! | `--exit-after MS` | end by itself |
//! | `--exit-after-in PATH` | end by itself after so many ms as this file says, if it is there; the file is used up |
//! | `--exit-when PATH` | end as soon as this exists; the file is used up |
//! | `--ignore-term` | stay at SIGTERM |
//! | `--leave-child` | start a child that holds the first port too, stays at SIGTERM, and lives on |
//! | `--notify` | tell systemd when ready, and keep its watchdog happy |
//! | `--fork PIDFILE` | go to the background as `Type=forking` expects |
//!
//! At SIGUSR1 it hangs: it stays alive, and answers neither clients nor the
//! watchdog.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{self, TcpListener, TcpStream},
    os::{
        fd::{AsFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram, UnixListener},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    fs::inotify,
    net::{AddressFamily, SocketType, sockopt},
};
use signal_hook::{
    consts::{SIGTERM, SIGUSR1},
    iterator::Signals,
};

#[derive(Default)]
struct Options {
    listen: Vec<net::SocketAddr>,
    reuse_port: bool,
    no_reuse_address: bool,
    listen_unix: Vec<PathBuf>,
    listen_stdin: bool,
    only: Option<String>,
    log_requests: bool,
    log_plainly: bool,
    need_file: Vec<PathBuf>,
    need_env: Vec<String>,
    need_tcp: Vec<u16>,
    read: Vec<PathBuf>,
    config: Option<PathBuf>,
    check: bool,
    start_takes: Option<Duration>,
    exit_code: Option<u8>,
    exit_after: Option<Duration>,
    exit_after_in: Option<PathBuf>,
    exit_when: Option<PathBuf>,
    ignore_term: bool,
    leave_child: bool,
    notify: bool,
    fork: Option<PathBuf>,
    say_ready: bool,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options::default();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .with_context(|| format!("{word} needs a value"))
        };
        let millis = |text: String| Ok::<_, anyhow::Error>(Duration::from_millis(text.parse()?));
        match word.as_str() {
            "--listen" => options.listen.push(address(&value()?)?),
            "--reuse-port" => options.reuse_port = true,
            "--no-reuse-address" => options.no_reuse_address = true,
            "--listen-unix" => options.listen_unix.push(value()?.into()),
            "--listen-stdin" => options.listen_stdin = true,
            "--only" => options.only = Some(value()?),
            "--log-requests" => options.log_requests = true,
            "--log-plainly" => options.log_plainly = true,
            "--need-file" => options.need_file.push(value()?.into()),
            "--need-env" => options.need_env.push(value()?),
            "--need-tcp" => options.need_tcp.push(value()?.parse()?),
            "--read" => options.read.push(value()?.into()),
            "--config" => options.config = Some(value()?.into()),
            "--check" => options.check = true,
            "--start-takes" => options.start_takes = Some(millis(value()?)?),
            "--exit-code" => options.exit_code = Some(value()?.parse()?),
            "--exit-after" => options.exit_after = Some(millis(value()?)?),
            "--exit-after-in" => options.exit_after_in = Some(value()?.into()),
            "--exit-when" => options.exit_when = Some(value()?.into()),
            "--ignore-term" => options.ignore_term = true,
            "--leave-child" => options.leave_child = true,
            "--notify" => options.notify = true,
            "--fork" => options.fork = Some(value()?.into()),
            "--say-ready" => options.say_ready = true,
            _ => bail!("unknown option {word}"),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match parse(env::args().skip(1)).and_then(live) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("victim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn live(options: Options) -> Result<()> {
    if let Some(path) = &options.config {
        check_config(path)?;
    }
    if options.check {
        println!("configuration is valid");
        return Ok(());
    }
    if let Some(pid_file) = &options.fork {
        return go_to_background(pid_file);
    }
    // Before anything a signal could interrupt.
    let mut signals = Signals::new([SIGUSR1])?;
    if options.ignore_term {
        signals.add_signal(SIGTERM)?;
    }
    check_needs(&options)?;
    if let Some(time) = options.start_takes {
        thread::sleep(time);
    }

    let hung = Arc::new(AtomicBool::new(false));
    let manner = Arc::new(Manner {
        only: options.only.clone(),
        log_requests: options.log_requests,
        log_plainly: options.log_plainly,
    });
    let mut first = None;
    for at in &options.listen {
        let listener =
            bind(*at, &options).with_context(|| format!("cannot listen on port {}", at.port()))?;
        first = first.or(Some(listener.as_fd().try_clone_to_owned()?));
        serve(Listener::Tcp(listener), &hung, &manner);
    }
    for path in &options.listen_unix {
        remove_stale(path)?;
        let listener = UnixListener::bind(path)
            .with_context(|| format!("cannot listen on {}", path.display()))?;
        serve(Listener::Unix(listener), &hung, &manner);
    }
    if options.listen_stdin {
        let given: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned()?;
        serve(Listener::Tcp(given.into()), &hung, &manner);
    }
    if options.leave_child {
        let port = first.context("--leave-child needs --listen")?;
        Command::new(env::current_exe()?)
            .args(["--listen-stdin", "--ignore-term"])
            .stdin(Stdio::from(port))
            .spawn()
            .context("cannot start a child")?;
    }

    let code = options.exit_code.unwrap_or(1);
    if let Some(path) = options.exit_when {
        thread::spawn(move || match wait_for_file(&path) {
            Ok(()) => exit(code, &format!("{} was there", path.display())),
            Err(error) => exit(70, &format!("{error:#}")),
        });
    }
    let told = options.exit_after_in.and_then(|path| {
        let millis = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
        fs::remove_file(path).ok()?;
        Some(Duration::from_millis(millis))
    });
    if let Some(time) = options.exit_after.or(told) {
        thread::spawn(move || {
            thread::sleep(time);
            exit(code, "the time is up");
        });
    }
    if options.notify {
        notify("READY=1")?;
        keep_watchdog_happy(&hung)?;
    }
    if options.say_ready {
        println!("ready");
    }
    eprintln!("victim: ready");

    for signal in signals.forever() {
        if signal == SIGUSR1 {
            eprintln!("victim: hanging");
            hung.store(true, Ordering::SeqCst);
        }
    }
    Ok(())
}

fn exit(code: u8, why: &str) -> ! {
    eprintln!("victim: {why}, ending with {code}");
    std::process::exit(code.into());
}

/// `PORT`, or `ADDRESS:PORT`.
fn address(text: &str) -> Result<net::SocketAddr> {
    Ok(match text.parse() {
        Ok(port) => net::SocketAddr::from(([127, 0, 0, 1], port)),
        Err(_) => text.parse()?,
    })
}

fn bind(at: net::SocketAddr, options: &Options) -> Result<TcpListener> {
    let family = if at.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, !options.no_reuse_address)?;
    sockopt::set_socket_reuseport(&socket, options.reuse_port)?;
    rustix::net::bind(&socket, &at)?;
    rustix::net::listen(&socket, 128)?;
    Ok(TcpListener::from(socket))
}

fn check_config(path: &Path) -> Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let fine = line.is_empty() || line.starts_with('#') || line.contains('=');
        ensure!(
            fine,
            "{}:{}: `{line}` is not `key = value`",
            path.display(),
            number + 1
        );
    }
    Ok(())
}

fn check_needs(options: &Options) -> Result<()> {
    for path in &options.need_file {
        ensure!(path.exists(), "{} is missing", path.display());
    }
    for key in &options.need_env {
        let set = env::var(key).is_ok_and(|value| !value.is_empty());
        ensure!(set, "{key} is not set");
    }
    for path in &options.read {
        let mut text = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut text))
            .with_context(|| format!("cannot read {}", path.display()))?;
    }
    for port in &options.need_tcp {
        TcpStream::connect(("127.0.0.1", *port))
            .with_context(|| format!("cannot reach port {port}"))?;
    }
    Ok(())
}

/// Starts itself again, without `--fork`, and ends when that one is ready.
fn go_to_background(pid_file: &Path) -> Result<()> {
    let mut words: Vec<String> = env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == "--fork") {
        words.drain(at..at + 2);
    }
    let mut child = Command::new(env::current_exe()?)
        .args(words)
        .arg("--say-ready")
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot go to the background")?;
    let mut line = String::new();
    let output = child.stdout.take().context("no output to read")?;
    BufReader::new(output).read_line(&mut line)?;
    ensure!(line == "ready\n", "the background process did not start");
    fs::write(pid_file, format!("{}\n", child.id()))
        .with_context(|| format!("cannot write {}", pid_file.display()))
}

fn remove_stale(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// How requests are answered.
struct Manner {
    only: Option<String>,
    log_requests: bool,
    log_plainly: bool,
}

fn serve(listener: Listener, hung: &Arc<AtomicBool>, manner: &Arc<Manner>) {
    let (hung, manner) = (hung.clone(), manner.clone());
    thread::spawn(move || {
        loop {
            let served = match &listener {
                Listener::Tcp(listener) => listener
                    .accept()
                    .and_then(|(peer, _)| answer(peer, &hung, &manner)),
                Listener::Unix(listener) => listener
                    .accept()
                    .and_then(|(peer, _)| answer(peer, &hung, &manner)),
            };
            // A client that went away is no reason to end.
            drop(served);
            while hung.load(Ordering::SeqCst) {
                thread::park();
            }
        }
    });
}

fn answer(mut peer: impl Read + Write, hung: &AtomicBool, manner: &Manner) -> std::io::Result<()> {
    let mut request = [0u8; 4096];
    let length = peer.read(&mut request)?;
    while hung.load(Ordering::SeqCst) {
        thread::park();
    }
    let request = request.get(..length).unwrap_or_default();
    let redis = request.starts_with(b"PING") || request.starts_with(b"*1\r\n");
    let text = String::from_utf8_lossy(request);
    let first = text.lines().next().unwrap_or_default();
    let path = first.split(' ').nth(1);
    let known = manner.only.is_none() || path == manner.only.as_deref();
    let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    if manner.log_plainly && !redis {
        let client = header("X-Forwarded-For: ").map(|client| format!("{client} - - "));
        eprintln!("{}\"{first}\" 200 -", client.unwrap_or_default());
    }
    if manner.log_requests && !redis {
        let agent = header("User-Agent: ").unwrap_or("-");
        eprintln!("127.0.0.1 - - \"{first}\" 200 3 \"-\" \"{agent}\"");
    }
    let reply: &[u8] = if redis {
        b"+PONG\r\n"
    } else if !known {
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    } else {
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
    };
    peer.write_all(reply)
}

fn wait_for_file(path: &Path) -> Result<()> {
    let parent = path.parent().context("--exit-when needs a full path")?;
    let events = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let wanted = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&events, parent, wanted)
        .with_context(|| format!("cannot watch {}", parent.display()))?;
    let mut events = File::from(events);
    while !path.exists() {
        let _ = events.read(&mut [0u8; 4096])?;
    }
    Ok(fs::remove_file(path)?)
}

/// sd_notify(3).
fn notify(message: &str) -> Result<()> {
    let name = env::var("NOTIFY_SOCKET").context("NOTIFY_SOCKET is not set")?;
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

fn keep_watchdog_happy(hung: &Arc<AtomicBool>) -> Result<()> {
    let Ok(limit) = env::var("WATCHDOG_USEC") else {
        return Ok(());
    };
    let pause = Duration::from_micros(limit.parse()?) / 3;
    let hung = hung.clone();
    thread::spawn(move || {
        while !hung.load(Ordering::SeqCst) {
            if let Err(error) = notify("WATCHDOG=1") {
                exit(70, &format!("{error:#}"));
            }
            thread::sleep(pause);
        }
    });
    Ok(())
}
