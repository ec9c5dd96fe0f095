//! A server that plays a model's: it answers as it is told, and keeps what it
//! was asked.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

/// What a request was.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

impl Request {
    /// What the model was told in one role.
    pub(crate) fn said(&self, role: &str) -> String {
        self.body["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|message| message["role"] == role)
            .filter_map(|message| message["content"].as_str())
            .collect()
    }
}

/// How the server answers.
pub(crate) enum Answer {
    /// With a status, a type and a body.
    Body(u16, &'static str, String),
    /// With a status, and where to go instead.
    Redirect(u16, String),
    /// With a body that never ends.
    Endless,
    /// With the beginning of an answer, and then nothing.
    Half(String),
    /// Not at all, and the connection stays open.
    Silence,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Body(status, "application/json", body.to_string())
    }

    /// As OpenAI's chat completions put what the model wrote.
    pub(crate) fn openai(content: &str) -> Self {
        Self::json(
            200,
            &json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{
                    "index": 0, "finish_reason": "stop",
                    "message": { "role": "assistant", "content": content, "refusal": null }
                }],
                "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 }
            }),
        )
    }

    /// As Ollama puts it.
    pub(crate) fn ollama(content: &str) -> Self {
        Self::json(
            200,
            &json!({
                "model": "m", "created_at": "2026-11-20T10:00:00Z", "done": true,
                "done_reason": "stop", "message": { "role": "assistant", "content": content }
            }),
        )
    }
}

/// A server on a port of its own.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each request by `answer`, which is told what number it has.
    pub(crate) fn start(
        answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read(&mut stream) else {
                        return;
                    };
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    write(&mut stream, answer(number, &request));
                });
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        path,
        authorization,
        body: serde_json::from_slice(&body).ok()?,
    })
}

/// The client may be gone by then: what it does not read is its own affair.
fn write(stream: &mut TcpStream, answer: Answer) {
    let mut head = |status: u16, rest: &str| {
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\nconnection: close\r\n{rest}\r\n"
        );
    };
    match answer {
        Answer::Body(status, kind, body) => {
            let length = body.len();
            head(
                status,
                &format!("content-type: {kind}\r\ncontent-length: {length}\r\n"),
            );
            let _ = stream.write_all(body.as_bytes());
        }
        Answer::Redirect(status, to) => {
            head(status, &format!("location: {to}\r\ncontent-length: 0\r\n"));
        }
        Answer::Endless => {
            head(
                200,
                "content-type: application/json\r\ntransfer-encoding: chunked\r\n",
            );
            while stream.write_all(b"4\r\n    \r\n").is_ok() {}
        }
        Answer::Half(body) => {
            head(
                200,
                "content-type: application/json\r\ncontent-length: 100000\r\n",
            );
            let _ = stream.write_all(body.as_bytes());
        }
        Answer::Silence => {
            // Until the client gives up.
            let _ = stream.read(&mut [0]);
        }
    }
}
