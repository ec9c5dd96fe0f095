//! Declared files.

use prunella_core::{
    Failure,
    capability::{
        Answer, EnvKey, FileStatus,
        files::{EnvKeys, MissingKeys, Sha256, Stat},
    },
    hash,
};

use crate::{File, file_model::file_status, world::World};

impl World {
    fn declared_file(&self, name: &str) -> Answer<&File> {
        self.service.file(name)?;
        self.files.get(name).ok_or_else(not_there)
    }

    /// A file that has content.
    fn existing_file(&self, name: &str) -> Answer<&File> {
        let file = self.declared_file(name)?;
        if file.exists {
            Ok(file)
        } else {
            Err(not_there())
        }
    }

    pub(super) fn stat(&self, stat: &Stat) -> Answer<FileStatus> {
        self.declared_file(&stat.name).map(file_status)
    }

    pub(super) fn sha256(&self, sha256: &Sha256) -> Answer<String> {
        let file = self.existing_file(&sha256.name)?;
        if file.secret {
            return Err(Failure::denied("secret", "the file is marked secret"));
        }
        Ok(hash::sha256(&file.content))
    }

    pub(super) fn env_keys(&self, keys: &EnvKeys) -> Answer<Vec<EnvKey>> {
        Ok(self.existing_file(&keys.name)?.env.clone())
    }

    pub(super) fn missing_keys(&self, keys: &MissingKeys) -> Answer<Vec<String>> {
        let file = self.existing_file(&keys.name)?;
        let is_set = |key: &String| file.env.iter().any(|set| set.name == *key && !set.empty);
        Ok(file
            .required
            .iter()
            .filter(|key| !is_set(key))
            .cloned()
            .collect())
    }
}

fn not_there() -> Failure {
    Failure::not_found("not-there", "the file is not there")
}
