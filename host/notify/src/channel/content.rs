//! What the secrets of a channel must be, beyond being readable: a URL, keys of a signature.

use prunella_config::channels::{ChannelKind, ChannelSettings, Value, check_url};
use prunella_core::secret::SecretSource;

use super::signature;

/// What is wrong with what stands where `channel` is to read this secret, in words that do
/// not tell the secret. What this process may not read is not known.
pub fn wrong_with_secret(channel: &ChannelSettings, source: &SecretSource) -> Option<String> {
    let is_signature =
        matches!(&channel.kind, ChannelKind::Webhook { secret, .. } if secret == source);
    if let Some(wrong) = prunella_net::secret::wrong_with(source, is_signature) {
        return Some(wrong.to_owned());
    }
    if is_signature {
        let secrets = prunella_net::secret::read_lines(source).ok()?;
        return signature::wrong_with(&secrets);
    }
    let is_url = match &channel.kind {
        ChannelKind::Slack { url } | ChannelKind::Discord { url } | ChannelKind::Teams { url } => {
            url == source
        }
        ChannelKind::Webhook {
            url: Value::Secret(url),
            ..
        } => url == source,
        _ => false,
    };
    if !is_url {
        return None;
    }
    let url = prunella_net::secret::read(source).ok()?;
    let wrong = check_url(url.reveal(), channel.http.allow_http).err()?;
    Some(wrong.to_string())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use prunella_config::Config;

    use super::*;

    /// What is wrong with a secret of this content, which the channel has at this key.
    fn said(kind: &str, key: &str, content: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let file = path.display();
        let main = format!("[channel.c]\nkind = \"{kind}\"\n{key} = \"{file}\"\n");
        fs::write(folder.path().join("prunella.toml"), main).unwrap();
        let config = Config::load(folder.path()).config.unwrap();
        let channel = config.channels.values().next().unwrap();
        let wrong = wrong_with_secret(channel, &SecretSource::File(path));
        assert!(!wrong.as_deref().unwrap_or("").contains("hunter2"));
        wrong
    }

    #[test]
    fn the_url_of_a_webhook_must_be_one() {
        for kind in ["slack", "discord", "teams"] {
            let said = |content| said(kind, "url-file", content);
            assert_eq!(said("https://hooks.example.org/hunter2\n"), None);
            assert_eq!(said("http://127.0.0.1:8080/hunter2\n"), None);
            let whole = "it is not a URL: write it whole, beginning with https://";
            assert_eq!(said("hooks.example.org/hunter2\n").as_deref(), Some(whole));
            let open = said("http://hooks.example.org/hunter2\n").unwrap();
            assert!(open.contains("use https://"), "{open}");
        }
    }

    #[test]
    fn a_signature_needs_a_key() {
        let kind = "webhook\"\nurl = \"https://example.org/x";
        let said = |content| said(kind, "secret-file", content);
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
        assert_eq!(said(good), None);
        assert!(said("hunter2\n").unwrap().contains("base64"));
        assert!(
            said("whsec_aHVudGVyMg==\n")
                .unwrap()
                .contains("openssl rand")
        );
        // Each of several keys.
        assert!(said(&format!("{good}hunter2\n")).is_some());
    }
}
