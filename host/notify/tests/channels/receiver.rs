//! A small HTTP server that answers as it is told, rightly or wrongly, and
//! keeps what it was sent.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What it does with a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// Nothing, and the connection stays open.
    Hang,
    /// These bytes, and the connection stays open.
    Stall(Vec<u8>),
    /// An answer without an end, for as long as somebody reads it.
    Endless,
    /// The connection is reset before the request was read.
    Reset,
}

impl Reply {
    /// A whole answer; `headers` are whole lines.
    pub(super) fn status(status: u16, headers: &str, body: &str) -> Self {
        Self::Bytes(
            format!(
                "HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
                body.len()
            )
            .into_bytes(),
        )
    }
}

/// What it was sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    requests: mpsc::Receiver<Request>,
}

impl Receiver {
    pub(super) fn new(reply: Reply) -> Self {
        Self::start(reply, None)
    }

    pub(super) fn with_tls(reply: Reply, tls: ServerConfig) -> Self {
        Self::start(reply, Some(Arc::new(tls)))
    }

    fn start(reply: Reply, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let (reply, sender, tls) = (reply.clone(), sender.clone(), tls.clone());
                thread::spawn(move || match tls {
                    None => serve(stream, &reply, &sender),
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).unwrap();
                        serve(StreamOwned::new(connection, stream), &reply, &sender);
                    }
                });
            }
        });
        Self { address, requests }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The one request there was.
    #[track_caller]
    pub(super) fn request(&self) -> Request {
        let request = self.requests.try_recv().expect("no request came");
        self.assert_silent();
        request
    }

    /// Whoever sends waits for an answer, so what has not come never will.
    #[track_caller]
    pub(super) fn assert_silent(&self) {
        if let Ok(request) = self.requests.try_recv() {
            panic!("an unexpected request: {request:?}");
        }
    }
}

fn serve(stream: impl Read + Write, reply: &Reply, sender: &mpsc::Sender<Request>) {
    if matches!(reply, Reply::Reset) {
        // What is closed with unread bytes in it is reset.
        return;
    }
    let mut stream = BufReader::new(stream);
    let Some(request) = read_request(&mut stream) else {
        return;
    };
    // The test may be over.
    let _ = sender.send(request);
    let out = stream.get_mut();
    match reply {
        Reply::Bytes(bytes) => {
            let _ = out.write_all(bytes);
            let _ = out.flush();
        }
        Reply::Stall(bytes) => {
            let _ = out.write_all(bytes);
            let _ = out.flush();
            // Until the other side has had enough.
            let _ = out.read(&mut [0]);
        }
        Reply::Hang => {
            let _ = out.read(&mut [0]);
        }
        Reply::Endless => {
            let _ = out.write_all(b"HTTP/1.1 500 Whatever\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = format!("{:x}\r\n{}\r\n", 65_536, "x".repeat(65_536));
            while out.write_all(chunk.as_bytes()).is_ok() {}
        }
        Reply::Reset => {}
    }
}

fn read_request(stream: &mut impl std::io::BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request {
        line: line.trim_end().to_owned(),
        headers,
        body,
    })
}

/// An address where nobody listens.
pub(super) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A raw server: `talk` gets the first connection.
pub(super) fn raw(talk: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        talk(stream);
    });
    address
}
