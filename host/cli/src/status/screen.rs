//! The terminal while `--watch` has it: its alternate screen, and keys without Enter.
//!
//! Whatever ends the watching gives the terminal back as it was: the end of [`Screen`], a
//! signal (which ends it), and a panic (by a hook, before its message).

use std::{
    io::{self, Read as _, Write as _},
    panic,
    sync::{Mutex, Once, PoisonError},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// How the terminal was, while it is otherwise.
static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

struct Before {
    /// Absent when standard input is no terminal.
    input: Option<Termios>,
}

/// The terminal's alternate screen, left again when this is dropped.
pub(super) struct Screen;

impl Screen {
    /// Takes the terminal over.
    pub(super) fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let earlier = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                give_back();
                earlier(info);
            }));
        });
        let input = tcgetattr(io::stdin()).ok();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Before {
            input: input.clone(),
        });
        let screen = Self;
        if let Some(mut keys) = input {
            // Keys as they are pressed, and not shown; Ctrl-C and Ctrl-Z stay signals.
            keys.local_modes
                .remove(LocalModes::ICANON | LocalModes::ECHO);
            tcsetattr(io::stdin(), OptionalActions::Now, &keys)?;
        }
        // Past anstream: these must reach the terminal even without colours. The alternate
        // screen leaves what stood in the terminal as it was.
        raw("\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Once for each time that it was taken.
fn give_back() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(before) = before else { return };
    // Nothing can be done about a terminal that is gone.
    let _ = raw("\x1b[?25h\x1b[?1049l");
    if let Some(input) = before.input {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &input);
    }
}

fn raw(codes: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(codes.as_bytes())?;
    out.flush()
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
}

/// Reads keys from standard input until it ends or `each` answers no.
pub(super) fn read_keys(mut each: impl FnMut(Key) -> bool) {
    let mut bytes = [0; 64];
    // What has come of a key whose end is still on its way.
    let mut begun = Vec::new();
    loop {
        let read = match io::stdin().lock().read(&mut bytes) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        begun.extend_from_slice(bytes.get(..read).unwrap_or_default());
        let (pressed, rest) = keys(&begun);
        begun = rest.to_vec();
        for key in pressed {
            if !each(key) {
                return;
            }
        }
    }
}

/// What was pressed, and the bytes at the end that may be the beginning of a key: over a slow
/// line an arrow comes in pieces.
fn keys(mut bytes: &[u8]) -> (Vec<Key>, &[u8]) {
    const KEYS: [(&[u8], Key); 22] = [
        (b"\x1b[A", Key::Up),
        (b"\x1bOA", Key::Up),
        (b"\x1b[B", Key::Down),
        (b"\x1bOB", Key::Down),
        (b"\x1b[5~", Key::PageUp),
        (b"\x1b[6~", Key::PageDown),
        (b"\x1b[H", Key::Top),
        (b"\x1bOH", Key::Top),
        (b"\x1b[1~", Key::Top),
        (b"\x1b[F", Key::Bottom),
        (b"\x1bOF", Key::Bottom),
        (b"\x1b[4~", Key::Bottom),
        (b"k", Key::Up),
        (b"j", Key::Down),
        (b"b", Key::PageUp),
        (b"\x02", Key::PageUp),
        (b" ", Key::PageDown),
        (b"\x06", Key::PageDown),
        (b"g", Key::Top),
        (b"G", Key::Bottom),
        (b"q", Key::Quit),
        (b"Q", Key::Quit),
    ];
    let mut pressed = Vec::new();
    while let Some((_, after)) = bytes.split_first() {
        let known = KEYS
            .iter()
            .find_map(|(code, key)| Some((key, bytes.strip_prefix(*code)?)));
        match known {
            Some((key, rest)) => {
                pressed.push(*key);
                bytes = rest;
            }
            None if is_begun(bytes) => break,
            None if bytes.starts_with(b"\x1b[") => bytes = after_sequence(bytes),
            None => bytes = after,
        }
    }
    (pressed, bytes)
}

/// Whether these bytes can be the beginning of an escape sequence and are not the whole of one.
fn is_begun(bytes: &[u8]) -> bool {
    match bytes.strip_prefix(b"\x1b") {
        Some(b"" | b"O") => true,
        Some(rest) => rest.strip_prefix(b"[").is_some_and(|parameters| {
            parameters.len() < 16 && parameters.iter().all(|byte| (0x20..0x40).contains(byte))
        }),
        None => false,
    }
}

/// What follows an escape sequence that means nothing here: it ends with a letter or `~`.
fn after_sequence(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .skip(2)
        .position(|byte| (0x40..=0x7e).contains(byte));
    end.and_then(|end| bytes.get(end + 3..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::letters(b"jkq", &[Key::Down, Key::Up, Key::Quit])]
    #[case::arrows(b"\x1b[A\x1b[B\x1bOB", &[Key::Up, Key::Down, Key::Down])]
    #[case::pages(b"\x1b[5~\x1b[6~ b", &[Key::PageUp, Key::PageDown, Key::PageDown, Key::PageUp])]
    #[case::ends(b"gG\x1b[H\x1b[F", &[Key::Top, Key::Bottom, Key::Top, Key::Bottom])]
    #[case::a_modified_arrow_is_no_letter(b"\x1b[1;5Aq", &[Key::Quit])]
    #[case::a_function_key(b"\x1b[15~j", &[Key::Down])]
    #[case::nonsense(b"xyz", &[])]
    #[case::a_lone_escape_before_a_letter(b"\x1bq", &[Key::Quit])]
    fn keys_are_told_apart(#[case] bytes: &[u8], #[case] expected: &[Key]) {
        assert_eq!(keys(bytes), (expected.to_vec(), &b""[..]));
    }

    #[rstest]
    #[case(b"j\x1b")]
    #[case(b"j\x1b[")]
    #[case(b"j\x1b[6")]
    #[case(b"j\x1bO")]
    fn the_beginning_of_a_key_waits_for_its_end(#[case] bytes: &[u8]) {
        let (pressed, rest) = keys(bytes);
        assert_eq!(pressed, [Key::Down]);
        assert_eq!(rest, &bytes[1..]);
    }
}
