//! What talking to somebody over the network needs: a secret, whom to trust, and
//! where a name leads. For alerts and for a model's server alike.

pub mod names;
pub mod secret;
pub mod tls;
