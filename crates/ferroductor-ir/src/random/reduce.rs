//! Shrinks a kernel that shows a fault, one statement at a time.

use crate::kernel::{Block, Kernel, Stmt};
use crate::verify;

/// The smallest kernel found that passes the verifier and for which `is_faulty` still holds.
/// Statements are dropped, and loops and branches are replaced by their bodies.
pub fn reduce(kernel: &Kernel, is_faulty: &mut dyn FnMut(&Kernel) -> bool) -> Kernel {
    let mut best = kernel.clone();
    loop {
        let before = count(&best.setup) + count(&best.body);
        // From the end: users go before what they use.
        for at in (0..before).rev() {
            let mut smaller = best.clone();
            let mut left = at;
            if !drop_statement(&mut smaller.setup, &mut left) {
                drop_statement(&mut smaller.body, &mut left);
            }
            if verify::kernel(&smaller).is_ok() && is_faulty(&smaller) {
                best = smaller;
            }
        }
        for at in (0..best.functions.len()).rev() {
            let mut smaller = best.clone();
            smaller.functions.remove(at);
            if verify::kernel(&smaller).is_ok() && is_faulty(&smaller) {
                best = smaller;
                continue;
            }
            let mut smaller = best.clone();
            smaller.functions[at].rare = None;
            if smaller != best && is_faulty(&smaller) {
                best = smaller;
            }
        }
        if count(&best.setup) + count(&best.body) == before {
            return best;
        }
    }
}

fn count(block: &[Stmt]) -> usize {
    let inside = |stmt: &Stmt| match stmt {
        Stmt::For { body, .. } => count(body),
        Stmt::If {
            then, otherwise, ..
        } => count(then) + count(otherwise),
        _ => 0,
    };
    block.iter().map(|stmt| 1 + inside(stmt)).sum()
}

/// Drops the statement number `left` in order of text; was it in this block?
fn drop_statement(block: &mut Block, left: &mut usize) -> bool {
    for at in 0..block.len() {
        if *left == 0 {
            let dropped = block.remove(at);
            // A branch leaves what it held, if nothing else; a loop's body needs its variable.
            if let Stmt::If {
                then, otherwise, ..
            } = dropped
            {
                block.splice(at..at, then.into_iter().chain(otherwise));
            }
            return true;
        }
        *left -= 1;
        let found = match &mut block[at] {
            Stmt::For { body, .. } => drop_statement(body, left),
            Stmt::If {
                then, otherwise, ..
            } => drop_statement(then, left) || drop_statement(otherwise, left),
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}
