//! How much healing a service gets, as arithmetic on moments.
