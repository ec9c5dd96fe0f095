//! A readable report of an incident.
