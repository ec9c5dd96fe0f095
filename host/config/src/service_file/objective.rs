//! Reads `objective`: the share of its probes' questions that a service has to answer.

use prunella_core::{health::Objective, service::Service, text::one_line};

use crate::{
    reader::{Reader, Section},
    value,
};

pub(super) fn read(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    service: &Service,
) -> Option<Objective> {
    let (text, span) = reader.text(top, "objective", "99.9%")?;
    let objective = value::parts_per_million(text).and_then(Objective::answering);
    if objective.is_none() {
        let shown = one_line(text, 40);
        reader.error_help(
            span,
            format!("`{shown}` is not a share of questions to be answered"),
            "write a number from 50 to less than 100 with at most four digits behind the point, \
             and %: objective = \"99.9%\"",
        );
        return None;
    }
    if !service
        .own_probes()
        .any(|(_, probe)| probe.interval.is_some())
    {
        reader.warn(
            span,
            "`objective` has no effect without a probe",
            "add a [[probe]] that is asked all the time: it is the probes' answers that count",
        );
    }
    objective
}
