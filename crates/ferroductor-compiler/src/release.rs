//! Where memory that is no longer needed is given back.
//!
//! What must hold afterwards: a buffer that owns a tensor is released once, after the last step
//! that touches it or a view of it, unless it leaves the program; nothing is touched after its
//! release.

use std::collections::HashMap;

use ferroductor_abi::{AtenArg, BufferId, Output, Place, Program, Step};

/// Inserts `Step::Release` after last uses. Existing releases are dropped first.
pub fn insert_releases(program: &mut Program) {
    let steps: Vec<Step> = std::mem::take(&mut program.steps)
        .into_iter()
        .filter(|s| !matches!(s, Step::Release { .. }))
        .collect();
    let last = last_uses(program, &steps);
    let mut dying: HashMap<usize, Vec<BufferId>> = HashMap::new();
    for (buffer, step) in last.iter().enumerate() {
        if let Some(step) = step
            && owns_tensor(program, buffer)
        {
            dying
                .entry(*step)
                .or_default()
                .push(BufferId(buffer as u32));
        }
    }
    for (at, step) in steps.into_iter().enumerate() {
        program.steps.push(step);
        for buffer in dying.remove(&at).unwrap_or_default() {
            program.steps.push(Step::Release { buffer });
        }
    }
}

fn owns_tensor(program: &Program, buffer: usize) -> bool {
    matches!(
        program.buffers[buffer].place,
        Place::Input(_) | Place::Output | Place::Aten { .. } | Place::View { .. }
    )
}

/// The last step that touches each buffer; `None` for what leaves the program or is never touched.
fn last_uses(program: &Program, steps: &[Step]) -> Vec<Option<usize>> {
    let mut last = vec![None; program.buffers.len()];
    for (at, step) in steps.iter().enumerate() {
        for_each_buffer(program, step, &mut |buffer| {
            mark(program, &mut last, buffer, Some(at))
        });
    }
    for output in &program.outputs {
        if let Output::Tensor(buffer) = output {
            mark(program, &mut last, *buffer, None);
        }
    }
    last
}

/// Marks a buffer and everything it is a view of.
fn mark(program: &Program, last: &mut [Option<usize>], buffer: BufferId, step: Option<usize>) {
    let mut at = buffer;
    loop {
        last[at.0 as usize] = step;
        match program.buffers[at.0 as usize].place {
            Place::View { of, .. } if of < at => at = of,
            _ => return,
        }
    }
}

/// Visits the buffers a step reads or writes.
pub fn for_each_buffer(program: &Program, step: &Step, visit: &mut dyn FnMut(BufferId)) {
    match step {
        Step::Kernel(launch) => launch.buffers.iter().for_each(|b| visit(*b)),
        Step::Aten { call } => {
            let call = &program.aten[*call as usize];
            call.args.iter().for_each(|a| visit_arg(a, visit));
            call.kwargs.iter().for_each(|(_, a)| visit_arg(a, visit));
            call.results.iter().flatten().for_each(|b| visit(*b));
        }
        Step::Sizes { .. } | Step::Release { .. } => {}
    }
}

fn visit_arg(arg: &AtenArg, visit: &mut dyn FnMut(BufferId)) {
    match arg {
        AtenArg::Tensor(buffer) => visit(*buffer),
        AtenArg::List(items) => items.iter().for_each(|i| visit_arg(i, visit)),
        _ => {}
    }
}
