//! An authority and a server's certificate, made by the openssl program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

const CONFIG: &str = "
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
[server]
basicConstraints = critical, CA:FALSE
";

pub(super) struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    /// For a server of these names, such as `DNS:localhost,IP:127.0.0.1`.
    pub(super) fn new(names: &str) -> Self {
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let config = format!("{CONFIG}subjectAltName = {names}\n");
        fs::write(this.path("openssl.cnf"), config).unwrap();
        this.make("ca", "authority", &[]);
        this.make("server", "server", &["-CA", "ca.pem", "-CAkey", "ca.key"]);
        this
    }

    fn make(&self, name: &str, extensions: &str, more: &[&str]) {
        let made = Command::new("openssl")
            .current_dir(self.folder.path())
            .args(["req", "-x509", "-config", "openssl.cnf", "-days", "2"])
            .args([
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-noenc",
            ])
            .args(["-subj", &format!("/CN=Prunella test {name}")])
            .args(["-extensions", extensions])
            .args([
                "-keyout",
                &format!("{name}.key"),
                "-out",
                &format!("{name}.pem"),
            ])
            .args(more)
            .output()
            .expect("these tests need openssl: `cargo xtask setup` installs it");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    pub(super) fn server(&self) -> ServerConfig {
        let read = |path: &Path| fs::read(path).unwrap();
        let chain: Vec<CertificateDer> =
            CertificateDer::pem_slice_iter(&read(&self.path("server.pem")))
                .map(Result::unwrap)
                .collect();
        let key = PrivateKeyDer::from_pem_slice(&read(&self.path("server.key"))).unwrap();
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }
}
