//! `prunella status --watch`: the overview again and again, with keys to scroll.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use prunella_api::StatusReport;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use super::{
    overview,
    screen::{Key, Screen, read_keys},
};
use crate::{
    exit::{self, Exit},
    output::{self, BAD, QUIET},
    paths::Paths,
    query::Prunella,
};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Where no terminal tells its height.
const HEIGHT: usize = 24;

/// What the loop is woken by.
enum Event {
    /// How everything stands, or why that is not known.
    Status(Result<Box<StatusReport>, String>),
    Key(Key),
    Signal(i32),
}

/// Shows it until a key or a signal ends it.
pub(super) fn run(paths: &Paths) -> anyhow::Result<Exit> {
    let on_screen = io::stdout().is_terminal();
    let (events, coming) = mpsc::channel();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH])?;
    let signalled = events.clone();
    spawn("signals", move || {
        for signal in &mut signals {
            if signalled.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    let asking = paths.clone();
    let answered = events.clone();
    // Apart, so that a daemon that takes its time does not keep keys waiting.
    spawn("status", move || look(&asking, &answered))?;
    if !on_screen {
        return plainly(&coming);
    }
    let mut screen = Some(Screen::enter()?);
    if io::stdin().is_terminal() {
        spawn("keys", move || {
            read_keys(|key| events.send(Event::Key(key)).is_ok());
        })?;
    }
    let mut view = View::default();
    while let Ok(event) = coming.recv() {
        match event {
            Event::Status(status) => view.status = Some(status),
            Event::Key(Key::Quit) | Event::Signal(SIGINT | SIGTERM | SIGHUP) => break,
            Event::Key(key) => view.key(key),
            Event::Signal(SIGTSTP) => {
                drop(screen.take());
                emulate_default_handler(SIGTSTP)?;
                screen = Some(Screen::enter()?);
            }
            Event::Signal(_) => {}
        }
        let height = output::height().unwrap_or(HEIGHT);
        output::print(&view.draw(output::width(), height))?;
    }
    drop(screen);
    Ok(Exit::Ok)
}

/// One text after the other, where the output is no terminal.
fn plainly(coming: &mpsc::Receiver<Event>) -> anyhow::Result<Exit> {
    while let Ok(event) = coming.recv() {
        match event {
            Event::Status(status) => {
                if output::is_closed() {
                    break;
                }
                let text = text(&status, output::width(), output::table_width());
                output::print(&format!("{text}\n"))?;
            }
            Event::Signal(SIGINT | SIGTERM | SIGHUP) => break,
            Event::Signal(SIGTSTP) => emulate_default_handler(SIGTSTP)?,
            Event::Signal(_) | Event::Key(_) => {}
        }
    }
    Ok(Exit::Ok)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // Nobody waits for it: it ends with the program.
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
}

/// Asks how everything stands, again and again.
fn look(paths: &Paths, answered: &Sender<Event>) {
    let prunella = Prunella::new(paths);
    loop {
        // A daemon that is being restarted is no reason to stop looking.
        let status = prunella
            .ask(|queries| queries.status())
            .map(Box::new)
            .map_err(|error| exit::explain(&error));
        if answered.send(Event::Status(status)).is_err() {
            return;
        }
        // A sleep that nothing has to end: the program ends with it.
        let (_open, never) = mpsc::channel::<()>();
        if never.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn text(status: &Result<Box<StatusReport>, String>, width: usize, table_width: usize) -> String {
    match status {
        Ok(report) => overview::render(report, width, table_width),
        Err(error) => format!("{BAD}error:{BAD:#} {error}\n"),
    }
}

/// What is shown, and from which line on.
#[derive(Default)]
struct View {
    status: Option<Result<Box<StatusReport>, String>>,
    /// How many lines are above the screen.
    above: usize,
    /// How many lines there were, and how many of them had room, when it was drawn last.
    lines: usize,
    room: usize,
}

impl View {
    fn key(&mut self, key: Key) {
        // A line of the page before stays in sight.
        let page = self.room.saturating_sub(1).max(1);
        self.above = match key {
            Key::Up => self.above.saturating_sub(1),
            Key::Down => self.above.saturating_add(1),
            Key::PageUp => self.above.saturating_sub(page),
            Key::PageDown => self.above.saturating_add(page),
            Key::Top => 0,
            Key::Bottom => usize::MAX,
            Key::Quit => self.above,
        };
        self.stay_within();
    }

    fn stay_within(&mut self) {
        self.above = self.above.min(self.lines.saturating_sub(self.room));
    }

    /// Draws over what was there, line by line, which does not flicker. The last line says
    /// where in the text this is, and which keys there are.
    fn draw(&mut self, width: usize, height: usize) -> String {
        let text = match &self.status {
            Some(status) => text(status, width, width),
            None => String::new(),
        };
        self.lines = text.lines().count();
        self.room = height.saturating_sub(1).max(1);
        self.stay_within();
        let mut drawn = "\x1b[H".to_owned();
        for line in text.lines().skip(self.above).take(self.room) {
            drawn.push_str(line);
            drawn.push_str("\x1b[K\n");
        }
        for _ in self.lines..self.room {
            drawn.push_str("\x1b[K\n");
        }
        let below = self.lines.saturating_sub(self.above + self.room);
        let keys = if self.lines > self.room {
            "↑ ↓ PgUp PgDn scroll, q quits"
        } else {
            "q quits"
        };
        let place = match (self.above, below) {
            (0, 0) => String::new(),
            (0, below) => format!("{below} more lines below; "),
            (above, 0) => format!("{above} more lines above; "),
            (above, below) => format!("{above} more lines above, {below} below; "),
        };
        let last = output::fit(&format!("{place}{keys}"), width);
        let _ = write!(drawn, "{QUIET}{last}{QUIET:#}\x1b[K\x1b[J");
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands on the screen of a view with an error of so many lines.
    fn shown(view: &mut View, height: usize) -> Vec<String> {
        let drawn = view.draw(80, height);
        anstream::adapter::strip_str(&drawn)
            .to_string()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn view(lines: usize) -> View {
        let text: Vec<String> = (1..=lines).map(|line| line.to_string()).collect();
        View {
            status: Some(Err(text.join("\n"))),
            ..View::default()
        }
    }

    #[test]
    fn a_small_screen_shows_the_beginning_and_says_what_is_missing() {
        let mut view = view(5);
        assert_eq!(
            shown(&mut view, 4),
            [
                "error: 1",
                "2",
                "3",
                "2 more lines below; ↑ ↓ PgUp PgDn scroll, q quits"
            ]
        );
        assert_eq!(
            shown(&mut view, 6),
            ["error: 1", "2", "3", "4", "5", "q quits"]
        );
    }

    #[test]
    fn keys_scroll_and_stop_at_the_ends() {
        let mut view = view(10);
        shown(&mut view, 4);
        view.key(Key::Down);
        assert_eq!(
            shown(&mut view, 4).last().unwrap(),
            "1 more lines above, 6 below; ↑ ↓ PgUp PgDn scroll, q quits"
        );
        view.key(Key::PageDown);
        assert_eq!(shown(&mut view, 4)[0], "4");
        view.key(Key::Bottom);
        view.key(Key::Down);
        assert_eq!(shown(&mut view, 4)[..3], ["8", "9", "10"]);
        view.key(Key::Top);
        view.key(Key::Up);
        assert_eq!(shown(&mut view, 4)[0], "error: 1");
    }

    #[test]
    fn a_screen_that_grows_leaves_no_gap_at_the_end() {
        let mut view = view(10);
        shown(&mut view, 4);
        view.key(Key::Bottom);
        assert_eq!(shown(&mut view, 4)[0], "8");
        assert_eq!(shown(&mut view, 9)[0], "3");
    }
}
