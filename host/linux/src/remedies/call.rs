//! `call`: a declared HTTP request, made by a helper that can reach the network and change
//! nothing. It reads the secret itself, so that no other process has it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use prunella_core::{
    Failure,
    capability::Answer,
    hash::hexadecimal,
    remedy::{Call, CallSecret, Plan, Receipt, SecretUse},
    secret::{Secret, SecretSource},
    text,
};
use prunella_secret as secret;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::helper::{Helper, Outcome, Request as HelperRequest};
use crate::{
    clock::SystemClock,
    probes::{HttpRequest, http_request},
    transient::{Credential, ProtectSystem, Sandbox},
};

/// Beside the request itself: starting a program, reading a file.
const AROUND: Duration = Duration::from_secs(2);

/// What the helper knows a credential by.
const CREDENTIAL: &str = "secret";

/// The header of a signed call.
const SIGNATURE: &str = "x-prunella-signature";

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    name: String,
    call: Call,
}

pub(super) struct CallHere<'a> {
    helper: &'a Helper,
}

impl<'a> CallHere<'a> {
    pub(super) fn new(helper: &'a Helper) -> Self {
        Self { helper }
    }

    pub(super) fn apply(&self, deadline: Instant, name: &str, declared: &Call) -> Answer<Receipt> {
        let mut call = declared.clone();
        let credential = call.secret.as_mut().map(handed_on).transpose()?.flatten();
        let timeout = call.timeout + AROUND;
        let request = HelperRequest::Call(Request {
            name: name.to_owned(),
            call,
        });
        let what = format!("call `{name}`");
        let credentials = credential.into_iter().collect();
        self.helper
            .run_with(deadline, &what, &request, sandbox(), credentials, timeout)?
            .applied()
    }
}

/// What it comes to: nothing is asked before it is made.
pub(super) fn plan(name: &str, declared: &Call) -> Plan {
    Plan::to(format!("make the call `{name}` ({})", declared.method))
}

/// A credential that this process was handed and the helper is handed on.
fn handed_on(secret: &mut CallSecret) -> Answer<Option<Credential>> {
    let SecretSource::Credential(name) = &secret.source else {
        return Ok(None);
    };
    let path = std::env::var_os("CREDENTIALS_DIRECTORY")
        .map(|folder| PathBuf::from(folder).join(name))
        .filter(|path| path.is_file())
        .ok_or_else(|| {
            Failure::unavailable(
                "no-secret",
                format!(
                    "the credential {name} is not there: prunella.service needs it in \
                     LoadCredential="
                ),
            )
        })?;
    secret.source = SecretSource::Credential(CREDENTIAL.to_owned());
    Ok(Some(Credential {
        name: CREDENTIAL,
        path,
    }))
}

fn sandbox() -> Sandbox {
    Sandbox {
        protect_system: ProtectSystem::Strict,
        protect_home: true,
        private_tmp: true,
        private_network: false,
        writable: Vec::new(),
        capabilities: Vec::new(),
        families: vec!["AF_INET", "AF_INET6", "AF_UNIX"],
        devices: Vec::new(),
    }
}

/// What runs in the helper.
pub(super) fn carry_out(Request { name, call }: &Request) -> Answer<Outcome> {
    let now = SystemClock.now().as_millis() / 1_000;
    let mut headers: Vec<(String, String)> = call.headers.clone().into_iter().collect();
    let secret = call.secret.as_ref().map(|secret| {
        secret::read_key(&secret.source)
            .map(|read| (secret.used_as, read))
            .map_err(|error| Failure::unavailable("no-secret", error.to_string()))
    });
    let secret = secret.transpose()?;
    if let Some((used_as, secret)) = &secret {
        headers.push(proof(*used_as, secret, now, call.body.as_deref())?);
    }
    let asked = HttpRequest {
        url: &call.url,
        method: call.method.as_str(),
        headers: &headers,
        body: call.body.as_deref(),
        // Nobody else is to get a secret.
        judges_certificate: matches!(secret, Some((SecretUse::Bearer, _))),
    };
    let (status, reason) = http_request(&asked, call.timeout)?
        .map_err(|why| Failure::unavailable("no-answer", format!("`{name}` failed: {why}")))?;
    let said = text::one_line(format!("{status} {reason}").trim_end(), 80);
    if call.expects(status) {
        Ok(Outcome::Applied(Receipt::done(format!(
            "made the call `{name}`: it answered {said}"
        ))))
    } else {
        Err(Failure::failed(
            "unexpected-status",
            format!("`{name}` answered {said}, not {}", call.expected()),
        ))
    }
}

/// The header that proves who calls.
fn proof(
    used_as: SecretUse,
    secret: &Secret,
    now: u64,
    body: Option<&str>,
) -> Answer<(String, String)> {
    Ok(match used_as {
        SecretUse::Bearer => (
            "authorization".to_owned(),
            format!("Bearer {}", secret.reveal()),
        ),
        SecretUse::HmacSha256 => (
            SIGNATURE.to_owned(),
            format!("t={now},v1={}", signature(secret, now, body)?),
        ),
    })
}

/// The HMAC of `TIME.BODY`, in hexadecimal.
fn signature(secret: &Secret, now: u64, body: Option<&str>) -> Answer<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes())
        .map_err(|error| Failure::invalid("bad-secret", error.to_string()))?;
    mac.update(format!("{now}.").as_bytes());
    mac.update(body.unwrap_or_default().as_bytes());
    Ok(hexadecimal(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        io::{Read as _, Write as _},
        net::TcpListener,
        os::unix::fs::PermissionsExt as _,
        thread,
    };

    use prunella_core::remedy::CallMethod;

    use super::*;

    fn call(url: String) -> Call {
        Call {
            url,
            method: CallMethod::Post,
            headers: BTreeMap::from([("x-cause".to_owned(), "prunella".to_owned())]),
            body: Some("{\"cache\":\"all\"}".to_owned()),
            expect_status: vec![204],
            timeout: Duration::from_secs(5),
            secret: None,
        }
    }

    /// Makes a call to somebody who gives this answer; what was asked, and what came of it.
    fn made(answer: &'static str, change: impl FnOnce(&mut Call)) -> (String, Answer<Outcome>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = vec![0; 4096];
            let count = stream.read(&mut heard).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&heard[..count]).into_owned()
        });
        let mut call = call(format!("http://127.0.0.1:{port}/purge"));
        change(&mut call);
        let request = Request {
            name: "purge".to_owned(),
            call,
        };
        let outcome = carry_out(&request);
        (asked.join().unwrap(), outcome)
    }

    #[test]
    fn a_call_is_made_as_it_is_declared() {
        let (asked, outcome) = made("HTTP/1.1 204 No Content\r\n\r\n", |_| {});
        let (head, body) = asked.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /purge HTTP/1.1\r\n"), "{head}");
        for line in ["x-cause: prunella", "Content-Length: 15"] {
            assert!(head.contains(line), "{head}");
        }
        assert_eq!(body, "{\"cache\":\"all\"}");
        let Ok(Outcome::Applied(receipt)) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(
            receipt.summary,
            "made the call `purge`: it answered 204 No Content"
        );
    }

    #[test]
    fn another_status_is_a_failure() {
        let (_, outcome) = made("HTTP/1.1 503 Service Unavailable\r\n\r\n", |_| {});
        let failure = outcome.unwrap_err();
        assert!(failure.is("unexpected-status"), "{failure}");
        assert_eq!(
            failure.message,
            "`purge` answered 503 Service Unavailable, not 204"
        );
    }

    #[test]
    fn a_secret_goes_along_or_signs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "hunter2\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let with = |used_as| {
            let source = SecretSource::File(path.clone());
            made("HTTP/1.1 204 OK\r\n\r\n", |call| {
                call.secret = Some(CallSecret { source, used_as });
            })
        };
        let (asked, _) = with(SecretUse::Bearer);
        assert!(asked.contains("authorization: Bearer hunter2\r\n"));
        let (asked, _) = with(SecretUse::HmacSha256);
        assert!(!asked.contains("hunter2"), "{asked}");
        let line = asked
            .lines()
            .find_map(|line| line.strip_prefix("x-prunella-signature: t="));
        let (at, hex) = line.unwrap().split_once(",v1=").unwrap();
        let at: u64 = at.parse().unwrap();
        let wanted = signature(&Secret::new("hunter2"), at, Some("{\"cache\":\"all\"}"));
        assert_eq!(hex, wanted.unwrap());
    }

    #[test]
    fn the_signature_is_that_of_everybody() {
        // printf '1.abc' | openssl dgst -sha256 -hmac key
        assert_eq!(
            signature(&Secret::new("key"), 1, Some("abc")).unwrap(),
            "90ebc65a2174297bcabd31e7cdb290734ffd97b67d17c09a380b0d4828d3d90c"
        );
    }

    #[test]
    fn a_secret_that_others_can_read_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "hunter2").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut call = call("http://127.0.0.1:9/".to_owned());
        call.secret = Some(CallSecret {
            source: SecretSource::File(path),
            used_as: SecretUse::Bearer,
        });
        let failure = carry_out(&Request {
            name: "purge".to_owned(),
            call,
        })
        .unwrap_err();
        assert!(failure.is("no-secret"), "{failure}");
    }
}
