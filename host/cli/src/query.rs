//! Asking and ordering: the daemon when one listens, else this process itself.

use std::{cell::OnceCell, time::Duration};

use prunella_api::{Answer, ApiError, Client, Orders, Queries};
use prunella_daemon::{LocalOrders, LocalQueries};

use crate::{
    exit::{Exit, Problem},
    output,
    paths::Paths,
};

/// Answers questions about host and incidents, and carries orders out.
pub(crate) struct Prunella<'a> {
    paths: &'a Paths,
    client: Client,
    /// Opened when first needed, and kept for `--watch`.
    local: OnceCell<LocalQueries>,
}

impl<'a> Prunella<'a> {
    pub(crate) fn new(paths: &'a Paths) -> Self {
        Self {
            paths,
            client: Client::new(&paths.run),
            local: OnceCell::new(),
        }
    }

    /// Asks a question.
    pub(crate) fn ask<T>(&self, question: impl Fn(&dyn Queries) -> Answer<T>) -> anyhow::Result<T> {
        first_the_daemon(
            &self.client,
            |client| question(client),
            || question(self.local()?),
        )
        .map_err(|error| explained(error, Needs::Reader))
    }

    /// Gives an order.
    pub(crate) fn order<T>(&self, order: impl Fn(&dyn Orders) -> Answer<T>) -> anyhow::Result<T> {
        first_the_daemon(
            &self.client,
            |client| order(client),
            || order(&LocalOrders::new(self.paths)),
        )
        .map_err(|error| explained(error, Needs::Root))
    }

    /// Lets the daemon take as long as `limit`.
    #[must_use]
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.client = self.client.within(limit);
        self
    }

    /// Whether a daemon listens.
    pub(crate) fn daemon_listens(&self) -> bool {
        self.client.listening()
    }

    fn local(&self) -> Answer<&LocalQueries> {
        if let Some(local) = self.local.get() {
            return Ok(local);
        }
        let opened = LocalQueries::of_command(self.paths)?;
        Ok(self.local.get_or_init(|| opened))
    }
}

/// The one fallback there is: what no daemon answers, this process does.
fn first_the_daemon<T>(
    client: &Client,
    by_daemon: impl FnOnce(&Client) -> Answer<T>,
    here: impl FnOnce() -> Answer<T>,
) -> Answer<T> {
    match by_daemon(client) {
        Err(ApiError::NotListening(_)) => here(),
        answer => answer,
    }
}

/// Who may do what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Root, and whoever is in the group of the readers.
    Reader,
    Root,
}

fn explained(error: ApiError, needs: Needs) -> anyhow::Error {
    if let ApiError::NotUnderstood(what) = &error {
        tracing::debug!("the daemon's answer is not understood: {what}");
        return Problem::new(
            Exit::Trouble,
            "the daemon that runs is of another version than this program",
        )
        .help("`sudo prunella setup` restarts it with this one")
        .into();
    }
    if matches!(error, ApiError::NoPermission(_)) && needs == Needs::Root {
        return Problem::new(Exit::NoPermission, "this command needs root")
            .help(output::with_sudo())
            .into();
    }
    if let ApiError::NoPermission(_) = &error {
        return Problem::new(Exit::NoPermission, "this user may not ask the daemon")
            .help(
                "run it with sudo, or let somebody add you to the group systemd-journal: \
                 `usermod -aG systemd-journal $USER`",
            )
            .because(error)
            .into();
    }
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_version_is_one_line_with_the_next_step() {
        let error = ApiError::NotUnderstood("missing field `subject`".to_owned());
        let error = explained(error, Needs::Reader);
        assert_eq!(
            crate::exit::explain(&error),
            "the daemon that runs is of another version than this program\n  help: `sudo prunella \
             setup` restarts it with this one"
        );
    }
}
