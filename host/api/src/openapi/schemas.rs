//! The fields of bodies.

use utoipa::openapi::{
    ObjectBuilder, RefOr, Schema,
    schema::{AdditionalProperties, ArrayBuilder, SchemaType, Type},
};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Whole, and not negative.
    Number,
    Flag,
    Object,
    List,
}

/// Whether a field is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
    /// It may be `null`.
    Nullable,
    /// It may be left out, or `null`.
    Optional,
}

/// A field of an object.
pub(super) type Field = (&'static str, Kind, Presence);

use Kind::{Flag, List, Number, Object, Text};
use Presence::{Always, Nullable, Optional};

impl Kind {
    fn json_type(self) -> Type {
        match self {
            Self::Text => Type::String,
            Self::Number => Type::Integer,
            Self::Flag => Type::Boolean,
            Self::Object => Type::Object,
            Self::List => Type::Array,
        }
    }

    pub(super) fn schema(self) -> RefOr<Schema> {
        self.as_field(Always)
    }

    fn as_field(self, presence: Presence) -> RefOr<Schema> {
        let plain = self.json_type();
        let schema_type = match presence {
            Always => SchemaType::Type(plain),
            Nullable | Optional => SchemaType::Array(vec![plain, Type::Null]),
        };
        RefOr::T(match self {
            List => Schema::Array(ArrayBuilder::new().schema_type(schema_type).build()),
            _ => Schema::Object(ObjectBuilder::new().schema_type(schema_type).build()),
        })
    }
}

/// An object with these fields, and perhaps with more of a newer version.
pub(super) fn object(fields: &[Field]) -> Schema {
    Schema::Object(builder(fields).build())
}

/// An object with these fields and no others.
pub(super) fn closed_object(fields: &[Field]) -> Schema {
    let closed = builder(fields);
    let none: AdditionalProperties<Schema> = AdditionalProperties::FreeForm(false);
    Schema::Object(closed.additional_properties(Some(none)).build())
}

fn builder(fields: &[Field]) -> ObjectBuilder {
    fields.iter().fold(
        ObjectBuilder::new().schema_type(Type::Object),
        |object, (name, kind, presence)| {
            let object = object.property(*name, kind.as_field(*presence));
            if *presence == Optional {
                object
            } else {
                object.required(*name)
            }
        },
    )
}

/// Every object that is answered, by name.
pub(super) const ANSWERS: &[(&str, &[Field])] = &[
    (
        "Problem",
        &[
            ("type", Text, Always),
            ("title", Text, Always),
            ("status", Number, Always),
            ("detail", Text, Always),
            ("help", Text, Optional),
            ("retry_after_s", Number, Optional),
        ],
    ),
    ("Alive", &[("status", Text, Always)]),
    (
        "Status",
        &[
            ("at", Number, Always),
            ("version", Text, Always),
            ("daemon", Object, Nullable),
            ("host", Object, Always),
            ("services", List, Always),
            ("day", Object, Always),
            ("pauses", List, Always),
            ("expected_work", List, Always),
            ("needs_people", List, Always),
            ("awaiting_grant", List, Always),
            ("alarms", List, Always),
            ("notices", List, Always),
        ],
    ),
    (
        "Service",
        &[
            ("unit", Text, Always),
            ("domain", Text, Nullable),
            ("critical", Flag, Always),
            ("state", Text, Nullable),
            ("sub_state", Text, Nullable),
            ("up", Flag, Nullable),
            ("health", Object, Nullable),
            ("since", Number, Nullable),
            ("ports", List, Always),
            ("paused", Flag, Always),
            ("open_incident", Text, Nullable),
            ("waits", Object, Nullable),
            ("failed_over_to", Text, Optional),
            ("last_healing", Object, Nullable),
        ],
    ),
    (
        "ServiceDetail",
        &[
            ("at", Number, Always),
            ("service", Object, Always),
            ("description", Text, Nullable),
            ("main_pid", Number, Nullable),
            ("says", Text, Nullable),
            ("watchdog", Object, Nullable),
            ("declared", Object, Always),
            ("probes", List, Always),
            ("budget", Object, Always),
            ("pauses", List, Always),
            ("expected_work", Object, Nullable),
            ("applied", List, Always),
            ("failure", Object, Nullable),
            ("needs_people", Object, Nullable),
            ("denied", Flag, Always),
            ("denied_until", Number, Optional),
            ("incidents", List, Always),
            ("obstacles", List, Always),
        ],
    ),
    (
        "Health",
        &[
            ("at", Number, Always),
            ("last_known", Flag, Always),
            ("host", Object, Nullable),
            ("services", List, Always),
        ],
    ),
    (
        "HealthDetail",
        &[
            ("at", Number, Always),
            ("last_known", Flag, Always),
            ("service", Object, Always),
            ("transitions", List, Always),
        ],
    ),
    (
        "Metrics",
        &[
            ("at", Number, Always),
            ("interval_ms", Number, Nullable),
            ("metrics", List, Always),
        ],
    ),
    (
        "MetricHistory",
        &[
            ("subject", Text, Always),
            ("metric", Text, Always),
            ("since", Number, Always),
            ("until", Number, Always),
            ("series", List, Always),
        ],
    ),
    (
        "Summary",
        &[
            ("id", Text, Always),
            ("unit", Text, Always),
            ("at", Number, Always),
            ("kind", Text, Always),
            ("cause", Text, Always),
            ("ended", Text, Nullable),
            ("ended_at", Number, Nullable),
            ("why", Text, Nullable),
            ("left_alone", Text, Nullable),
            ("strategy", Text, Nullable),
            ("recovered_after_us", Number, Nullable),
            ("attempt", Number, Always),
            ("people_asked", Text, Nullable),
        ],
    ),
    (
        "Record",
        &[
            ("incident", Object, Always),
            ("steps", List, Always),
            ("ending", Object, Nullable),
        ],
    ),
    (
        "Records",
        &[("records", List, Always), ("next", Number, Nullable)],
    ),
    (
        "Achieved",
        &[
            ("unit", Text, Always),
            ("cause", Text, Always),
            ("fingerprint", Text, Always),
            ("sample", Text, Always),
            ("strategy", Text, Always),
            ("tries", Number, Always),
            ("proofs", Number, Always),
            ("relapses", Number, Always),
            ("last_at", Number, Always),
        ],
    ),
    (
        "Plugin",
        &[
            ("name", Text, Always),
            ("source", Text, Always),
            ("state", Text, Always),
            ("version", Text, Nullable),
            ("signature", Text, Nullable),
            ("sha256", Text, Nullable),
            ("granted", List, Always),
            ("imports", List, Nullable),
            ("not_granted", List, Always),
            ("why", Text, Nullable),
            ("declared_at", Text, Nullable),
        ],
    ),
    (
        "Approval",
        &[
            ("id", Text, Always),
            ("proposal", Object, Always),
            ("why", Text, Always),
            ("plan", Object, Optional),
            ("asked_at", Number, Always),
            ("until", Number, Always),
            ("state", Text, Always),
            ("by", Text, Nullable),
            ("reason", Text, Nullable),
        ],
    ),
    (
        "ExpectedWork",
        &[
            ("unit", Text, Always),
            ("since", Number, Always),
            ("until", Number, Always),
            ("reason", Text, Always),
            ("by", Text, Always),
            ("metrics", List, Always),
        ],
    ),
    (
        "Alert",
        &[
            ("channel", Text, Always),
            ("state", Text, Always),
            ("created", Number, Always),
            ("tries", Number, Always),
            ("tried", Number, Nullable),
            ("next", Number, Nullable),
            ("detail", Text, Nullable),
            ("message", Object, Always),
        ],
    ),
    (
        "Order",
        &[
            ("seq", Number, Always),
            ("at", Number, Always),
            ("by", Text, Always),
            ("via", Text, Always),
            ("method", Text, Always),
            ("address", Text, Always),
            ("order", Text, Optional),
            ("status", Number, Always),
            ("peer", Text, Optional),
        ],
    ),
    (
        "Key",
        &[
            ("name", Text, Always),
            ("role", Text, Always),
            ("unit", Text, Nullable),
            ("created_at", Number, Always),
            ("created_by", Text, Always),
            ("expires_at", Number, Nullable),
            ("last_used_at", Number, Nullable),
        ],
    ),
    (
        "AddedKey",
        &[("key", Text, Always), ("info", Object, Always)],
    ),
    (
        "LoginLink",
        &[("token", Text, Always), ("expires_at", Number, Always)],
    ),
    (
        "NewSession",
        &[
            ("session", Text, Always),
            ("csrf_token", Text, Always),
            ("name", Text, Always),
            ("role", Text, Always),
            ("expires_at", Number, Always),
        ],
    ),
    (
        "Session",
        &[
            ("csrf_token", Text, Always),
            ("name", Text, Always),
            ("role", Text, Always),
            ("expires_at", Number, Always),
        ],
    ),
    (
        "Pause",
        &[
            ("unit", Text, Nullable),
            ("reason", Text, Always),
            ("by", Text, Always),
            ("since", Number, Always),
            ("until", Number, Nullable),
        ],
    ),
    (
        "Resumed",
        &[
            ("unit", Text, Nullable),
            ("was_paused", Flag, Always),
            ("still", Object, Nullable),
        ],
    ),
    (
        "Retried",
        &[
            ("messages", Number, Always),
            ("id", Text, Nullable),
            ("channel", Text, Nullable),
        ],
    ),
    (
        "ChannelTest",
        &[("channel", Text, Always), ("detail", Text, Always)],
    ),
    (
        "Reloaded",
        &[("services", Number, Always), ("strategies", Number, Always)],
    ),
    (
        "Undone",
        &[
            ("incident", Text, Always),
            ("unit", Text, Always),
            ("acts", List, Always),
        ],
    ),
    (
        "Accepted",
        &[
            ("incident", Text, Nullable),
            ("in_care", Flag, Always),
            ("mistake", Text, Nullable),
        ],
    ),
];
