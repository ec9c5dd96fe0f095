//! Lines that real programs log, and what they mean; and lines that look like
//! them and mean nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use crate::common::{evidence, run};
use prunella_analysis::rules::diagnose;
use prunella_core::diagnosis::{Cause, Source};
use rustix::time::{ClockId, clock_gettime};

use Cause::{
    AddressInUse, BadConfig, CertificateExpired, DependencyRefused, DiskFull, LibraryNotFound,
    MissingExecutable, MissingFile, NoMemory, OomKill, PermissionDenied, Segfault, StartLimit,
    Timeout, TooManyFiles, Watchdog,
};

/// Program, its line, the cause, and what the sentence has to name.
#[rustfmt::skip]
const MEAN: &[(&str, &str, Cause, &str)] = &[
    // systemd, of the unit
    ("systemd", "shop.service: A process of this unit has been killed by the OOM killer.", OomKill, ""),
    ("systemd", "shop.service: Failed with result 'oom-kill'.", OomKill, ""),
    ("systemd", "shop.service: systemd-oomd killed 3 process(es) in this unit.", OomKill, ""),
    ("systemd", "shop.service: Watchdog timeout (limit 3s)!", Watchdog, ""),
    ("systemd", "shop.service: start operation timed out. Terminating.", Timeout, ""),
    ("systemd", "shop.service: State 'stop-sigterm' timed out. Killing.", Timeout, ""),
    ("systemd", "shop.service: Start request repeated too quickly.", StartLimit, ""),
    ("systemd", "shop.service: Main process exited, code=dumped, status=11/SEGV", Segfault, ""),
    ("systemd", "shop.service: Failed at step EXEC spawning /opt/shop/bin/shop: No such file or directory", MissingExecutable, "/opt/shop/bin/shop"),
    ("systemd", "shop.service: Failed at step EXEC spawning /opt/shop/bin/shop: Permission denied", MissingExecutable, "/opt/shop/bin/shop"),
    ("systemd", "shop.service: Failed to locate executable /opt/shop/bin/shop: No such file or directory", MissingExecutable, "/opt/shop/bin/shop"),
    ("systemd 255", "shop.service: Unable to locate executable '/opt/shop': No such file or directory", MissingExecutable, "/opt/shop"),
    ("systemd", "shop.service: Failed to execute /opt/shop/run.sh: Exec format error", MissingExecutable, "/opt/shop/run.sh"),
    ("systemd", "shop.service: Failed to load environment files: No such file or directory", MissingFile, ""),
    ("systemd", "shop.service: Failed to set up mount namespacing: /srv/shop: No such file or directory", MissingFile, "/srv/shop"),
    ("systemd", "shop.service: Changing to the requested working directory failed: No such file or directory", MissingFile, ""),
    ("systemd", "shop.service: Failed at step CHDIR spawning /usr/bin/shop: No such file or directory", MissingFile, ""),
    ("systemd", "shop.service: Failed at step CHDIR spawning /usr/bin/shop: Permission denied", PermissionDenied, "/usr/bin/shop"),
    ("systemd", "shop.service: Failed to determine user credentials: No such process", BadConfig, "user credentials"),
    ("systemd", "shop.service: Unit configuration has fatal error, unit will not be started.", BadConfig, ""),
    ("systemd", "Dependency failed for shop.service - Web shop.", DependencyRefused, ""),
    // nginx
    ("nginx", "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)", AddressInUse, "0.0.0.0:80"),
    ("nginx", "2026/11/20 10:00:00 [emerg] 812#812: bind() to [::]:443 failed (98: Unknown error)", AddressInUse, "[::]:443"),
    ("nginx", "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", PermissionDenied, "0.0.0.0:80"),
    ("nginx", "nginx: [emerg] open() \"/var/log/nginx/error.log\" failed (13: Permission denied)", PermissionDenied, "/var/log/nginx/error.log"),
    ("nginx", "nginx: [emerg] open() \"/etc/nginx/snippets/ssl.conf\" failed (2: No such file or directory) in /etc/nginx/sites-enabled/shop:7", MissingFile, "/etc/nginx/snippets/ssl.conf"),
    ("nginx", "nginx: [emerg] cannot load certificate \"/etc/ssl/shop.pem\": BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory:calling fopen(/etc/ssl/shop.pem, r) error:10000080:BIO routines::no such file)", MissingFile, "/etc/ssl/shop.pem"),
    ("nginx", "nginx: [emerg] unknown directive \"lisen\" in /etc/nginx/sites-enabled/shop:3", BadConfig, "/etc/nginx/sites-enabled/shop:3"),
    ("nginx", "nginx: configuration file /etc/nginx/nginx.conf test failed", BadConfig, "/etc/nginx/nginx.conf"),
    ("nginx", "nginx: [emerg] host not found in upstream \"app.internal\" in /etc/nginx/conf.d/app.conf:4", DependencyRefused, "app.internal"),
    ("nginx", "nginx: [emerg] dlopen() \"/usr/lib/nginx/modules/ngx_http_geoip_module.so\" failed (/usr/lib/nginx/modules/ngx_http_geoip_module.so: cannot open shared object file: No such file or directory) in /etc/nginx/nginx.conf:1", LibraryNotFound, "ngx_http_geoip_module.so"),
    ("nginx", "2026/11/20 10:00:00 [alert] 7#7: worker process 9 exited on signal 11 (core dumped)", Segfault, ""),
    ("nginx", "2026/11/20 10:00:00 [alert] 7#7: socket() failed (24: Too many open files) while connecting", TooManyFiles, ""),
    ("nginx", "2026/11/20 10:00:00 [emerg] 7#7: write() \"/var/log/nginx/access.log\" failed (28: No space left on device)", DiskFull, "/var/log/nginx/access.log"),
    // Apache
    ("apache", "(98)Address already in use: AH00072: make_sock: could not bind to address [::]:80", AddressInUse, "[::]:80"),
    ("apache", "(13)Permission denied: AH00072: make_sock: could not bind to address 0.0.0.0:80", PermissionDenied, "0.0.0.0:80"),
    ("apache", "(13)Permission denied: AH00091: apache2: could not open error log file /var/log/apache2/error.log.", PermissionDenied, "/var/log/apache2/error.log"),
    ("apache", "(2)No such file or directory: AH02291: Cannot access directory '/var/log/shop/' for error log of vhost defined at /etc/apache2/sites-enabled/shop.conf:1", MissingFile, "/var/log/shop"),
    ("apache", "AH00526: Syntax error on line 12 of /etc/apache2/sites-enabled/shop.conf:", BadConfig, "line 12 of /etc/apache2/sites-enabled/shop.conf"),
    ("apache", "SSLCertificateFile: file '/etc/ssl/certs/shop.pem' does not exist or is empty", MissingFile, "/etc/ssl/certs/shop.pem"),
    ("apache", "[core:notice] [pid 9] AH00052: child pid 4711 exit signal Segmentation fault (11)", Segfault, ""),
    ("apache", "apache2: Syntax error on line 5 of /etc/apache2/apache2.conf: Cannot load modules/mod_php.so into server: /usr/lib/apache2/modules/mod_php.so: cannot open shared object file: No such file or directory", LibraryNotFound, "mod_php.so"),
    // PostgreSQL
    ("postgres", "2026-11-20 10:00:00.000 UTC [55] LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use", AddressInUse, "127.0.0.1"),
    ("postgres", "2026-11-20 10:00:00.000 UTC [55] FATAL:  could not open file \"global/pg_control\": Permission denied", PermissionDenied, "global/pg_control"),
    ("postgres", "2026-11-20 10:00:00.000 UTC [55] FATAL:  data directory \"/var/lib/postgresql/15/main\" has wrong ownership", PermissionDenied, "/var/lib/postgresql/15/main"),
    ("postgres", "FATAL:  data directory \"/srv/pg\" has invalid permissions", PermissionDenied, "/srv/pg"),
    ("postgres", "FATAL:  private key file \"/etc/ssl/private/pg.key\" has group or world access", PermissionDenied, "/etc/ssl/private/pg.key"),
    ("postgres", "FATAL:  could not create lock file \"/var/run/postgresql/.s.PGSQL.5432.lock\": No space left on device", DiskFull, "/var/run/postgresql/.s.PGSQL.5432.lock"),
    ("postgres", "ERROR:  could not extend file \"base/16384/24576\": No space left on device", DiskFull, "base/16384/24576"),
    ("postgres", "FATAL:  could not open file \"/etc/postgresql/15/main/server.crt\": No such file or directory", MissingFile, "server.crt"),
    ("postgres", "LOG:  syntax error in file \"/etc/postgresql/15/main/postgresql.conf\" line 64, near token \"=\"", BadConfig, "postgresql.conf\" line 64"),
    ("postgres", "LOG:  unrecognized configuration parameter \"shared_bufers\" in file \"/etc/postgresql/15/main/postgresql.conf\" line 127", BadConfig, "shared_bufers"),
    ("postgres", "FATAL:  configuration file \"/etc/postgresql/15/main/postgresql.conf\" contains errors", BadConfig, "postgresql.conf"),
    ("postgres", "LOG:  invalid value for parameter \"max_connections\": \"many\"", BadConfig, "max_connections"),
    ("postgres", "LOG:  5 is outside the valid range for parameter \"shared_buffers\" (16 .. 1073741823)", BadConfig, "shared_buffers"),
    ("postgres", "LOG:  parameter \"fsync\" requires a Boolean value", BadConfig, "fsync"),
    ("pg_ctlcluster", "port_running: invalid port zork at /usr/share/perl5/PgCommon.pm line 645.", BadConfig, "port zork"),
    ("pg_ctlcluster", "Error: Invalid line 65 in /etc/postgresql/15/main/postgresql.conf: »port«", BadConfig, "line 65 in /etc/postgresql/15/main/postgresql.conf"),
    ("postgres", "FATAL:  could not map anonymous shared memory: Cannot allocate memory", NoMemory, ""),
    ("postgres", "ERROR:  out of memory", NoMemory, ""),
    ("postgres", "LOG:  server process (PID 4711) was terminated by signal 11: Segmentation fault", Segfault, ""),
    ("libpq", "psycopg2.OperationalError: connection to server at \"localhost\" (127.0.0.1), port 5432 failed: Connection refused", DependencyRefused, "port 5432"),
    ("libpq", "connection to server on socket \"/var/run/postgresql/.s.PGSQL.5432\" failed: No such file or directory", DependencyRefused, ".s.PGSQL.5432"),
    ("libpq", "connection to server at \"db\" (10.0.0.2), port 5432 failed: FATAL:  password authentication failed for user \"shop\"", DependencyRefused, "port 5432"),
    ("libpq", "ERROR: permission denied for table orders", PermissionDenied, "orders"),
    // MySQL, MariaDB
    ("mariadb", "2026-11-20 10:00:00 0 [ERROR] Can't start server: Bind on TCP/IP port: Address already in use", AddressInUse, "TCP/IP port"),
    ("mysql", "[ERROR] [MY-010257] [Server] Do you already have another mysqld server running on port: 3306 ?", AddressInUse, "port: 3306"),
    ("mariadb", "2026-11-20 10:00:00 0 [ERROR] mariadbd: Can't create/write to file '/var/lib/mysql/aria_log_control' (Errcode: 13 \"Permission denied\")", PermissionDenied, "/var/lib/mysql/aria_log_control"),
    ("mariadb", "2026-11-20 10:00:00 0 [ERROR] mariadbd: Can't change dir to '/var/lib/mysql/' (Errcode: 2 \"No such file or directory\")", MissingFile, "/var/lib/mysql/"),
    ("mysql", "[ERROR] [MY-000067] [Server] unknown variable 'innodb_bufer_pool_size=1G'.", BadConfig, "innodb_bufer_pool_size"),
    ("mariadb", "2026-11-20 10:00:00 0 [ERROR] mariadbd: Disk is full writing './binlog.000007' (Errcode: 28 \"No space left on device\"). Waiting for someone to free space...", DiskFull, "./binlog.000007"),
    ("mysql", "[ERROR] [MY-012681] [InnoDB] Cannot allocate memory for the buffer pool", NoMemory, ""),
    ("mariadb", "261120 10:00:00 [ERROR] mysqld got signal 11 ;", Segfault, ""),
    ("mysql client", "django.db.utils.OperationalError: (2002, \"Can't connect to server on 'db.internal' (115)\")", DependencyRefused, "db.internal"),
    ("mysql client", "ERROR 2002 (HY000): Can't connect to local MySQL server through socket '/run/mysqld/mysqld.sock' (2)", DependencyRefused, "/run/mysqld/mysqld.sock"),
    ("mysql client", "pymysql.err.OperationalError: (1045, \"Access denied for user 'shop'@'localhost' (using password: YES)\")", DependencyRefused, "'shop'@'localhost'"),
    // Redis
    ("redis", "# Warning: Could not create server TCP listening socket *:6379: bind: Address already in use", AddressInUse, "*:6379"),
    ("redis", "Fatal error, can't open config file '/etc/redis/redis.conf': No such file or directory", MissingFile, "/etc/redis/redis.conf"),
    ("redis", "# Can't chdir to '/var/lib/redis': No such file or directory", MissingFile, "/var/lib/redis"),
    ("redis", "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***", BadConfig, ""),
    ("redis", "Bad directive or wrong number of arguments", BadConfig, ""),
    ("redis", "Can't open the log file: Permission denied", PermissionDenied, ""),
    ("redis", "# Out Of Memory allocating 1048576 bytes!", NoMemory, ""),
    ("redis", "Redis 7.0.15 crashed by signal: 11, si_code: 1", Segfault, ""),
    ("redis", "Failed opening the temp RDB file temp-812.rdb (in server root dir /var/lib/redis) for saving: No space left on device", DiskFull, ""),
    ("redis-py", "redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connection refused.", DependencyRefused, "localhost:6379"),
    // Python
    ("python", "OSError: [Errno 98] Address already in use", AddressInUse, ""),
    ("uvicorn", "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use", AddressInUse, "('127.0.0.1', 8000)"),
    ("gunicorn", "[2026-11-20 10:00:00 +0000] [9] [ERROR] Connection in use: ('0.0.0.0', 8000)", AddressInUse, "('0.0.0.0', 8000)"),
    ("python", "PermissionError: [Errno 13] Permission denied: '/var/lib/shop/db.sqlite'", PermissionDenied, "/var/lib/shop/db.sqlite"),
    ("python", "PermissionError: [Errno 1] Operation not permitted: '/run/shop'", PermissionDenied, "/run/shop"),
    ("python", "FileNotFoundError: [Errno 2] No such file or directory: '/etc/shop/settings.toml'", MissingFile, "/etc/shop/settings.toml"),
    ("python", "/usr/bin/python3: can't open file '/opt/shop/main.py': [Errno 2] No such file or directory", MissingFile, "/opt/shop/main.py"),
    ("python", "ModuleNotFoundError: No module named 'flask'", MissingFile, "flask"),
    ("python", "OSError: [Errno 28] No space left on device: '/var/lib/shop/cache'", DiskFull, "/var/lib/shop/cache"),
    ("python", "OSError: [Errno 122] Disk quota exceeded: '/home/shop/upload'", DiskFull, "/home/shop/upload"),
    ("python", "OSError: [Errno 24] Too many open files: '/etc/hosts'", TooManyFiles, ""),
    ("python", "MemoryError", NoMemory, ""),
    ("python", "Fatal Python error: Segmentation fault", Segfault, ""),
    ("python", "ConnectionRefusedError: [Errno 111] Connection refused", DependencyRefused, ""),
    ("python", "socket.gaierror: [Errno -2] Name or service not known", DependencyRefused, ""),
    ("python", "socket.gaierror: [Errno -3] Temporary failure in name resolution", DependencyRefused, ""),
    ("python", "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)", CertificateExpired, ""),
    ("python", "KeyError: 'DATABASE_URL'", BadConfig, "DATABASE_URL"),
    ("python", "json.decoder.JSONDecodeError: Expecting ',' delimiter: line 4 column 3 (char 61)", BadConfig, "line 4"),
    ("python", "yaml.scanner.ScannerError: mapping values are not allowed here", BadConfig, "mapping values"),
    ("python", "tomllib.TOMLDecodeError: Expected '=' after a key in a key/value pair (at line 2, column 6)", BadConfig, "line 2"),
    ("python", "ImportError: libGL.so.1: cannot open shared object file: No such file or directory", LibraryNotFound, "libGL.so.1"),
    ("gunicorn", "[2026-11-20 10:00:00 +0000] [9] [ERROR] Worker (pid:4711) was sent SIGKILL! Perhaps out of memory?", OomKill, ""),
    // Node
    ("node", "Error: listen EADDRINUSE: address already in use :::3000", AddressInUse, ":::3000"),
    ("node", "Error: listen EACCES: permission denied 0.0.0.0:80", PermissionDenied, "0.0.0.0:80"),
    ("node", "Error: EACCES: permission denied, open '/var/log/shop.log'", PermissionDenied, "/var/log/shop.log"),
    ("node", "Error: ENOENT: no such file or directory, open '/etc/shop/config.json'", MissingFile, "/etc/shop/config.json"),
    ("node", "Error: Cannot find module 'express'", MissingFile, "express"),
    ("node", "Error: connect ECONNREFUSED 127.0.0.1:5432", DependencyRefused, "127.0.0.1:5432"),
    ("node", "Error: connect ETIMEDOUT 10.0.0.2:5432", DependencyRefused, "10.0.0.2:5432"),
    ("node", "Error: getaddrinfo ENOTFOUND db.internal", DependencyRefused, "db.internal"),
    ("node", "Error: ENOSPC: no space left on device, write", DiskFull, ""),
    ("node", "Error: EMFILE: too many open files, open '/srv/x'", TooManyFiles, ""),
    ("node", "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", NoMemory, ""),
    ("node", "Error: spawn /usr/bin/convert ENOENT", MissingExecutable, "/usr/bin/convert"),
    ("node", "  code: 'CERT_HAS_EXPIRED'", CertificateExpired, ""),
    ("node", "SyntaxError: Unexpected token } in JSON at position 61 is not valid JSON", BadConfig, "not valid JSON"),
    // Java
    ("java", "Caused by: java.net.BindException: Address already in use (Bind failed)", AddressInUse, ""),
    ("spring", "Web server failed to start. Port 8080 was already in use.", AddressInUse, "8080"),
    ("java", "java.nio.file.AccessDeniedException: /var/lib/shop/index", PermissionDenied, "/var/lib/shop/index"),
    ("java", "java.io.FileNotFoundException: /etc/shop/app.properties (Permission denied)", PermissionDenied, "/etc/shop/app.properties"),
    ("java", "java.io.FileNotFoundException: /etc/shop/app.properties (No such file or directory)", MissingFile, "/etc/shop/app.properties"),
    ("java", "java.nio.file.NoSuchFileException: /srv/shop/data", MissingFile, "/srv/shop/data"),
    ("java", "Error: Unable to access jarfile /opt/shop/shop.jar", MissingFile, "/opt/shop/shop.jar"),
    ("java", "Error: Could not find or load main class com.shop.Main", MissingFile, "com.shop.Main"),
    ("java", "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space", NoMemory, ""),
    ("java", "# There is insufficient memory for the Java Runtime Environment to continue.", NoMemory, ""),
    ("java", "#  SIGSEGV (0xb) at pc=0x00007f2f1c0d2a4e, pid=4711, tid=4712", Segfault, ""),
    ("java", "Caused by: java.net.ConnectException: Connection refused", DependencyRefused, ""),
    ("jdbc", "org.postgresql.util.PSQLException: Connection to localhost:5432 refused. Check that the hostname and port are correct", DependencyRefused, "localhost:5432"),
    ("java", "java.net.UnknownHostException: db.internal: Name or service not known", DependencyRefused, "db.internal"),
    ("java", "java.io.IOException: No space left on device", DiskFull, ""),
    ("java", "java.io.IOException: Too many open files", TooManyFiles, ""),
    ("java", "Caused by: java.security.cert.CertificateExpiredException: NotAfter: Fri Nov 20 10:00:00 UTC 2026", CertificateExpired, ""),
    ("java", "java.lang.UnsatisfiedLinkError: no zstd-jni in java.library.path: /usr/lib", LibraryNotFound, "zstd-jni"),
    ("spring", "java.lang.IllegalArgumentException: Could not resolve placeholder 'db.url' in value \"${db.url}\"", BadConfig, "'db.url'"),
    // Go
    ("go", "2026/11/20 10:00:00 listen tcp :8080: bind: address already in use", AddressInUse, ":8080"),
    ("go", "listen tcp :80: bind: permission denied", PermissionDenied, ":80"),
    ("go", "open /etc/shop/shop.yaml: no such file or directory", MissingFile, "/etc/shop/shop.yaml"),
    ("go", "open /etc/shop/tls.key: permission denied", PermissionDenied, "/etc/shop/tls.key"),
    ("go", "dial tcp 127.0.0.1:5432: connect: connection refused", DependencyRefused, "127.0.0.1:5432"),
    ("go", "dial tcp: lookup db.internal on 127.0.0.53:53: no such host", DependencyRefused, "db.internal"),
    ("go", "dial tcp 10.0.0.2:5432: i/o timeout", DependencyRefused, "10.0.0.2:5432"),
    ("go", "write /var/lib/shop/wal: no space left on device", DiskFull, "/var/lib/shop/wal"),
    ("go", "accept tcp [::]:8080: accept4: too many open files", TooManyFiles, ""),
    ("go", "fatal error: runtime: out of memory", NoMemory, ""),
    ("go", "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a5f60]", Segfault, ""),
    ("go", "exec: \"ffmpeg\": executable file not found in $PATH", MissingExecutable, "ffmpeg"),
    ("go", "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-20T10:00:00Z is after 2026-11-19T10:00:00Z", CertificateExpired, ""),
    ("go", "cannot parse settings: yaml: line 7: did not find expected key", BadConfig, "line 7"),
    // The loader, shells, env
    ("glibc", "/opt/shop/bin/shop: error while loading shared libraries: libssl.so.1.1: cannot open shared object file: No such file or directory", LibraryNotFound, "libssl.so.1.1"),
    ("glibc", "/opt/shop/bin/shop: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /opt/shop/bin/shop)", LibraryNotFound, "GLIBC_2.38"),
    ("glibc", "/opt/shop/bin/shop: symbol lookup error: /opt/shop/lib/libx.so: undefined symbol: shop_init", LibraryNotFound, "shop_init"),
    ("musl", "Error loading shared library libpq.so.5: No such file or directory (needed by /usr/bin/shop)", LibraryNotFound, "libpq.so.5"),
    ("bash", "/opt/shop/run.sh: line 3: shopd: command not found", MissingExecutable, "shopd"),
    ("dash", "sh: 1: shopd: not found", MissingExecutable, "shopd"),
    ("env", "/usr/bin/env: ‘python’: No such file or directory", MissingExecutable, "python"),
    ("bash", "/opt/shop/run.sh: /usr/bin/ruby: bad interpreter: No such file or directory", MissingExecutable, "/usr/bin/ruby"),
    ("bash", "bash: /opt/shop/bin/shop: cannot execute binary file: Exec format error", MissingExecutable, ""),
    ("bash", "/opt/shop/run.sh: line 2: /var/log/shop.log: Permission denied", PermissionDenied, "/var/log/shop.log"),
    ("bash", "/opt/shop/run.sh: line 9:  4711 Segmentation fault      (core dumped) shopd", Segfault, ""),
    ("touch", "touch: cannot touch '/srv/shop/x': Read-only file system", PermissionDenied, "/srv/shop/x"),
    ("cat", "cat: /etc/shop/key: No such file or directory", MissingFile, "/etc/shop/key"),
    ("coreutils", "tail: memory exhausted", NoMemory, ""),
    ("gcc", "virtual memory exhausted: Cannot allocate memory", NoMemory, ""),
    ("C++", "terminate called after throwing an instance of 'std::bad_alloc'", NoMemory, ""),
    ("rust", "memory allocation of 1073741824 bytes failed", NoMemory, ""),
    ("php", "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes)", NoMemory, ""),
    // Others
    ("openssl", "verify error:num=10:certificate has expired", CertificateExpired, ""),
    ("openssl", "error:14094415:SSL routines:ssl3_read_bytes:sslv3 alert certificate expired", CertificateExpired, ""),
    ("rustls", "invalid peer certificate: Expired", CertificateExpired, ""),
    ("curl", "curl: (60) SSL certificate problem: certificate has expired", CertificateExpired, ""),
    ("haproxy", "[ALERT]    (9) : Starting frontend web: cannot bind socket (Address already in use) [0.0.0.0:80]", AddressInUse, "0.0.0.0:80"),
    ("haproxy", "[ALERT]    (9) : config : parsing [/etc/haproxy/haproxy.cfg:12] : unknown keyword 'lisen' in 'frontend' section", BadConfig, "/etc/haproxy/haproxy.cfg:12"),
    ("sshd", "/etc/ssh/sshd_config: line 3: Bad configuration option: Foo", BadConfig, "line 3"),
    ("named", "/etc/bind/named.conf:12: unknown option 'alow-query'", BadConfig, "/etc/bind/named.conf:12"),
    ("any", "invalid configuration: no database is set", BadConfig, ""),
    ("any", "shopd: failed to parse config /etc/shop/shop.conf", BadConfig, "/etc/shop/shop.conf"),
    ("any", "bind: Address already in use", AddressInUse, ""),
    ("any", "upstream 10.0.0.2:8080: connection refused", DependencyRefused, "10.0.0.2:8080"),
    ("rust", "Error: Os { code: 13, kind: PermissionDenied, message: \"Permission denied\" }", PermissionDenied, ""),
    ("rust", "Error: No such file or directory (os error 2)", MissingFile, ""),
];

#[test]
fn lines_that_mean_something() {
    let mut wrong = Vec::new();
    for (program, line, cause, what) in MEAN {
        let findings = diagnose(&evidence(vec![run(&[line])]));
        match findings.first() {
            Some(finding)
                if finding.cause == *cause
                    && finding.from == Source::Log
                    && finding.sentence.contains(what)
                    && finding.advice.is_some()
                    && !finding.because.is_empty() => {}
            found => wrong.push(format!(
                "{program}: {line}\n  wanted {cause:?} {what}\n  {found:?}"
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// They look alike, and nothing failed because of them.
#[rustfmt::skip]
const MEAN_NOTHING: &[(&str, &str)] = &[
    ("a 404 of nginx", "2026/11/20 10:00:00 [error] 9#9: *1 open() \"/var/www/favicon.ico\" failed (2: No such file or directory), client: 10.0.0.9, server: shop, request: \"GET /favicon.ico HTTP/1.1\""),
    ("a request of nginx", "2026/11/20 10:00:00 [error] 9#9: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.9, server: shop"),
    ("a 403 of Apache", "[core:error] [pid 9] (13)Permission denied: [client 10.0.0.9:51234] AH00035: access to /private denied"),
    ("an access log", "10.0.0.9 - - [20/Nov/2026:10:00:00 +0000] \"GET /search?q=Address+already+in+use HTTP/1.1\" 200 12"),
    ("an access log", "10.0.0.9 - - [20/Nov/2026:10:00:00 +0000] \"GET /: Permission denied HTTP/1.1\" 200 12"),
    ("for developers", "DEBUG shop: cache miss: open /tmp/x: no such file or directory"),
    ("for developers", "2026-11-20 10:00:00 [TRACE] connect: Connection refused"),
    ("shrugged off", "open /etc/shop/local.conf: no such file or directory, ignoring it"),
    ("shrugged off", "warning: /etc/shop/extra.conf: No such file or directory, using defaults"),
    ("shrugged off", "cannot read /proc/1/environ: Permission denied (skipped)"),
    ("ssh, not files", "git@host: Permission denied (publickey,password)."),
    ("a limit of watches", "Error: ENOSPC: System limit for number of file watchers reached, watch '/srv/shop'"),
    ("a limit of watches", "Failed to add inotify watch: No space left on device"),
    ("a limit of semaphores", "FATAL:  could not create semaphores: No space left on device"),
    ("still to come", "warning: the certificate for shop.example expires in 20 days; expired certificate handling is on: it will expire"),
    ("redis's advice", "# WARNING Memory overcommit must be enabled! Without it, a background save or replication may fail under low memory condition."),
    ("an application's own rights", "audit: permission denied for bob on page /admin"),
    ("a test that passed", "nginx: configuration file /etc/nginx/nginx.conf test is successful"),
    ("a test that passed", "AH00557: apache2: Syntax OK"),
    ("systemd's daily words", "shop.service: Main process exited, code=exited, status=1/FAILURE"),
    ("systemd's daily words", "shop.service: Failed with result 'exit-code'."),
    ("systemd's daily words", "Started shop.service - Web shop."),
    ("prose", "the docs explain what address already in use means"),
    ("a setting", "oom_score_adj set to -500; watchdog enabled; timeout 30s"),
    ("a counter", "connections: 12 open, 0 refused, 3 timed out"),
    ("nothing", ""),
];

#[test]
fn lines_that_mean_nothing() {
    let mut wrong = Vec::new();
    for (why, line) in MEAN_NOTHING {
        let findings = diagnose(&evidence(vec![run(&[line])]));
        if !findings.is_empty() {
            wrong.push(format!("{why}: {line}\n  {findings:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn quoted_lines_are_short_and_without_secrets() {
    let long = format!(
        "PermissionError: [Errno 13] Permission denied: '/srv/{}' password=hunter2secret\u{202e}",
        "x".repeat(5000)
    );
    let findings = diagnose(&evidence(vec![run(&[
        &long,
        "connect ECONNREFUSED postgres://shop:hunter2secret@db:5432/",
    ])]));
    assert_eq!(findings.len(), 2, "{findings:?}");
    for finding in findings {
        let shown = format!("{} {}", finding.sentence, finding.because);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains('\u{202e}'), "{shown}");
        assert!(shown.len() < 800, "{shown}");
    }
}

/// A hostile line takes no longer than a plain one.
#[test]
fn no_line_takes_long() {
    let lines: Vec<String> = [
        "open() \"",
        "could not bind IPv4 address \"",
        "'\\'' (Errcode: 13",
        "dial tcp ",
    ]
    .iter()
    .map(|part| part.repeat(200))
    .cycle()
    .take(200)
    .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let evidence = evidence(vec![run(&lines)]);
    // Of this thread's processor: whatever else runs here takes nothing of it.
    let started = clock_gettime(ClockId::ThreadCPUTime);
    let findings = diagnose(&evidence);
    let took = clock_gettime(ClockId::ThreadCPUTime) - started;
    assert!(took.tv_sec < 5, "{took:?}, {findings:?}");
}
