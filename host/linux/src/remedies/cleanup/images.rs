//! Images that a container engine keeps, have no name any more, and are of no container: what a
//! build or a pull leaves behind each time. The engine itself deletes them, by the API that
//! Docker and Podman share: <https://docs.docker.com/reference/api/engine/>.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use prunella_core::{
    Failure, Timestamp,
    capability::Answer,
    remedy::{Amount, AmountOf, Cleanup, Plan, Receipt},
    text::{counted, one_line},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{NAMED, Outcome};

/// Where engines listen.
const SOCKETS: [&str; 2] = ["/run/docker.sock", "/run/podman/podman.sock"];

/// Untagged, and no other image is built on them.
const UNTAGGED: &str =
    "/images/json?shared-size=true&filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D";
const CONTAINERS: &str = "/containers/json?all=true";

/// Podman starts when it is asked, and deleting a large image takes a while.
const ANSWER: Duration = Duration::from_secs(20);
/// More is no list of images.
const LONGEST: u64 = 16 << 20;
/// More than an engine sends.
const HEADERS: usize = 64;

/// What is counted.
const UNTAGGED_IMAGE: &str = "untagged image";

/// As people see an image's id.
const SHORT: usize = 12;

/// An image, as its engine tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    id: String,
    /// Seconds since 1970.
    created: u64,
    size: u64,
    /// What other images need as well; negative where that is not told.
    #[serde(default = "not_told")]
    shared_size: i64,
}

fn not_told() -> i64 {
    -1
}

impl Image {
    /// What is free once it is gone.
    fn bytes(&self) -> u64 {
        let shared = u64::try_from(self.shared_size).unwrap_or_default();
        self.size.saturating_sub(shared)
    }

    fn short(&self) -> &str {
        let id = hash(&self.id);
        id.get(..SHORT).unwrap_or(id)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    #[serde(rename = "ImageID")]
    image: String,
}

/// Docker writes `sha256:` before it, and Podman not everywhere.
fn hash(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

/// What may go, the oldest first, each with the engine that has it.
struct Prospect {
    images: Vec<(usize, Image)>,
    engines: Vec<Engine>,
}

pub(super) fn carry_out(
    name: &str,
    declared: &Cleanup,
    now: Timestamp,
    apply: bool,
) -> Answer<Outcome> {
    let sockets = SOCKETS.map(PathBuf::from);
    let there = sockets.into_iter().filter(|socket| socket.exists());
    let engines: Vec<Engine> = there.map(|socket| Engine { socket }).collect();
    let found = match engines.is_empty() {
        true => Err(format!(
            "no container engine listens on {}",
            SOCKETS.join(" or ")
        )),
        false => look(name, engines, declared, now)?,
    };
    Ok(match (found, apply) {
        (Ok(prospect), true) => Outcome::Applied(prospect.delete(name)?),
        (Ok(prospect), false) => Outcome::Planned(prospect.plan(name)),
        (Err(because), true) => Outcome::Applied(Receipt::nothing(because)),
        (Err(because), false) => Outcome::Planned(Plan::nothing(because)),
    })
}

fn look(
    name: &str,
    engines: Vec<Engine>,
    declared: &Cleanup,
    now: Timestamp,
) -> Answer<Result<Prospect, String>> {
    let mut images = Vec::new();
    for (number, engine) in engines.iter().enumerate() {
        let containers: Vec<Container> = engine.get(CONTAINERS)?;
        let used: BTreeSet<&str> = containers.iter().map(|one| hash(&one.image)).collect();
        let untagged: Vec<Image> = engine.get(UNTAGGED)?;
        let unused = untagged
            .into_iter()
            .filter(|image| !used.contains(hash(&image.id)));
        images.extend(unused.map(|image| (number, image)));
    }
    if images.is_empty() {
        return Ok(Err(format!(
            "`{name}` has no untagged image that is unused"
        )));
    }
    let images = chosen(images, declared, now);
    let bytes = sum(&images);
    Ok(if images.is_empty() {
        Err(format!("the untagged images of `{name}` are to stay"))
    } else if bytes.value < declared.at_least {
        let least = of_bytes(declared.at_least);
        Err(format!(
            "{bytes} of `{name}` could be freed, and less than {least} is not worth it"
        ))
    } else {
        Ok(Prospect { images, engines })
    })
}

/// Those that the operator gives up, the oldest first.
fn chosen(
    mut images: Vec<(usize, Image)>,
    declared: &Cleanup,
    now: Timestamp,
) -> Vec<(usize, Image)> {
    images.sort_by(|(_, a), (_, b)| a.created.cmp(&b.created).then_with(|| a.id.cmp(&b.id)));
    let keep = usize::try_from(declared.keep_newest).unwrap_or(usize::MAX);
    images.truncate(images.len().saturating_sub(keep));
    let not_after = now.saturating_sub(declared.older_than).as_millis() / 1_000;
    images.retain(|(_, image)| image.created <= not_after);
    let mut sum = 0_u64;
    let fits = |(_, image): &(usize, Image)| {
        sum = sum.saturating_add(image.bytes());
        declared.at_most.is_none_or(|most| sum <= most)
    };
    images.into_iter().take_while(fits).collect()
}

fn of_bytes(value: u64) -> Amount {
    Amount {
        value,
        of: AmountOf::Bytes,
    }
}

fn sum(images: &[(usize, Image)]) -> Amount {
    let bytes = images.iter().map(|(_, image)| image.bytes());
    of_bytes(bytes.fold(0, u64::saturating_add))
}

impl Prospect {
    fn plan(&self, name: &str) -> Plan {
        let mut largest: Vec<&Image> = self.images.iter().map(|(_, image)| image).collect();
        largest.sort_by_key(|image| std::cmp::Reverse(image.bytes()));
        let named: Vec<String> = largest
            .iter()
            .take(NAMED)
            .map(|image| format!("{} ({})", image.short(), of_bytes(image.bytes())))
            .collect();
        Plan {
            amount: Some(sum(&self.images)),
            ..Plan::to(format!(
                "delete {} of `{name}`",
                counted(self.images.len(), UNTAGGED_IMAGE)
            ))
        }
        .details(format!("the largest: {}", named.join(", ")))
    }

    fn delete(&self, name: &str) -> Answer<Receipt> {
        let mut gone = Vec::new();
        let mut trouble = None;
        for (number, image) in &self.images {
            let Some(engine) = self.engines.get(*number) else {
                continue;
            };
            match engine.delete(&image.id) {
                Ok(true) => gone.push((*number, image.clone())),
                Ok(false) => {}
                Err(failure) => {
                    trouble.get_or_insert(failure.message);
                }
            }
        }
        if gone.is_empty() {
            let why = trouble.unwrap_or_else(|| "all of them are in use by now".to_owned());
            return Err(Failure::failed(
                "cannot-delete",
                format!("no image of `{name}` could be deleted: {why}"),
            ));
        }
        let mut summary = format!(
            "deleted {} of `{name}`",
            counted(gone.len(), UNTAGGED_IMAGE)
        );
        if gone.len() < self.images.len() {
            summary = format!("{summary}; {} stayed", self.images.len() - gone.len());
        }
        if let Some(trouble) = trouble {
            summary = format!("{summary} ({trouble})");
        }
        Ok(Receipt {
            predicted: Some(sum(&self.images)),
            measured: Some(sum(&gone)),
            ..Receipt::done(summary)
        })
    }
}

/// A container engine of this host.
struct Engine {
    socket: PathBuf,
}

impl Engine {
    fn get<T: DeserializeOwned>(&self, address: &str) -> Answer<T> {
        let (status, body) = self.ask("GET", address)?;
        if status != 200 {
            return Err(self.failed(&said(status, &body)));
        }
        serde_json::from_slice(&body).map_err(|error| self.failed(&error.to_string()))
    }

    /// Whether it is gone; not where something uses it by now.
    fn delete(&self, id: &str) -> Answer<bool> {
        let (status, body) = self.ask("DELETE", &format!("/images/{}", hash(id)))?;
        match status {
            200 => Ok(true),
            404 | 409 => Ok(false),
            status => Err(self.failed(&said(status, &body))),
        }
    }

    /// A request and its whole answer, status and body. With HTTP/1.0 the answer ends with the
    /// connection.
    fn ask(&self, method: &str, address: &str) -> Answer<(u16, Vec<u8>)> {
        let answer = talk(
            &self.socket,
            &format!("{method} {address} HTTP/1.0\r\nHost: engine\r\n\r\n"),
        )
        .map_err(|error| self.failed(&error.to_string()))?;
        parsed(&answer).ok_or_else(|| self.failed("its answer is not HTTP"))
    }

    fn failed(&self, why: &str) -> Failure {
        let why = one_line(why, 200);
        let message = format!("the container engine at {}: {why}", self.socket.display());
        Failure::unavailable("container-engine", message)
    }
}

fn talk(socket: &Path, request: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

fn parsed(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(answer) else {
        return None;
    };
    let body = answer.get(head..)?;
    Some((response.code?, body.to_vec()))
}

/// What an engine gives as the reason.
fn said(status: u16, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    let said = serde_json::from_slice::<Said>(body);
    said.map_or_else(|_| format!("status {status}"), |said| said.message)
}

#[cfg(test)]
mod tests {
    use prunella_core::remedy::{CleanupOf, CleanupPreset};

    use super::*;

    fn image(id: &str, created: u64, size: u64) -> (usize, Image) {
        let image = Image {
            id: format!("sha256:{id}"),
            created,
            size,
            shared_size: -1,
        };
        (0, image)
    }

    fn ids(declared: &Cleanup) -> Vec<String> {
        let images = vec![
            image("new", 900, 10),
            image("old", 100, 30),
            image("mid", 500, 20),
        ];
        let now = Timestamp::from_millis(1_000_000);
        let chosen = chosen(images, declared, now);
        chosen
            .into_iter()
            .map(|(_, one)| hash(&one.id).to_owned())
            .collect()
    }

    #[test]
    fn the_oldest_go_first_and_what_is_young_new_or_too_much_stays() {
        let all = Cleanup {
            of: CleanupOf::Preset(CleanupPreset::ContainerImages),
            older_than: Duration::ZERO,
            keep_newest: 0,
            at_most: None,
            at_least: 0,
        };
        assert_eq!(ids(&all), ["old", "mid", "new"]);
        let older_than = Duration::from_secs(200);
        assert_eq!(
            ids(&Cleanup {
                older_than,
                ..all.clone()
            }),
            ["old", "mid"]
        );
        assert_eq!(
            ids(&Cleanup {
                keep_newest: 2,
                ..all.clone()
            }),
            ["old"]
        );
        assert_eq!(
            ids(&Cleanup {
                at_most: Some(49),
                ..all.clone()
            }),
            ["old"]
        );
        assert_eq!(
            ids(&Cleanup {
                at_most: Some(50),
                ..all
            }),
            ["old", "mid"]
        );
    }

    #[test]
    fn what_other_images_need_is_not_freed() {
        let docker =
            r#"[{"Id":"sha256:aa","Created":1,"Size":300,"SharedSize":100,"RepoTags":null}]"#;
        let images: Vec<Image> = serde_json::from_str(docker).unwrap();
        assert_eq!(images[0].bytes(), 200);
        let old = r#"[{"Id":"aa","Created":1,"Size":300,"SharedSize":-1}]"#;
        let images: Vec<Image> = serde_json::from_str(old).unwrap();
        assert_eq!(images[0].bytes(), 300);
    }

    #[test]
    fn answers_are_read_to_their_end_and_their_reason_is_told() {
        let answer = b"HTTP/1.0 409 Conflict\r\nContent-Type: x\r\n\r\n{\"message\":\"in use\"}";
        let (status, body) = parsed(answer).unwrap();
        assert_eq!((status, said(status, &body)), (409, "in use".to_owned()));
        assert_eq!(said(500, b"<html>"), "status 500");
        assert!(parsed(b"SSH-2.0-OpenSSH").is_none());
    }
}
