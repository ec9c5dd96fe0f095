//! What programs say when they fail, in their own words.
//!
//! One row for each way of saying it. A line is compared with the needles
//! first, which is all that happens to most lines; only where one is found is
//! the expression compiled and asked, so that a daemon that diagnoses once a
//! week holds no compiled expressions meanwhile.

use prunella_core::diagnosis::Cause;
use regex::Regex;

/// How sure a line makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wording {
    /// Words that many programs use, in many places.
    Common,
    /// The words of one program for exactly this.
    Exact,
}

/// One way of saying one thing.
pub(super) struct Pattern {
    pub(super) cause: Cause,
    pub(super) wording: Wording,
    /// In lower case: what every such line holds.
    needle: &'static str,
    /// Its group `what` is what is concerned.
    expression: &'static str,
    /// The sentence for people; `{what}` is put in.
    sentence: &'static str,
}

/// A line that was recognised.
pub(super) struct Hit {
    pub(super) pattern: &'static Pattern,
    /// What is concerned, as the line has it.
    pub(super) what: Option<String>,
}

impl Hit {
    /// The sentence for people.
    pub(super) fn sentence(&self) -> String {
        let what = match &self.what {
            Some(what) => prunella_core::text::one_line(what, 120),
            None => unnamed(self.pattern.cause).to_owned(),
        };
        self.pattern.sentence.replace("{what}", &what)
    }
}

/// What stands for a thing that the line does not name.
fn unnamed(cause: Cause) -> &'static str {
    match cause {
        Cause::AddressInUse => "the address it listens on",
        Cause::MissingFile | Cause::PermissionDenied => "something it needs",
        Cause::MissingExecutable => "a program",
        Cause::LibraryNotFound => "a shared library",
        Cause::BadConfig => "its configuration",
        Cause::DependencyRefused => "a service it needs",
        Cause::DiskFull => "a file",
        _ => "it",
    }
}

/// What `line` says, if it says anything that is known.
pub(super) fn recognise(line: &str) -> Option<Hit> {
    let lower = line.to_ascii_lowercase();
    if means_nothing(line, &lower) {
        return None;
    }
    PATTERNS
        .iter()
        .filter(|pattern| lower.contains(pattern.needle))
        .filter(|pattern| !is_shrugged_off(pattern, &lower))
        .find_map(|pattern| {
            let found = Regex::new(pattern.expression).ok()?.captures(line)?;
            let what = found
                .name("what")
                .map(|what| what.as_str().trim().to_owned())
                .filter(|what| !what.is_empty());
            Some(Hit { pattern, what })
        })
}

/// Lines about a single request, and what is said for developers: nothing ends
/// because of them, and anybody can have them written.
fn means_nothing(line: &str, lower: &str) -> bool {
    // systemd, after every start of Type=forking that fails, whatever the reason.
    lower.starts_with("can't open pid file ")
        || lower.contains(": can't open pid file ")
        // nginx and Apache, about one request of one client.
        || lower.contains(", client: ")
        || lower.contains("[client ")
        // Access logs: the words in them are the client's own.
        || ["\"get ", "\"post ", "\"head ", "\"put ", "\"delete ", "\"options ", "\"patch "]
            .iter()
            .any(|method| lower.contains(method))
        || ["debug", "trace"].iter().any(|level| {
            line.split(|c: char| !c.is_ascii_alphanumeric())
                .take(12)
                .any(|word| word == *level || word == level.to_ascii_uppercase())
        })
}

/// Whether the program says itself that it does not matter, or that it means
/// something else that goes by the same words.
fn is_shrugged_off(pattern: &Pattern, lower: &str) -> bool {
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match pattern.cause {
        Cause::MissingFile | Cause::PermissionDenied => any(&[
            ", ignor",
            " ignoring",
            "(ignored",
            ", skipp",
            " skipping",
            "(skipp",
            "using default",
            "falling back",
            "not critical",
            "non-fatal",
            "(publickey",
        ]),
        // Limits of another kind are told with the same error number.
        Cause::DiskFull => any(&["inotify", "watch", "semaphore", "mutex"]),
        Cause::CertificateExpired => any(&["will expire", "expires in"]),
        _ => false,
    }
}

macro_rules! patterns {
    ($($cause:ident: $sentence:literal { $($wording:ident $needle:literal $expression:literal)+ })+) => {
        /// The table. Of one line the first row that fits counts, so what says
        /// more stands before what says less.
        static PATTERNS: &[Pattern] = &[$($(Pattern {
            cause: Cause::$cause,
            wording: Wording::$wording,
            needle: $needle,
            expression: $expression,
            sentence: $sentence,
        },)+)+];
    };
}

patterns! {
    // The kernel's and systemd's own words.
    OomKill: "the kernel killed {what} for its memory" {
        Exact "oom killer" r"has been killed by the OOM killer"
        Exact "oom-kill" r"Failed with result 'oom-kill'"
        Exact "systemd-oomd killed" r"systemd-oomd killed [0-9]+ process"
        Exact "out of memory: killed process" r"[Oo]ut of memory: Killed process [0-9]+ (?<what>\([^)]*\))"
        Common "perhaps out of memory" r"was sent SIGKILL! Perhaps out of memory"
    }
    Watchdog: "it gave no sign of life in time" {
        Exact "watchdog timeout" r"Watchdog timeout \(limit [^)]*\)!"
    }
    Timeout: "it took longer than systemd allows" {
        Exact "operation timed out. " r"(?:start|stop|reload|start-pre|start-post|stop-post)[a-z-]* operation timed out\. (?:Terminating|Stopping|Killing|Aborting)"
        Exact "timed out. killing" r"State '[a-z-]+' timed out\. Killing"
    }
    KillRequested: "somebody asked systemd to send it {what} (systemctl kill)" {
        Exact "on client request" r"Sent signal (?<what>SIG[A-Z0-9+-]+) to .* on client request"
    }
    StartLimit: "it was started too often" {
        Exact "start request repeated too quickly" r"Start request repeated too quickly"
    }

    // Even the loader fails then.
    TooManyFiles: "it has as many files open as it may" {
        Exact "file: error 24" r"cannot open shared object file: Error 24$"
    }

    // Before "No such file": loaders and shells say that too.
    LibraryNotFound: "a library was not found: {what}" {
        Exact "error while loading shared libraries" r"error while loading shared libraries: (?<what>[^: ]+): (?:cannot open shared object file|file too short|invalid ELF header|cannot map|wrong ELF)"
        Exact "cannot open shared object file" r"(?<what>[^ :'(]+\.so[.0-9]*): cannot open shared object file"
        Exact "not found (required by" r"version [`'](?<what>[^']+)' not found \(required by"
        Exact "symbol lookup error" r"symbol lookup error: .*undefined symbol: (?<what>[^ ,]+)"
        Exact "error loading shared library" r"Error loading shared library (?<what>[^ :]+):"
        Exact "in java.library.path" r"UnsatisfiedLinkError: no (?<what>[^ ]+) in java\.library\.path"
        Exact "dlopen() " "dlopen\\(\\) \"(?<what>[^\"]+)\" failed"
    }
    MissingExecutable: "{what} is not there, or cannot be executed" {
        Exact "failed at step exec spawning" r"Failed at step EXEC spawning (?<what>[^ ]+): "
        Exact "to locate executable" r"(?:Failed|Unable) to locate executable '?(?<what>[^ ':]+)'?: "
        Exact "failed to execute /" r"Failed to execute (?<what>/[^ :]+): "
        Exact "bad interpreter" r"(?<what>[^ :]+): bad interpreter: "
        Exact "env: " r"(?-u:\b)env: [‘'](?<what>[^’']+)[’']: (?:No such file or directory|Permission denied)"
        Exact "command not found" r"(?<what>[^ :]+): command not found"
        Exact ": not found" r"(?:^|[ /])(?:sh|dash|ash)(?:: line)?: [0-9]+: (?<what>[^ :]+): not found"
        Exact "executable file not found in" "exec: \"(?<what>[^\"]+)\": executable file not found in"
        Exact " enoent" r"spawn (?<what>[^ ]+) ENOENT"
        Common "exec format error" r"(?:(?<what>[^ :]+): )?(?:cannot execute binary file: )?Exec format error"
    }

    CertificateExpired: "a certificate has expired" {
        Exact "certificate_verify_failed" r"CERTIFICATE_VERIFY_FAILED\] certificate verify failed: certificate has expired"
        Exact "cert_has_expired" r"(?-u:\b)CERT_HAS_EXPIRED(?-u:\b)"
        Exact "x509: certificate has expired" r"x509: certificate has expired or is not yet valid"
        Exact "certificateexpiredexception" r"(?-u:\b)CertificateExpiredException(?-u:\b)"
        Exact "verify error" r"verify error:num=10:certificate has expired"
        Exact "alert certificate expired" r"(?:sslv3|tlsv1|tls|ssl)[^ ]* alert certificate expired"
        Exact "certificate: expired" r"invalid peer certificate: Expired"
        Common "certificate has expired" r"(?i-u:certificate has expired)"
        Common "expired certificate" r"(?i-u:(?:using|has|is|presented|loaded) an expired certificate)"
    }

    AddressInUse: "another process holds {what}" {
        Exact "failed (98: " r"bind\(\) to (?<what>[^ ]+) failed \(98: "
        Exact "(98)address already in use" r"\(98\)Address already in use: .*could not bind to address (?<what>[^ ]+)"
        Exact "could not bind " "could not bind (?:IPv[46]|Unix) (?:address|socket) \"(?<what>[^\"]+)\": Address already in use"
        Exact "listening socket" r"listening socket (?<what>[^ ]+): (?:bind: )?Address already in use"
        Exact "server running on port" r"another (?:mysqld|mariadbd) server running on (?<what>port: [0-9]+)"
        Exact "bind on t" r"Bind on (?<what>(?:TCP/IP port|unix socket)[^:]*): Address already in use"
        Exact "listen eaddrinuse" r"listen EADDRINUSE: address already in use (?<what>[^ ]+)"
        Exact "bind: address already in use" r"listen (?:tcp|udp|unix)[46]? (?<what>[^ ]+): bind: address already in use"
        Exact "attempting to bind on address" r"attempting to bind on address (?<what>\([^)]*\)):? "
        Exact "was already in use" r"Port (?<what>[0-9]+) was already in use"
        Exact "connection in use: " r"Connection in use: (?<what>\([^)]*\))"
        Exact "(address already in use) [" r"\(Address already in use\) \[(?<what>[^\]]+)\]"
        Exact "[errno 98]" r"\[Errno 98\]"
        Exact "java.net.bindexception" r"java\.net\.BindException: Address already in use"
        Common "eaddrinuse" r"(?-u:\b)EADDRINUSE(?-u:\b)"
        Common "address already in use" r"(?:^|[:(\[,\x22'] ?|\) )(?i-u:address already in use)(?: \(|[)\].,:;\x22']|$)"
    }

    DiskFull: "there is no space left for {what}" {
        Exact "failed (28: " "\\(\\) \"(?<what>[^\"]+)\" failed \\(28: "
        Exact "could not " "could not (?:write to|extend|create|open|fsync) (?:file|directory|lock file) \"(?<what>[^\"]+)\": No space left on device"
        Exact "disk is full writing" r"Disk is full writing '(?<what>[^']+)'"
        Exact "errno 28]" r"\[Errno 28\] No space left on device(?:: '(?<what>[^']+)')?"
        Exact "enospc: no space left" r"ENOSPC: no space left on device, [a-z]+(?: '(?<what>[^']+)')?"
        Exact "errno 122]" r"\[Errno 122\] Disk quota exceeded(?:: '(?<what>[^']+)')?"
        Common "no space left on device" r"(?:(?:^|[ '\x22])(?<what>/[^ '\x22:]*[^ '\x22:.])['\x22]?: )(?i-u:no space left on device)"
        Common "no space left on device" r"(?i-u:no space left on device)"
        Common "disk quota exceeded" r"(?:(?<what>/[^ '\x22:]+)['\x22]?: )?(?i-u:disk quota exceeded)"
    }

    NoMemory: "it could not get memory" {
        Exact "memory exhausted" r"(?:^|: |virtual )memory exhausted$"
        Exact "outofmemoryerror" r"java\.lang\.OutOfMemoryError"
        Exact "insufficient memory for the java runtime" r"insufficient memory for the Java Runtime Environment"
        Exact "javascript heap out of memory" r"JavaScript heap out of memory"
        Exact "memoryerror" r"^MemoryError(?-u:\b)"
        Exact "runtime: out of memory" r"fatal error: runtime: out of memory"
        Exact "out of memory allocating" r"Out Of Memory allocating [0-9]+ bytes"
        Exact "for the buffer pool" r"[Cc]annot allocate memory for the buffer pool"
        Exact "shared memory: cannot allocate memory" r"could not map anonymous shared memory: Cannot allocate memory"
        Exact "bad_alloc" r"(?-u:\b)std::bad_alloc(?-u:\b)"
        Exact "memory allocation of" r"memory allocation of [0-9]+ bytes failed"
        Exact "allowed memory size of" r"Allowed memory size of [0-9]+ bytes exhausted"
        Exact "out of memory" r"(?-u:\b)(?:ERROR|FATAL|PANIC):  out of memory"
        Common "cannot allocate memory" r"(?i-u:cannot allocate memory)"
        Common "enomem" r"(?-u:\b)ENOMEM(?-u:\b)"
    }

    TooManyFiles: "it has as many files open as it may" {
        Exact "failed (24: " r"failed \(24: (?:Too many open files|No file descriptors available)"
        Exact "errno 24]" r"\[Errno 24\] Too many open files"
        Exact "emfile" r"(?-u:\b)EMFILE(?-u:\b)"
        Common "too many open files" r"(?i-u:too many open files)"
    }

    Segfault: "it accessed memory that is not its own" {
        Exact "status=11/segv" r"code=(?:dumped|killed), status=11/SEGV"
        Exact "exit signal segmentation fault" r"exit signal Segmentation fault \(11\)"
        Exact "exited on signal 11" r"worker process [0-9]+ exited on signal 11"
        Exact "by signal 11" r"was terminated by signal 11: Segmentation fault"
        Exact "got signal 11" r"(?:mysqld|mariadbd) got signal 11"
        Exact "crashed by signal: 11" r"crashed by signal: 11"
        Exact "sigsegv (0x" r"SIGSEGV \(0x[0-9a-f]+\) at pc="
        Exact "[signal sigsegv" r"\[signal SIGSEGV: segmentation violation"
        Exact "fatal python error: segmentation fault" r"Fatal Python error: Segmentation fault"
        Common "segmentation fault" r"(?-u:\b)Segmentation fault(?-u:\b)"
    }

    DependencyRefused: "{what} could not be reached, or refused it" {
        Exact "connection to server at" "connection to server at (?<what>\"[^\"]+\"(?: \\([^)]*\\))?, port [0-9]+) failed: "
        Exact "connection to server on socket" "connection to server on socket \"(?<what>[^\"]+)\" failed: "
        Exact "econnrefused" r"connect ECONNREFUSED (?<what>[^ ]+)"
        Exact "etimedout" r"connect ETIMEDOUT (?<what>[^ ]+)"
        Exact "ehostunreach" r"connect EHOSTUNREACH (?<what>[^ ]+)"
        Exact "dial " r"dial (?:tcp|udp|unix)[46]? (?<what>[^ ]+): (?:connect: (?:connection refused|no route to host|network is unreachable|connection timed out|no such file or directory)|i/o timeout)"
        Exact "no such host" r"lookup (?<what>[^ ]+)(?: on [^ ]+)?: no such host"
        Exact "can't connect to " r"Can't connect to (?:local )?(?:MySQL |MariaDB )?server (?:on|through socket) '(?<what>[^']+)'"
        Exact "connecting to " r"Error (?:111|110|113|-2|-3) connecting to (?<what>[^ ]+[^ .])\. "
        Exact "refused. check that the hostname" r"Connection to (?<what>[^ ]+) refused\. Check that the hostname"
        Exact "getaddrinfo e" r"getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (?<what>[^ ]+)"
        Exact "unknownhostexception" r"java\.net\.UnknownHostException: (?<what>[^ :]+)"
        Exact "connectexception" r"java\.net\.ConnectException: Connection (?:refused|timed out)"
        Exact "connectionrefusederror" r"ConnectionRefusedError: \[Errno 111\]"
        Exact "host not found in upstream" "host not found in upstream \"(?<what>[^\"]+)\""
        Exact "(1045, " r"\(1045, .Access denied for user (?<what>'[^']*'@'[^']*')"
        Exact "dependency failed for" r"^Dependency failed for "
        Common "connection refused" r"(?:(?<what>[A-Za-z0-9_.\[\]:-]+:[0-9]{2,5})[^A-Za-z0-9].{0,60})?(?i-u:connection refused)"
        Common "name resolution" r"(?i-u:temporary failure in name resolution)"
        Common "name or service not known" r"(?i-u:name or service not known)"
        Common "no route to host" r"(?i-u:no route to host)"
        Common "network is unreachable" r"(?i-u:network is unreachable)"
    }

    PermissionDenied: "it was not allowed to use {what}" {
        Exact "failed (13: " r"bind\(\) to (?<what>[^ ]+) failed \(13: "
        Exact "failed (13: " "\\(\\) \"(?<what>[^\"]+)\" failed \\(13: "
        Exact "(13)permission denied" r"\(13\)Permission denied: AH[0-9]+: .*?(?:file|address|directory|open|access) '?(?<what>[^ ']*[/:][^ ']+[^ '.])"
        Exact "has wrong ownership" "data directory \"(?<what>[^\"]+)\" has wrong ownership"
        Exact "has invalid permissions" "data directory \"(?<what>[^\"]+)\" has invalid permissions"
        Exact "has group or world access" "private key file \"(?<what>[^\"]+)\" has group or world access"
        Exact "could not " "could not [a-z ]+ \"(?<what>[^\"]+)\": Permission denied"
        Exact "errcode: 13" r"'(?<what>[^']+)' \(Errcode: 13(?-u:\b)"
        Exact "errno: 13" r"'(?<what>[^']+)' \((?:OS )?errno: 13(?-u:\b)"
        Exact "permissionerror" r"PermissionError: \[Errno (?:13|1)\] [A-Za-z ]+: '(?<what>[^']+)'"
        Exact "permissionerror" r"PermissionError: \[Errno (?:13|1)\]"
        Exact "listen eacces" r"listen EACCES: permission denied (?<what>[^ ]+)"
        Exact "eacces: permission denied" r"EACCES: permission denied, [a-z]+ '(?<what>[^']+)'"
        Exact "eperm: operation not permitted" r"EPERM: operation not permitted, [a-z]+ '(?<what>[^']+)'"
        Exact "accessdeniedexception" r"java\.nio\.file\.AccessDeniedException: (?<what>[^ ]+)"
        Exact "(permission denied)" r"FileNotFoundException: (?<what>[^ ]+) \(Permission denied\)"
        Exact "bind: permission denied" r"listen (?:tcp|udp|unix)[46]? (?<what>[^ ]+): bind: permission denied"
        Exact ": permission denied" r"(?:open|stat|mkdir|create|chdir|unlink|read|write|remove|rename|fork/exec) (?<what>[^ :]+): permission denied"
        Exact "failed at step" r"Failed at step [A-Z_]+ spawning (?<what>[^ ]+): (?:Permission denied|Operation not permitted)"
        Exact "permission denied for" "permission denied for (?:table|relation|schema|database|sequence|function) \"?(?<what>[^ \"]+)"
        Common "permission denied" r"(?:^|[ '\x22=])(?<what>/[^ '\x22:]+)['\x22]?: (?i-u:permission denied)"
        Common "permission denied" r"(?:[:(,] ?\x22?|\[Errno 13\] )(?i-u:permission denied)(?: \(os error 13\)|[)\].,:;'\x22]|$)"
        Common "operation not permitted" r"(?:(?:^|[ '\x22=])(?<what>/[^ '\x22:]+)['\x22]?)?: (?i-u:operation not permitted)(?:[)\].,:;'\x22]|$)"
        Common "read-only file system" r"(?:(?:^|[ '\x22=])(?<what>/[^ '\x22:]+)['\x22]?: )?(?i-u:read-only file system)"
    }

    MissingFile: "it did not find {what}" {
        Exact "failed (2: " "\\(\\) \"(?<what>[^\"]+)\" failed \\(2: "
        Exact "cannot load certificate" "cannot load certificate(?: key)? \"(?<what>[^\"]+)\": .*[Nn]o such file"
        Exact "does not exist or is empty" r"file '(?<what>[^']+)' does not exist or is empty"
        Exact "(2)no such file or directory" r"\(2\)No such file or directory: AH[0-9]+: .*?(?:file|directory|open|access) '?(?<what>[^ ']*/[^ ']*[^ '.])"
        Exact "could not " "could not (?:open|access|stat|read|find|load|change directory to)[a-z ]* \"(?<what>[^\"]+)\": No such file or directory"
        Exact "errcode: 2" r"'(?<what>[^']+)' \(Errcode: 2(?-u:\b)"
        Exact "errno: 2" r"'(?<what>[^']+)' \((?:OS )?errno: 2(?-u:\b)"
        Exact "can't open config file" r"can't open config file '(?<what>[^']+)': No such file"
        Exact "can't chdir to" r"Can't chdir to '(?<what>[^']+)': No such file"
        Exact "can't open file" r"can't open file '(?<what>[^']+)': \[Errno 2\]"
        Exact "filenotfounderror" r"FileNotFoundError: \[Errno 2\] No such file or directory: '(?<what>[^']+)'"
        Exact "modulenotfounderror" r"ModuleNotFoundError: No module named '(?<what>[^']+)'"
        Exact "cannot find module" r"Error: Cannot find module '(?<what>[^']+)'"
        Exact "enoent: no such file" r"ENOENT: no such file or directory, [a-z]+ '(?<what>[^']+)'"
        Exact "nosuchfileexception" r"java\.nio\.file\.NoSuchFileException: (?<what>[^ ]+)"
        Exact "filenotfoundexception" r"FileNotFoundException: (?<what>[^ ]+) \(No such file or directory\)"
        Exact "unable to access jarfile" r"Unable to access jarfile (?<what>[^ ]+)"
        Exact "could not find or load main class" r"Could not find or load main class (?<what>[^ ]+)"
        Exact ": no such file or directory" r"(?:open|stat|lstat|chdir|read|readlink) (?<what>[^ :]+): no such file or directory"
        Exact "failed to load environment files" r"Failed to load (?<what>environment files): No such file or directory"
        Exact "failed to set up mount namespacing" r"Failed to set up mount namespacing: (?<what>/[^ :]+): No such file"
        Exact "failed at step" r"Failed at step (?:CHDIR|CHROOT|NAMESPACE|STDIN|STDOUT|STDERR|CREDENTIALS) spawning [^ ]+: No such file or directory"
        Exact "changing to the requested working directory failed" r"Changing to the requested working directory failed: No such file or directory"
        Common "no such file or directory" r"(?:^|[ '\x22=])(?<what>/[^ '\x22:]+)['\x22]?: (?i-u:no such file or directory)"
        Common "no such file or directory" r"(?:[:(,] ?\x22?|\[Errno 2\] )(?i-u:no such file or directory)(?: \(os error 2\)|[)\].,:;'\x22]|$)"
    }

    BadConfig: "there is a mistake in {what}" {
        Exact "[emerg]" r"\[emerg\] .* in (?<what>[^ ]+:[0-9]+)$"
        Exact "syntax error on line" r"Syntax error on (?<what>line [0-9]+ of [^:]+):"
        Exact "test failed" r"configuration file (?<what>[^ ]+) test failed"
        Exact "syntax error in file" "syntax error in file (?<what>\"[^\"]+\" line [0-9]+)"
        Exact "unrecognized configuration parameter" "unrecognized configuration parameter (?<what>\"[^\"]+\")"
        Exact "contains errors" "configuration file \"(?<what>[^\"]+)\" contains errors"
        Exact "invalid value for parameter" "invalid value for parameter (?<what>\"[^\"]+\")"
        Exact "outside the valid range for parameter" "is outside the valid range for parameter (?<what>\"[^\"]+\")"
        Exact "requires a" "parameter (?<what>\"[^\"]+\") requires a (?:Boolean|numeric|integer|temporal) value"
        Exact "port_running: invalid port" r"port_running: invalid (?<what>port [^ ]+) at "
        Exact "error: invalid line" r"^Error: [Ii]nvalid (?<what>line [0-9]+ in [^ ]+)"
        Exact "unknown variable" r"unknown variable (?<what>'[^']+')"
        Exact "unknown option" r"(?:mysqld|mariadbd): unknown option (?<what>'[^']+')"
        Exact "found option without preceding group" r"Found option without preceding group in config file:? (?<what>[^ ]+)"
        Exact "fatal config file error" r"FATAL CONFIG FILE ERROR"
        Exact "bad directive or wrong number of arguments" r"Bad directive or wrong number of arguments"
        Exact "found in configuration file" r"(?:Fatal errors|Error\(s\)) found in configuration file(?: : (?<what>[^ ]+))?"
        Exact "parsing [" r"parsing \[(?<what>[^\]]+:[0-9]+)\] ?:"
        Exact "bad configuration option" r"(?<what>[^ ]+:? line [0-9]+): Bad configuration option"
        Exact "could not resolve placeholder" r"Could not resolve placeholder (?<what>'[^']+')"
        Exact "keyerror: '" r"^KeyError: (?<what>'[A-Z][A-Z0-9_]+')$"
        Exact "jsondecodeerror" r"(?-u:\b)JSONDecodeError: (?<what>.{1,100})"
        Exact "tomldecodeerror" r"(?-u:\b)TOMLDecodeError: (?<what>.{1,100})"
        Exact "error: " r"(?-u:\b)(?:yaml\.(?:scanner|parser)\.)(?:Scanner|Parser)Error: (?<what>.{1,100})"
        Exact "yaml: line" r"yaml: (?<what>line [0-9]+): "
        Exact "toml: line" r"toml: (?<what>line [0-9]+)"
        Exact "is not valid json" r"SyntaxError: .*(?<what>is not valid JSON)"
        Exact "has a bad unit file setting" r"has a bad unit file setting"
        Exact "unit configuration has fatal error" r"Unit configuration has fatal error"
        Exact "failed to determine user credentials" r"Failed to determine (?<what>user credentials)"
        Exact "failed to determine group credentials" r"Failed to determine (?<what>group credentials)"
        Common ": unknown " r"(?<what>/[^ :]+:[0-9]+): unknown (?:option|directive|keyword|key)"
        Common "syntax error" r"(?<what>/[^ :]+:[0-9]+):? .*(?i-u:syntax error)"
        Common "configuration error" r"(?:^|[^A-Za-z0-9] )(?i-u:configuration error)(?:[:.!]|$)"
        Common "invalid configuration" r"(?i-u:invalid configuration)(?:[:.!]| file| in | for |$)"
        Common "pars" r"(?i-u:(?:failed to|cannot|could not|can't|unable to|error) pars(?:e|ing) (?:the )?config(?:uration)?(?: file)?) ?:? ?(?<what>/[^ :]+)?"
        Common "load config" r"(?i-u:(?:failed to|cannot|could not|can't|unable to|error) load(?:ing)? (?:the )?config(?:uration)?(?: file)?) ?:? ?(?<what>/[^ :]+)?"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        for pattern in PATTERNS {
            let compiled = Regex::new(pattern.expression);
            assert!(compiled.is_ok(), "{}: {compiled:?}", pattern.expression);
            assert_eq!(
                pattern.needle,
                pattern.needle.to_ascii_lowercase(),
                "needles are compared in lower case"
            );
        }
    }
}
