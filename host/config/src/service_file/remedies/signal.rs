//! Reads `[[signal]]`.

use std::ops::Range;

use prunella_core::remedy::{Remedy, Signal, SignalName};

use crate::reader::{Reader, Section};

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(section, &["name", "signal"]);
    if !section.table.contains_key("signal") {
        reader.error_help(
            at.clone(),
            "[[signal]] has no signal",
            "add the one that the service handles, such as `signal = \"HUP\"`",
        );
        return None;
    }
    let words = SignalName::ALL.map(|signal| (signal.as_str(), signal));
    let signal = reader.one_of(section, "signal", &words)?;
    Some(Remedy::Signal(Signal { signal }))
}

#[cfg(test)]
mod tests {
    use prunella_core::remedy::{Remedy, Signal, SignalName};
    use rstest::rstest;

    use crate::tests::{load, service, shown};

    #[test]
    fn a_signal_is_read() {
        let text = "unit = \"web\"\n[[signal]]\nname = \"reread\"\nsignal = \"USR1\"\n";
        let loaded = load(&[("services.d/web.toml", text)]);
        assert_eq!(shown(&loaded), "");
        let config = loaded.config.unwrap();
        let service = &config.services["web.service"];
        let signal = SignalName::Usr1;
        assert_eq!(
            service.remedies["reread"],
            Remedy::Signal(Signal { signal })
        );
        assert!(
            service
                .strategies
                .iter()
                .any(|name| name.as_str() == "reload"),
            "it is tried by default"
        );
    }

    #[rstest]
    #[case::none("", "[[signal]] has no signal\n --> services.d/web.toml:2:1")]
    #[case::deadly(
        "signal = \"KILL\"",
        "`signal` cannot be `KILL`\n --> services.d/web.toml:4:10"
    )]
    #[case::long("signal = \"SIGHUP\"", "valid are: HUP, USR1, USR2")]
    #[case::key("signal = \"HUP\"\nto = \"all\"", "unknown key `to`")]
    fn mistakes(#[case] text: &str, #[case] says: &str) {
        let shown = service(&format!(
            "unit = \"web\"\n[[signal]]\nname = \"a\"\n{text}\n"
        ));
        assert!(shown.contains(says), "{shown}");
    }
}
