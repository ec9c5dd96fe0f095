//! Reports for people: text and HTML mail, from one typed report, by templates
//! that an operator can replace.
//!
//! What is to be told is a [`Notification`]: one incident, or one alert group of many
//! services, or a digest. [`Renderer::render`] makes a subject, a text and an
//! HTML page of it. It always answers: a template of the operator's that is
//! broken is left aside for the built-in one, and what is wrong with it is
//! [told](Rendered::warnings).
//!
//! - In HTML every value is escaped, whatever a template says: no template can
//!   let the markup of a log line through.
//! - In text every control character is escaped, and those that reorder or hide
//!   text.
//! - A template has a limited number of steps, and its output a limited length.

mod ahead;
mod format;
mod notification;
mod renderer;
mod report;
mod samples;
mod wrap;

pub use self::{
    ahead::forecast_in_words,
    notification::{Notification, RelatedIncident, StatusColour},
    renderer::{Rendered, Renderer},
    report::{
        Advice, Attempt, Command, Explanation, Grantable, HOUR, Importance, LOOK_BACK, Line, Mark,
        Moment, Obstacle, Often, Plot, Plotted, Proof, Recurrence, Report, ReportContext, StepText,
        StrategyOpinion, Tried, approve_command, degraded_headline, describe, headline,
        how_it_ended, how_it_failed, is_up, length, outage_headline, place_in_hour, planned_act,
        shown_act,
    },
};
