//! What became of each node of a graph, and what the compilation cost.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Who executes a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A kernel of ours.
    Native,
    /// A library's routine, called directly.
    Library,
    /// An ATen operator.
    Aten,
    /// Nothing: a view, a size, a pick of a result, an input or constant.
    Free,
}

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Class::Native => "native",
            Class::Library => "library",
            Class::Aten => "aten",
            Class::Free => "free",
        }
    }
}

/// One node of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    pub name: String,
    pub target: String,
    pub class: Class,
    /// Why it is not native, or what it was fused into.
    pub reason: String,
}

/// Time of one stage of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub name: &'static str,
    pub time: Duration,
}

/// Time in one kernel or operator of the program, over all calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    pub name: String,
    pub class: Class,
    pub calls: u64,
    pub time: Duration,
}

/// One compiled graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphReport {
    pub name: String,
    pub phase: &'static str,
    pub nodes: Vec<NodeReport>,
    /// Kernel launches in the program.
    pub launches: usize,
    /// Kernels compiled: equal ones count once.
    pub kernels: usize,
    /// ATen and library calls in the program.
    pub calls: usize,
    /// Bytes of the arena with the example's sizes, where they are static.
    pub arena_bytes: Option<u64>,
    pub stages: Vec<Stage>,
    /// Kernels and operators in the order they run; timed only if the option `profile` is set.
    pub steps: Vec<StepReport>,
    /// Remarks of the compiler, such as why two loops were not fused.
    pub notes: Vec<String>,
    /// Set if compilation failed and the graph runs in eager.
    pub failure: Option<String>,
}

impl GraphReport {
    pub fn count(&self, class: Class) -> usize {
        self.nodes.iter().filter(|n| n.class == class).count()
    }

    pub fn time(&self) -> Duration {
        self.stages.iter().map(|s| s.time).sum()
    }

    /// Nodes outside our kernels: `(class, target, reason)` with their number.
    pub fn outside(&self) -> BTreeMap<(Class, &str, &str), usize> {
        let mut counts = BTreeMap::new();
        for node in &self.nodes {
            if matches!(node.class, Class::Library | Class::Aten) {
                *counts
                    .entry((node.class, node.target.as_str(), node.reason.as_str()))
                    .or_insert(0) += 1;
            }
        }
        counts
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "{} ({})", self.name, self.phase)?;
        if let Some(failure) = &self.failure {
            return writeln!(text, "  runs in eager: {failure}");
        }
        writeln!(
            text,
            "  nodes: {} native, {} library, {} aten, {} free",
            self.count(Class::Native),
            self.count(Class::Library),
            self.count(Class::Aten),
            self.count(Class::Free),
        )?;
        writeln!(
            text,
            "  program: {} kernel launches ({} different kernels), {} calls",
            self.launches, self.kernels, self.calls
        )?;
        if let Some(bytes) = self.arena_bytes {
            writeln!(
                text,
                "  arena: {:.1} MiB",
                bytes as f64 / f64::from(1 << 20)
            )?;
        }
        for ((class, target, reason), count) in self.outside() {
            let because = if reason.is_empty() { "" } else { ": " };
            writeln!(
                text,
                "  {:<8}{count:>4} × {target}{because}{reason}",
                class.name()
            )?;
        }
        let stages: Vec<String> = self
            .stages
            .iter()
            .map(|s| format!("{} {:.1}", s.name, milliseconds(s.time)))
            .collect();
        writeln!(
            text,
            "  compiled in {:.1} ms ({})",
            milliseconds(self.time()),
            stages.join(", ")
        )?;
        self.write_times(text)?;
        for (reason, (count, example)) in self.grouped_notes() {
            match count {
                1 => writeln!(text, "  note: {example}")?,
                _ => {
                    let subject = example.strip_suffix(reason).unwrap_or(example);
                    writeln!(
                        text,
                        "  note: {count} × {reason} ({}, …)",
                        subject.trim_end_matches(": ")
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Where the time of the calls goes: equal names together, longest first.
    fn write_times(&self, text: &mut String) -> std::fmt::Result {
        let mut rows: BTreeMap<(Class, &str), (u64, Duration)> = BTreeMap::new();
        for step in self.steps.iter().filter(|s| s.calls > 0) {
            let row = rows.entry((step.class, &step.name)).or_default();
            row.0 += step.calls;
            row.1 += step.time;
        }
        let total: Duration = rows.values().map(|row| row.1).sum();
        if total.is_zero() {
            return Ok(());
        }
        let share = |time: Duration| 100.0 * time.as_secs_f64() / total.as_secs_f64();
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.1.1));
        let ours = |class| rows.iter().filter(move |row| row.0.0 == class);
        let native: Duration = ours(Class::Native).map(|row| row.1.1).sum();
        writeln!(
            text,
            "  ran for {:.1} ms, {:.0} % of it in native kernels",
            milliseconds(total),
            share(native)
        )?;
        for ((class, name), (calls, time)) in rows {
            writeln!(
                text,
                "  {:>5.1} % {:>10.3} ms {calls:>6} × {:<8}{name}",
                share(time),
                milliseconds(time),
                class.name()
            )?;
        }
        Ok(())
    }

    /// Notes by what follows their subject: how many, and the first.
    fn grouped_notes(&self) -> BTreeMap<&str, (usize, &str)> {
        let mut groups: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for note in &self.notes {
            let reason = note.split_once(": ").map_or(note.as_str(), |parts| parts.1);
            groups.entry(reason).or_insert((0, note)).0 += 1;
        }
        groups
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// One line over several graphs.
pub fn totals<'r>(reports: impl IntoIterator<Item = &'r GraphReport>) -> String {
    let mut counts: BTreeMap<Class, usize> = BTreeMap::new();
    let (mut graphs, mut failed, mut kernels, mut time) = (0, 0, 0, Duration::ZERO);
    for report in reports {
        graphs += 1;
        failed += usize::from(report.failure.is_some());
        kernels += report.kernels;
        time += report.time();
        for node in &report.nodes {
            *counts.entry(node.class).or_insert(0) += 1;
        }
    }
    let count = |class| counts.get(&class).copied().unwrap_or(0);
    format!(
        "{graphs} graphs ({failed} in eager), {} native nodes, {} library, {} aten, {kernels} kernels, \
         {:.1} ms",
        count(Class::Native),
        count(Class::Library),
        count(Class::Aten),
        milliseconds(time)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_what_is_outside_and_why() {
        let node = |target: &str, class, reason: &str| NodeReport {
            name: "n".into(),
            target: target.into(),
            class,
            reason: reason.into(),
        };
        let report = GraphReport {
            name: "inference_0".into(),
            phase: "inference",
            nodes: vec![
                node("aten.sort.stable", Class::Aten, "no native code"),
                node("aten.sort.stable", Class::Aten, "no native code"),
                node("aten.add.Tensor", Class::Native, ""),
            ],
            ..GraphReport::default()
        };
        let text = report.text();
        assert!(
            text.contains("2 × aten.sort.stable: no native code"),
            "{text}"
        );
        assert!(text.contains("1 native"), "{text}");
        let failed = GraphReport {
            failure: Some("why".into()),
            ..report
        };
        assert!(failed.text().contains("runs in eager: why"));
        assert!(totals([&failed]).contains("1 in eager"));
    }
}
