//! A running machine, and what its agent is asked to do.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{drive, hardware, snapshot};
use crate::{command::Output, follow::Journal, house::House};

/// How long an answer may take: longer than any command may.
const ANSWER: Duration = Duration::from_secs(180);

/// Who waits for which answer; none once the machine is gone.
type Waiting = Arc<Mutex<Option<HashMap<u64, Sender<Value>>>>>;

/// A machine with a kernel of its own. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    qemu: Child,
    input: Mutex<Option<ChildStdin>>,
    reader: Option<JoinHandle<()>>,
    waiting: Waiting,
    numbers: AtomicU64,
    house: House,
}

impl Guest {
    /// Goes on from the snapshot, which is made where there is none, with a disk that has what
    /// the test brings, and runs the script that puts it into place.
    pub(crate) fn resume(
        house: House,
        payload: &Path,
        script: &str,
        journal: &Arc<Journal>,
    ) -> Result<Self> {
        let from = snapshot::get()?;
        let console = house.dir.join("console");
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(hardware(&from.kernel))
            .args(drive("root", &from.disk, false))
            .args(drive("payload", payload, false))
            .args(["-chardev", "stdio,id=agent,signal=off", "-monitor", "none"])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .arg("-incoming")
            .arg(format!("exec:cat '{}'", from.state.display()));
        let mut qemu = qemu
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(house.dir.join("qemu"))?)
            .spawn()
            .context("cannot start qemu-system-x86_64")?;
        house.note_manager(qemu.id())?;
        let input = qemu.stdin.take();
        let output = qemu.stdout.take().context("QEMU has no output")?;
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let reader = thread::spawn({
            let (waiting, journal) = (waiting.clone(), journal.clone());
            move || read(output, &waiting, &journal)
        });
        let guest = Self {
            qemu,
            input: Mutex::new(input),
            reader: Some(reader),
            waiting,
            numbers: AtomicU64::new(0),
            house,
        };
        guest.wake(script).with_context(|| {
            format!(
                "the machine does not go on from its snapshot; it says\n{}",
                guest.console()
            )
        })?;
        Ok(guest)
    }

    fn wake(&self, script: &str) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let seed = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        self.ask("wake", &json!([now, seed]))?;
        self.run(&["sh", "-c", script])?
            .into_stdout("putting the test's files into place")
            .map(drop)
    }

    /// Its name, unique on the host.
    pub(crate) fn name(&self) -> &str {
        &self.house.name
    }

    /// The last lines that it, and QEMU, wrote.
    pub(crate) fn console(&self) -> String {
        ["console", "qemu"]
            .map(|file| fs::read(self.house.dir.join(file)).unwrap_or_default())
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat()
    }

    /// Runs a program that only talks to its init, as the agent's child.
    pub(crate) fn run(&self, program: &[&str]) -> Result<Output> {
        let done = self.ask("run", &json!([program]))?;
        let text = |key: &str| {
            let text = done.get(key).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let code = done.get("code").and_then(Value::as_i64);
        Ok(Output {
            code: code.and_then(|code| i32::try_from(code).ok()),
            stdout: text("stdout"),
            stderr: text("stderr"),
        })
    }

    /// Puts a file in place at once, with its folders.
    pub(crate) fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        // Each byte is a character, so that any bytes can be told in JSON.
        let content: String = content.iter().map(|byte| char::from(*byte)).collect();
        self.ask("write", &json!([path, content, mode])).map(drop)
    }

    /// The text of a file.
    pub(crate) fn read(&self, path: &Path) -> Result<String> {
        let text = self.ask("read", &json!([path]))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Whether anything is at a path.
    pub(crate) fn exists(&self, path: &Path) -> Result<bool> {
        Ok(self.ask("exists", &json!([path]))? == Value::Bool(true))
    }

    /// Removes a file.
    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        self.ask("remove", &json!([path])).map(drop)
    }

    /// Has the agent do one of the things it can do.
    fn ask(&self, what: &str, with: &Value) -> Result<Value> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = channel();
        lock(&self.waiting)
            .as_mut()
            .context("the machine is gone")?
            .insert(number, tell);
        let request = json!({ "number": number, "do": what, "with": with });
        if let Some(input) = lock(&self.input).as_mut() {
            writeln!(input, "{request}").context("the machine is gone")?;
        }
        let mut answer = told
            .recv_timeout(ANSWER)
            .with_context(|| format!("the machine's agent does not answer `{what}`"))?;
        if let Some(error) = answer.get("error").and_then(Value::as_str) {
            bail!("the machine's agent cannot {what} {with}: {error}");
        }
        Ok(answer.get_mut("done").map(Value::take).unwrap_or_default())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Reads what the agent says, until the machine is gone.
fn read(output: ChildStdout, waiting: &Waiting, journal: &Journal) {
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        if let Some(entry) = line.strip_prefix(b"J") {
            if let Ok(entry) = serde_json::from_slice(entry) {
                journal.add(entry);
            }
        } else if let Ok(answer) = serde_json::from_slice::<Value>(&line) {
            let number = answer.get("number").and_then(Value::as_u64);
            let teller = number.and_then(|number| lock(waiting).as_mut()?.remove(&number));
            if let Some(teller) = teller {
                // Whoever asked may have given up.
                let _ = teller.send(answer);
            }
        }
    }
    // Whoever waits learns that there will be no answer.
    *lock(waiting) = None;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
