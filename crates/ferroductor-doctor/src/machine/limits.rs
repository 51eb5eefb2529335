//! What a container or a control group leaves to a compilation.
//!
//! What must hold: the limit that counts is the lowest on the way from this
//! process's own group to the root, in version 1 and 2 of control groups.

use ferroductor_toolchain::System;
use serde::Serialize;
use std::path::Path;

#[derive(Debug, Clone, Default, Serialize)]
pub struct Limits {
    pub container: bool,
    pub memory_bytes: Option<u64>,
    /// Processes of this group that were killed for memory.
    pub killed: Option<u64>,
    /// Processors' worth of time.
    pub cpus: Option<f64>,
    pub processes: Option<u64>,
}

const ROOT: &str = "/sys/fs/cgroup";

/// Asks the machine.
pub fn examine(system: &dyn System) -> Limits {
    let container = system.exists(Path::new("/.dockerenv"))
        || system.exists(Path::new("/run/.containerenv"))
        || system.env("KUBERNETES_SERVICE_HOST").is_some()
        || system.env("container").is_some();
    let own = system.read_text("/proc/self/cgroup").unwrap_or_default();
    let memory = folders(&own, "memory");
    let cpu = folders(&own, "cpu");
    let pids = folders(&own, "pids");
    Limits {
        container,
        memory_bytes: lowest(system, &memory, &["memory.max", "memory.limit_in_bytes"])
            // Version 1 writes a huge number for "no limit".
            .filter(|m| *m < 1 << 50),
        killed: killed(system, &memory).filter(|k| *k > 0),
        cpus: cpus(system, &cpu),
        processes: lowest(system, &pids, &["pids.max"]),
    }
}

/// The folders of a controller, from this process's group up to the root.
fn folders(own: &str, controller: &str) -> Vec<String> {
    let mut all = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(names), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let mounted = match names {
            "" => String::new(),
            names if names.split(',').any(|n| n == controller) => format!("/{controller}"),
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            all.push(format!("{ROOT}{mounted}{path}"));
            match path.rfind('/') {
                Some(cut) => path = &path[..cut],
                None => break,
            }
        }
    }
    if all.is_empty() {
        all.push(ROOT.to_owned());
    }
    all
}

fn number(system: &dyn System, path: &str) -> Option<u64> {
    system.read_text(path)?.trim().parse().ok()
}

fn lowest(system: &dyn System, folders: &[String], names: &[&str]) -> Option<u64> {
    let files = folders
        .iter()
        .flat_map(|f| names.iter().map(move |n| format!("{f}/{n}")));
    files.filter_map(|file| number(system, &file)).min()
}

/// How often this group itself was short of memory; its parents' other children do not count.
fn killed(system: &dyn System, folders: &[String]) -> Option<u64> {
    let own = folders.first()?;
    ["memory.events", "memory.oom_control"]
        .iter()
        .filter_map(|name| system.read_text(&format!("{own}/{name}")))
        .find_map(|text| {
            let line = text.lines().find_map(|l| l.strip_prefix("oom_kill "))?;
            line.trim().parse().ok()
        })
}

fn cpus(system: &dyn System, folders: &[String]) -> Option<f64> {
    let version_2 = |folder: &String| {
        let text = system.read_text(&format!("{folder}/cpu.max"))?;
        let (quota, period) = text.trim().split_once(' ')?;
        Some((quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?))
    };
    let version_1 = |folder: &String| {
        let quota = number(system, &format!("{folder}/cpu.cfs_quota_us"))?;
        let period = number(system, &format!("{folder}/cpu.cfs_period_us"))?;
        Some((quota as f64, period as f64))
    };
    folders
        .iter()
        .filter_map(|f| version_2(f).or_else(|| version_1(f)))
        .filter(|(_, period)| *period > 0.0)
        .map(|(quota, period)| quota / period)
        .reduce(f64::min)
}

impl Limits {
    /// The limits as one line.
    pub fn line(&self) -> String {
        let mut parts = Vec::new();
        if self.container {
            parts.push("container".to_owned());
        }
        if let Some(bytes) = self.memory_bytes {
            parts.push(format!("memory {} MiB", bytes >> 20));
        }
        if let Some(killed) = self.killed {
            parts.push(format!("{killed} killed for memory"));
        }
        if let Some(cpus) = self.cpus {
            parts.push(format!("{cpus:.1} CPUs"));
        }
        if let Some(processes) = self.processes {
            parts.push(format!("{processes} processes"));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferroductor_toolchain::fake::FakeSystem;

    #[test]
    fn the_lowest_limit_on_the_way_to_the_root_counts() {
        let system = FakeSystem::default()
            .with_file("/proc/self/cgroup", "0::/a/b\n")
            .with_file("/sys/fs/cgroup/a/b/memory.max", "max\n")
            .with_file("/sys/fs/cgroup/a/memory.max", "157286400\n")
            .with_file("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n")
            .with_file("/sys/fs/cgroup/a/b/memory.events", "oom 1\noom_kill 2\n");
        let limits = examine(&system);
        assert_eq!(limits.memory_bytes, Some(150 << 20));
        assert_eq!(limits.cpus, Some(0.5));
        assert_eq!(limits.killed, Some(2));
    }

    #[test]
    fn version_1_is_read_and_its_huge_number_is_no_limit() {
        let system = FakeSystem::default()
            .with_file("/proc/self/cgroup", "4:memory:/x\n1:cpu,cpuacct:/\n")
            .with_file(
                "/sys/fs/cgroup/memory/x/memory.limit_in_bytes",
                "9223372036854771712\n",
            )
            .with_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
        let limits = examine(&system);
        assert_eq!(limits.memory_bytes, None);
        assert_eq!(limits.cpus, None);
    }
}
