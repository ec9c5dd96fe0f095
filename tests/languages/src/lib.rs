//! Strategies in other languages than Rust, in the real engine.
