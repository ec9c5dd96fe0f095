//! What `smartctl --json --health` says of a disk.

use serde::Deserialize;

/// Bits of smartctl's exit status (smartctl(8), "EXIT STATUS").
const NOT_UNDERSTOOD: i32 = 1;
const FAILING: i32 = 1 << 3;

/// How a disk is, by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Well,
    Failing,
    /// It sleeps, or did not answer.
    NotNow,
    /// It is of a kind that has no such word.
    CannotSay,
}

#[derive(Debug, Deserialize)]
struct Report {
    smart_status: Option<SmartStatus>,
}

#[derive(Debug, Deserialize)]
struct SmartStatus {
    passed: Option<bool>,
}

pub(super) fn verdict(exit_code: Option<i32>, output: &[u8]) -> Verdict {
    let status = exit_code.unwrap_or(0);
    let passed = serde_json::from_slice::<Report>(output)
        .ok()
        .and_then(|report| report.smart_status?.passed);
    match passed {
        Some(true) => Verdict::Well,
        Some(false) => Verdict::Failing,
        None if status & FAILING != 0 => Verdict::Failing,
        None if status & NOT_UNDERSTOOD != 0 => Verdict::CannotSay,
        None => Verdict::NotNow,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As smartctl 7.3 has it of a SATA disk, in short.
    const SATA: &str = r#"{"json_format_version":[1,0],"smartctl":{"version":[7,3],"argv":["smartctl","--json=c","--health","--nocheck=standby","/dev/sda"],"exit_status":0},"device":{"name":"/dev/sda","info_name":"/dev/sda [SAT]","type":"sat","protocol":"ATA"},"smart_status":{"passed":true}}"#;

    /// Of an NVMe disk that is failing, as smartctl_exporter (Apache-2.0) has recorded one
    /// (`testdata/nvme-null-SAMSUNG_MZWLL3T2HAJQ-00005-nvme0.json`), in short.
    const NVME: &str = r#"{"json_format_version":[1,0],"smartctl":{"version":[7,3],"exit_status":8},"device":{"name":"/dev/nvme0","info_name":"/dev/nvme0","type":"nvme","protocol":"NVMe"},"smart_status":{"passed":false,"nvme":{"value":16,"spare_below_threshold":false,"temperature_above_or_below_threshold":false,"reliability_degraded":false,"media_read_only":false,"volatile_memory_backup_failed":true,"persistent_memory_region_unreliable":false,"other":0}}}"#;

    /// As smartctl 7.3 says of a disk that is asleep, and of a virtual one.
    const ASLEEP: &str = r#"{"json_format_version":[1,0],"smartctl":{"version":[7,3],"messages":[{"string":"Device is in STANDBY mode, exit(2)","severity":"information"}],"exit_status":2},"device":{"name":"/dev/sda","info_name":"/dev/sda [SAT]","type":"sat","protocol":"ATA"}}"#;
    const VIRTUAL: &str = r#"{"json_format_version":[1,0],"smartctl":{"version":[7,3],"messages":[{"string":"/dev/vda: Unable to detect device type","severity":"error"}],"exit_status":1}}"#;

    #[rstest]
    #[case::well(0, SATA, Verdict::Well)]
    #[case::failing(8, NVME, Verdict::Failing)]
    #[case::asleep(2, ASLEEP, Verdict::NotNow)]
    #[case::a_virtual_disk(1, VIRTUAL, Verdict::CannotSay)]
    // Well, and with errors in its log: what counts is its word.
    #[case::errors_of_the_past(64, SATA, Verdict::Well)]
    // What comes of a long text is its end.
    #[case::cut_off(8, "\"passed\":false}}", Verdict::Failing)]
    #[case::nothing(4, "", Verdict::NotNow)]
    fn verdicts(#[case] exit_code: i32, #[case] output: &str, #[case] expected: Verdict) {
        assert_eq!(verdict(Some(exit_code), output.as_bytes()), expected);
    }
}
