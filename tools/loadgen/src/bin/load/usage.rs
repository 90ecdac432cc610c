//! What the measured processes and the machine used, as Linux counts it.

use std::collections::{BTreeMap, BTreeSet};

/// Clock ticks per second in `/proc`: fixed at 100 for user space on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds and memory (KiB: current, peak) of the processes and all their descendants.
pub(crate) fn usage(pids: &[u32]) -> (f64, u64, u64) {
    let children = children();
    let mut waiting = pids.to_vec();
    let mut seen = BTreeSet::new();
    let (mut cpu, mut rss, mut peak) = (0.0, 0, 0);
    while let Some(pid) = waiting.pop() {
        if !seen.insert(pid) {
            continue;
        }
        waiting.extend(children.get(&pid).into_iter().flatten());
        let fields = stat(pid);
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        // User and system time: fields 14 and 15 of proc(5), counted from the state, which is field 3.
        cpu += (ticks(11) + ticks(12)) / TICKS_PER_SECOND;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        rss += kib(&status, "VmRSS:");
        peak += kib(&status, "VmHWM:");
    }
    (cpu, rss, peak)
}

/// The machine's CPU time since boot: (busy, total) ticks.
pub(crate) fn machine() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> =
        first.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let total: f64 = ticks.iter().sum();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    (total - idle, total)
}

fn children() -> BTreeMap<u32, Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        if let Some(parent) = stat(pid).get(1).and_then(|text| text.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// The fields of `/proc/PID/stat` behind the name, which may hold anything in its parentheses.
fn stat(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().map(str::to_owned).collect()
}

fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or_default()
}
