//! What the system knows of this process. Where there is no `/proc`, only what the runtime knows.

use super::Readings;
use std::fs;

/// Ticks a second in `/proc/self/stat`. Source: proc_pid_stat(5); it is 100 on every Linux that is in use.
const TICKS_PER_S: f64 = 100.0;

/// Reads it, from now on.
pub(super) fn reader() -> impl Fn(&mut Readings) + Send + Sync + 'static {
    let started_s = crate::record::now_ms() as f64 / 1000.0;
    move |to| {
        let start = "When the process began to count, in seconds since 1970";
        to.gauge("process_start_time_seconds", start, &[], started_s);
        if let Some(bytes) = resident() {
            to.gauge("process_resident_memory_bytes", "Memory in use", &[], bytes as f64);
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // One of them is the list itself.
            let open = open.count().saturating_sub(1);
            to.gauge("process_open_fds", "Descriptors in use", &[], open as f64);
        }
        if let Some(most) = most_fds() {
            to.gauge("process_max_fds", "Descriptors that may be in use", &[], most);
        }
        if let Some(busy) = busy_s() {
            to.seconds("process_cpu_seconds", "Processor time that was used", &[], busy);
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tasks = runtime.metrics().num_alive_tasks();
            to.gauge("unigate_tasks", "Tasks of the runtime that are alive", &[], tasks as f64);
        }
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        to.gauge("unigate_build_info", "Always 1", &version, 1.0);
    }
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn most_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn busy_s() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name may hold blanks and brackets; the fields begin behind the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_S)
}
