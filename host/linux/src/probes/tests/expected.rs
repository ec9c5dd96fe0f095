//! What an HTTP answer has to be, and what is said when it is not.

use super::*;

fn question(bytes: &'static [u8]) -> HttpQuestion {
    HttpQuestion {
        url: format!("http://{}/", says(bytes)),
        ..HttpQuestion::default()
    }
}

#[rstest]
#[case::to_the_end(b"HTTP/1.1 200 OK\r\n\r\n{\"status\": \"ready\"}", None)]
#[case::chunks(
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n--re\r\n5\r\nady--\r\n0\r\n\r\n",
    None
)]
#[case::length(
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreading is ready",
    Some("its body does not contain \"ready\": it begins with \"read\"")
)]
#[case::another(
    b"HTTP/1.1 200 OK\r\n\r\n<html>\n\x1b[31mstarting",
    Some("its body does not contain \"ready\": it begins with \"<html>\\n\\u{1b}[31mstarting\"")
)]
#[case::secret(
    b"HTTP/1.1 200 OK\r\n\r\npassword=hunter2",
    Some("its body does not contain \"ready\": it begins with \"password=[redacted]\"")
)]
#[case::empty(
    b"HTTP/1.1 200 OK\r\n\r\n",
    Some("its body is empty, without \"ready\"")
)]
#[case::has_none(
    b"HTTP/1.1 204 No Content\r\n\r\n",
    Some("its body is empty, without \"ready\"")
)]
fn bodies(#[case] bytes: &'static [u8], #[case] wrong: Option<&str>) {
    let answer = ask(ProbeKind::Http(HttpQuestion {
        body: Some("ready".to_owned()),
        ..question(bytes)
    }));
    assert_eq!(answer.healthy, wrong.is_none(), "{}", answer.detail);
    match wrong {
        Some(wrong) => assert!(
            answer.detail.ends_with(&format!(", and {wrong}")),
            "{}",
            answer.detail
        ),
        None => assert_eq!(answer.detail, "it answered 200 OK, as expected"),
    }
}

#[rstest]
#[case::fits(b"HTTP/1.1 200 OK\r\nX-Cache: HIT\r\n\r\n", None)]
#[case::one_of_two(b"HTTP/1.1 200 OK\r\nx-cache: MISS\r\nx-cache: HIT\r\n\r\n", None)]
#[case::another(
    b"HTTP/1.1 200 OK\r\nX-Cache: MISS\r\n\r\n",
    Some("its header `x-cache` is \"MISS\", not \"HIT*\"")
)]
#[case::none(
    b"HTTP/1.1 200 OK\r\n\r\n",
    Some("it has no header `x-cache`, which should be \"HIT*\"")
)]
fn headers(#[case] bytes: &'static [u8], #[case] wrong: Option<&str>) {
    let headers = [("x-cache".to_owned(), "HIT*".to_owned())];
    let answer = ask(ProbeKind::Http(HttpQuestion {
        headers: headers.into(),
        ..question(bytes)
    }));
    assert_eq!(answer.healthy, wrong.is_none(), "{}", answer.detail);
    let expected = match wrong {
        Some(wrong) => format!("it answered 200 OK, and {wrong}"),
        None => "it answered 200 OK, as expected".to_owned(),
    };
    assert_eq!(answer.detail, expected);
}

#[test]
fn a_wrong_status_is_said_before_what_else_is_wrong() {
    let answer = ask(ProbeKind::Http(HttpQuestion {
        body: Some("ready".to_owned()),
        ..question(b"HTTP/1.1 503 Service Unavailable\r\n\r\nstarting")
    }));
    assert_eq!(
        answer.detail,
        "it answered 503 Service Unavailable, not 200 to 399"
    );
}

/// Many servers of TLS end a body so.
#[test]
fn a_body_that_ends_with_a_hang_up_is_judged_by_what_came() {
    let place = server(|stream| {
        let mut asked = BufReader::new(&stream);
        let mut line = String::new();
        while asked.read_line(&mut line).is_ok_and(|count| count > 2) {}
        let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\nstarting");
        // Closed like this, it is reset.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    });
    let answer = ask(ProbeKind::Http(HttpQuestion {
        url: format!("http://{place}/"),
        body: Some("ready".to_owned()),
        ..HttpQuestion::default()
    }));
    assert!(!answer.healthy);
    assert_eq!(
        answer.detail,
        "it answered 200 OK, and its body does not contain \"ready\": it begins with \"starting\""
    );
}

/// What is expected may come in two parts, and lie beyond what is looked at.
#[test]
fn a_body_is_looked_at_as_it_comes_and_not_beyond_its_limit() {
    let split = server(|mut stream| {
        let _ = stream.set_nodelay(true);
        for part in [&b"HTTP/1.1 200 OK\r\n\r\nnot yet rea"[..], b"dy"] {
            let _ = stream.write_all(part);
            let _ = stream.flush();
            std::thread::sleep(Duration::from_millis(50));
        }
        // It stays open: who has found what is expected does not wait for the end.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let endless = server(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 8192]).is_ok() {}
    });
    let asked = |place: &str| {
        ask(ProbeKind::Http(HttpQuestion {
            url: format!("http://{place}/"),
            body: Some("ready".to_owned()),
            ..HttpQuestion::default()
        }))
    };
    assert!(asked(&split).healthy);
    let answer = asked(&endless);
    assert!(!answer.healthy);
    assert!(
        answer
            .detail
            .contains("the first 64 KiB of its body do not contain \"ready\""),
        "{}",
        answer.detail
    );
}
