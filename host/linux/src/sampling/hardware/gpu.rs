//! What `nvidia-smi` prints of GPUs, and what the kernel logs of their errors (Xid).

use prunella_core::health::{Metric, Reading};

use crate::sampling::permille;

/// What is asked of each GPU.
pub(super) const FIELDS: &str = "pci.bus_id,utilization.gpu,memory.used,memory.total,\
     temperature.gpu,ecc.errors.uncorrected.volatile.total";

/// A line for each GPU, with the fields above. What a GPU does not have is `[N/A]` or `[Not
/// Supported]`, and of one that is lost everything is `[GPU is lost]`: no values.
pub(super) fn readings(output: &str) -> Vec<Reading> {
    output.lines().filter_map(gpu).flatten().collect()
}

fn gpu(line: &str) -> Option<Vec<Reading>> {
    let mut fields = line.split(',').map(str::trim);
    let name = bus(fields.next()?)?;
    let values: Vec<Option<u64>> = fields.map(|field| field.parse().ok()).collect();
    let [busy, used, total, celsius, ecc] = values.as_slice() else {
        return None;
    };
    let memory = used
        .zip(*total)
        .and_then(|(used, total)| permille(used, total));
    let readings = [
        (Metric::GpuPermille, busy.map(|percent| percent * 10)),
        (Metric::GpuMemoryPermille, memory),
        (Metric::GpuTemperatureCelsius, *celsius),
        (Metric::GpuEccErrors, *ecc),
    ];
    let of = |(metric, value): (Metric, Option<u64>)| {
        Some(Reading::new(metric, value?).in_instance(name.clone()))
    };
    Some(readings.into_iter().filter_map(of).collect())
}

/// Where a GPU is plugged in, as the kernel writes it: `0000:3b:00` of `00000000:3B:00.0`.
fn bus(text: &str) -> Option<String> {
    let text = text.split('.').next()?;
    let mut parts = text.split(':');
    let (domain, bus, device) = (parts.next()?, parts.next()?, parts.next()?);
    let domain = domain.get(domain.len().checked_sub(4)?..)?;
    let name = format!("{domain}:{bus}:{device}").to_ascii_lowercase();
    let is_hex = name.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
    (is_hex && parts.next().is_none() && name.len() == 10).then_some(name)
}

/// Errors that programs on a GPU make: an exception, a bad address, a reset channel, and the
/// end of a program whose memory is taken back. They say nothing of the hardware.
const OF_PROGRAMS: [u32; 5] = [13, 31, 43, 45, 68];

/// Which GPU a line of the kernel says to be ill, by `NVRM: Xid (PCI:0000:3b:00): 79, …`.
pub(in crate::sampling) fn xid(line: &str) -> Option<String> {
    let rest = line.trim_start().strip_prefix("NVRM: Xid (")?;
    let (place, rest) = rest.split_once("):")?;
    let number: String = rest
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let number: u32 = number.parse().ok()?;
    let place = place.strip_prefix("PCI:").unwrap_or(place);
    (!OF_PROGRAMS.contains(&number)).then(|| bus(place))?
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As `nvidia-smi --format=csv,noheader,nounits` prints them: a data centre's GPU with ECC,
    /// a desktop's without, and one that has fallen off the bus (formats of drivers 470 to 550,
    /// by NVIDIA's manual page and reports of users).
    const OUTPUT: &str = "00000000:3B:00.0, 35, 8080, 16160, 41, 0\n\
        00000000:AF:00.0, 100, 24000, 24576, 83, [N/A]\n\
        00000000:D8:00.0, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]\n";

    #[test]
    fn gpus_as_nvidia_smi_prints_them() {
        let found: Vec<(String, Metric, u64)> = readings(OUTPUT)
            .into_iter()
            .map(|it| (it.instance.unwrap(), it.metric, it.value))
            .collect();
        let [v100, desktop] = ["0000:3b:00", "0000:af:00"].map(str::to_owned);
        let expected = [
            (v100.clone(), Metric::GpuPermille, 350),
            (v100.clone(), Metric::GpuMemoryPermille, 500),
            (v100.clone(), Metric::GpuTemperatureCelsius, 41),
            (v100, Metric::GpuEccErrors, 0),
            (desktop.clone(), Metric::GpuPermille, 1_000),
            (desktop.clone(), Metric::GpuMemoryPermille, 976),
            (desktop, Metric::GpuTemperatureCelsius, 83),
        ];
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("")]
    #[case("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n")]
    #[case("No devices were found\n")]
    #[case("00000000:3B:00.0, 35\n")]
    #[case("Field \"pci.bus_id\" is not a valid field to query.\n")]
    fn no_gpus(#[case] output: &str) {
        assert_eq!(readings(output), []);
    }

    #[rstest]
    #[case::lost(
        "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
        Some("0000:3b:00")
    )]
    #[case::short(
        "NVRM: Xid (PCI:0000:44:00): 79, GPU has fallen off the bus",
        Some("0000:44:00")
    )]
    #[case::ecc(
        "NVRM: Xid (PCI:0000:3B:00): 48, pid=1234, DBE (double bit error) ECC Error",
        Some("0000:3b:00")
    )]
    #[case::of_a_program(
        "NVRM: Xid (PCI:0000:3b:00): 31, pid=4711, name=python3, Ch 00000008, MMU Fault",
        None
    )]
    #[case::other("NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.90.12", None)]
    #[case::odd("NVRM: Xid (PCI:zz): 79", None)]
    fn lines_of_the_kernel(#[case] line: &str, #[case] gpu: Option<&str>) {
        assert_eq!(xid(line).as_deref(), gpu);
    }
}
