//! A web server that is slow or wrong for as long as a file says so.

use prunella_e2e::Builder;

/// While this is there, each answer takes 0.6 s; of one server, while this with `-` and its
/// port is there.
pub(crate) const SLOW: &str = "/run/test-slow";

/// While this is there, one answer of so many takes 0.6 s: the number is in it.
pub(crate) const BY_TURNS: &str = "/run/test-by-turns";

/// While this is there, each answer is 503.
pub(crate) const BROKEN: &str = "/run/test-broken";

/// While this is there, every third answer is 503.
pub(crate) const ERRORS: &str = "/run/test-errors";

const PROGRAM: &str = "/opt/test/server.py";

const SERVER: &str = r#"
import http.server, itertools, os, sys, time

asked, turns = itertools.count(), itertools.count()

def is_its_turn():
    try:
        return next(turns) % int(open("/run/test-by-turns").read() or 1) == 0
    except FileNotFoundError:
        return False

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if any(os.path.exists("/run/test-slow" + of) for of in ("", "-" + sys.argv[1])):
            time.sleep(0.6)
        elif is_its_turn():
            time.sleep(0.6)
        bad = os.path.exists("/run/test-broken")
        if os.path.exists("/run/test-errors"):
            bad = bad or next(asked) % 3 == 0
        self.send_response(503 if bad else 200)
        self.end_headers()

    def log_message(self, *_):
        pass

port = int(sys.argv[1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"#;

/// Puts the server's program into a machine.
pub(crate) fn with_server(machine: Builder) -> Builder {
    machine.file(PROGRAM, SERVER, 0o755)
}

/// The unit of a server on this port; `more` are further lines of `[Service]`, and sections
/// after it.
pub(crate) fn unit(port: u16, more: &str) -> String {
    format!("[Service]\nExecStart=/usr/bin/python3 {PROGRAM} {port}\n{more}")
}
