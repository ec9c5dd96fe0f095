//! What talking to somebody over the network needs: a secret, whom to trust, and
//! where a name leads. For alerts and for a model's server alike.

pub mod names;
pub mod tls;

pub use prunella_secret as secret;
