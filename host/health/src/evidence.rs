//! What a value says, as a sentence.

use prunella_core::health::{Metric, Quantity, Reading, Source, Subject, Whole};

/// A sentence without its full stop: what was measured of whom, and its limit.
pub(crate) fn sentence(subject: &Subject, reading: &Reading, threshold: u64) -> String {
    let shown = |value| reading.metric.shown(value);
    let measured = match subject {
        Subject::Host => of_host(reading),
        Subject::Unit(_) => of_service(reading),
    };
    let source = match reading.source {
        Source::Accounts => "",
        Source::Processes => " (added up over its processes)",
    };
    if reading.metric.quantity() == Quantity::Flag {
        return format!("{measured}{source}");
    }
    format!("{measured}{source}, with a limit of {}", shown(threshold))
}

fn of_service(reading: &Reading) -> String {
    let value = reading.metric.shown(reading.value);
    match (reading.metric, reading.whole) {
        (Metric::CpuPermille, Whole::Host) => format!("it uses {value} of the host's CPU"),
        (Metric::CpuPermille, Whole::Limit(quota)) => format!(
            "it uses {value} of its CPU quota of {}",
            Metric::CpuCorePermille.shown(quota)
        ),
        (Metric::CpuCorePermille, _) => format!("it uses {value} of one CPU core"),
        (Metric::ThrottledPermille, _) => {
            format!("it had used up its CPU quota in {value} of all periods")
        }
        (Metric::MemoryPermille, Whole::Host) => format!("it uses {value} of the host's memory"),
        (Metric::MemoryPermille, Whole::Limit(limit)) => format!(
            "it uses {value} of its memory limit of {}",
            Metric::MemoryBytes.shown(limit)
        ),
        (Metric::MemoryBytes, _) => format!("it uses {value} of memory"),
        (Metric::SwapBytes, _) => format!("{value} of its memory are swapped out"),
        (Metric::PressureCpuPermille, _) => format!("it waits for CPU {value} of the time"),
        (Metric::PressureMemoryPermille, _) => format!("it waits for memory {value} of the time"),
        (Metric::PressureIoPermille, _) => format!("it waits for I/O {value} of the time"),
        (Metric::Processes, _) => format!("it has {value} processes"),
        (Metric::TasksPermille, _) => format!("it has {value} of the tasks it may have"),
        (Metric::DescriptorsPermille, _) => {
            format!("one of its processes has {value} of the files open that it may open")
        }
        (Metric::LogLinesPerMinute, _) => format!("it logs lines at a rate of {value}"),
        (Metric::LogErrorsPerMinute, _) => format!("it logs errors at a rate of {value}"),
        (Metric::LogMatchesPerMinute, _) => {
            let pattern = reading.instance.as_deref().unwrap_or_default();
            format!("it logs lines with pattern `{pattern}` at a rate of {value}")
        }
        (Metric::RequestsPerMinute, _) => {
            format!("it gets requests at a rate of {value}, by its own count")
        }
        (Metric::RequestErrorsPermille, _) => {
            format!("{value} of its requests fail, by its own count")
        }
        (Metric::RequestLatencyMs, _) => format!("its requests take {value}, by its own count"),
        (metric, _) => format!("its value of {} is {value}", metric.title()),
    }
}

fn of_host(reading: &Reading) -> String {
    let value = reading.metric.shown(reading.value);
    let instance = reading.instance.as_deref().unwrap_or_default();
    match reading.metric {
        Metric::CpuPermille => format!("{value} of the CPU is in use"),
        Metric::LoadMilli => format!("the load is {value}"),
        Metric::MemoryPermille => format!("{value} of the memory is in use"),
        Metric::SwapPermille => format!("{value} of the swap is in use"),
        Metric::PressureCpuPermille => format!("something waits for CPU {value} of the time"),
        Metric::PressureMemoryPermille => {
            format!("something waits for memory {value} of the time")
        }
        Metric::PressureIoPermille => format!("something waits for I/O {value} of the time"),
        Metric::DiskPermille => format!("{instance} is {value} full"),
        Metric::InodesPermille => format!("{value} of the inodes of {instance} are in use"),
        Metric::FileHandlesPermille => format!("{value} of the file handles are in use"),
        Metric::Processes => format!("there are {value} processes"),
        Metric::Zombies => format!("there are {value} zombies"),
        Metric::FailedUnits => format!("{value} units have failed that are in nobody's care"),
        Metric::ClockUnsynchronized => "nothing keeps the clock right".to_owned(),
        Metric::TemperatureCelsius => format!("sensor {instance} measures {value}"),
        Metric::InterfaceErrors => {
            format!("{value} packets of interface {instance} were damaged")
        }
        Metric::LinkDown => format!("interface {instance} has no link"),
        Metric::DiskFailing => format!("disk {instance} says that it is failing (SMART)"),
        Metric::GpuPermille => format!("GPU {instance} is busy {value} of the time"),
        Metric::GpuMemoryPermille => {
            format!("{value} of the memory of GPU {instance} is in use")
        }
        Metric::GpuTemperatureCelsius => format!("GPU {instance} measures {value}"),
        Metric::GpuEccErrors => format!(
            "GPU {instance} could not correct {value} errors of its memory since its driver was \
             loaded"
        ),
        Metric::GpuXidErrors => {
            format!("the kernel logged {value} errors of GPU {instance} within the last hour (Xid)")
        }
        metric => format!("the value of {} is {value}", metric.title()),
    }
}
