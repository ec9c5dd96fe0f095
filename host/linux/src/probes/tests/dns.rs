//! Questions to a name server.

use std::net::UdpSocket;

use hickory_proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{
        RData, Record,
        rdata::{A, TXT},
    },
};
use prunella_core::service::{DnsQuestion, DnsRecord};

use super::*;

/// Answers over UDP, and over TCP on the same port where UDP's answer is cut off.
fn name_server(answer: impl Fn(&Message, &mut Message) + Send + Sync + Clone + 'static) -> String {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(place).unwrap();
    let reply = move |asked: &[u8]| {
        let asked = Message::from_vec(asked).unwrap();
        let mut reply = Message::response(asked.metadata.id, OpCode::Query);
        reply.queries = asked.queries.clone();
        answer(&asked, &mut reply);
        reply
    };
    let over_udp = reply.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((count, from)) = udp.recv_from(&mut buffer) {
            let mut said = over_udp(&buffer[..count]).to_vec().unwrap();
            if said.len() > 512 {
                let mut short = over_udp(&buffer[..count]);
                short.answers.clear();
                short.metadata.truncation = true;
                said = short.to_vec().unwrap();
            }
            let _ = udp.send_to(&said, from);
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut asked = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut asked).unwrap();
            let said = reply(&asked).to_vec().unwrap();
            let length = u16::try_from(said.len()).unwrap().to_be_bytes();
            let _ = stream.write_all(&[&length[..], &said].concat());
        }
    });
    place.to_string()
}

fn question(server: &str) -> DnsQuestion {
    DnsQuestion {
        name: "shop.example".to_owned(),
        server: Some(server.parse().unwrap()),
        record: DnsRecord::A,
        address: None,
    }
}

fn asked(question: DnsQuestion) -> (bool, String) {
    let answer = ask(ProbeKind::Dns(question));
    (answer.healthy, answer.detail)
}

fn add(reply: &mut Message, data: RData) {
    let name = reply.queries[0].name.clone();
    reply.answers.push(Record::from_rdata(name, 60, data));
}

#[test]
fn a_name_with_an_address() {
    let server = name_server(|_, reply| {
        for last in [1, 2] {
            add(reply, RData::A(A::new(192, 0, 2, last)));
        }
    });
    let said = "it answered 192.0.2.1, 192.0.2.2".to_owned();
    assert_eq!(asked(question(&server)), (true, said.clone()));
    let with = |address: &str| DnsQuestion {
        address: Some(address.parse().unwrap()),
        ..question(&server)
    };
    assert_eq!(asked(with("192.0.2.2")), (true, said.clone()));
    assert_eq!(
        asked(with("192.0.2.9")),
        (false, format!("{said}, not 192.0.2.9"))
    );
}

#[rstest]
#[case::no_name(
    ResponseCode::NXDomain,
    "it answered that there is no name shop.example"
)]
#[case::no_record(ResponseCode::NoError, "it answered that shop.example has no A record")]
#[case::trouble(
    ResponseCode::ServFail,
    "it answered with the error \"Server Failure\""
)]
fn a_name_without(#[case] code: ResponseCode, #[case] said: &str) {
    let server = name_server(move |_, reply| reply.metadata.response_code = code);
    assert_eq!(asked(question(&server)), (false, said.to_owned()));
}

#[test]
fn what_is_too_long_for_udp_is_asked_over_tcp() {
    let server = name_server(|_, reply| {
        for number in 0..40 {
            add(
                reply,
                RData::TXT(TXT::new(vec![format!("text number {number}")])),
            );
        }
    });
    let (healthy, said) = asked(DnsQuestion {
        record: DnsRecord::Txt,
        ..question(&server)
    });
    assert!(healthy, "{said}");
    assert!(said.contains("text number 0"), "{said}");
    assert!(said.ends_with(", 36 more"), "{said}");
}

#[test]
fn a_silent_server_and_none_at_all() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap().to_string();
    let kind = ProbeKind::Dns(question(&place));
    let limit = Duration::from_millis(200);
    let answer = ask_within(kind, limit, Duration::from_secs(60)).unwrap();
    assert!(!answer.healthy);
    assert_eq!(answer.detail, "no name server answered within 0.2 s");
    drop(silent);
    let answer = ask(ProbeKind::Dns(question(&place)));
    assert_eq!(answer.detail, "nobody listens there");
}

/// Whoever answers with another number, or to another question, is not who was asked.
#[test]
fn what_answers_another_question_is_not_believed() {
    let server = name_server(|asked, reply| {
        reply.metadata.id = asked.metadata.id.wrapping_add(1);
        add(reply, RData::A(A::new(192, 0, 2, 66)));
    });
    let kind = ProbeKind::Dns(question(&server));
    let limit = Duration::from_millis(200);
    let answer = ask_within(kind, limit, Duration::from_secs(60)).unwrap();
    assert!(!answer.healthy, "{}", answer.detail);
}
