//! Masks and biases with an element for each row and key: contiguous by key, while scores lie side
//! by side by row, so a block of them is turned in scratch first.

use super::super::eval::Home;
use super::super::turn::turn;
use super::{Attending, Result, ScoreAccess};
use crate::graph::{Expr, Load, visit};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr};

/// A load of the score whose elements of the present block are in scratch, as scores are.
#[derive(Clone, Debug)]
pub(super) struct Staged {
    pub(super) load: Load,
    buf: Buf,
}

impl Attending<'_, '_> {
    /// The loads of the score that are worth it: linear in the row, contiguous in the key.
    pub(super) fn staged(&mut self) -> Vec<Staged> {
        let (Some(m), Some(n)) = (self.attend.m, self.attend.n) else {
            return Vec::new();
        };
        if self.score_access(&[]) == ScoreAccess::Single {
            return Vec::new();
        }
        let mut loads: Vec<Load> = Vec::new();
        visit(&self.attend.score, &mut |e| {
            if let Expr::Load(load) = &**e
                && load.tensor != self.attend.product
                && !loads.contains(load)
            {
                loads.push(load.clone());
            }
        });
        let elements = IExpr::constant(self.block_keys() * self.tile_rows());
        let mut staged = Vec::new();
        for load in &loads {
            let stored = self.graph.tensor(load.tensor).dtype;
            let alone = loads.iter().filter(|l| l.tensor == load.tensor).count() == 1;
            let index = &load.index[0];
            let by_row = index.coefficient(m).is_some_and(|c| !c.is_zero());
            let by_key = index.coefficient(n).is_some_and(|c| c.is_one());
            let narrow = stored == DType::Bool || stored.is_float() && stored.size() <= 4;
            if alone && load.values.is_empty() && by_row && by_key && narrow {
                let buf = self
                    .eval
                    .emitter
                    .local(DType::F32, elements.clone(), "mask");
                staged.push(Staged {
                    load: load.clone(),
                    buf,
                });
            }
        }
        staged
    }

    /// Turns a block: for each key all rows of the tile, those beyond the matrix repeating its last.
    pub(super) fn stage(
        &mut self,
        staged: &Staged,
        row: &IExpr,
        first: &IExpr,
        count: &IExpr,
    ) -> Result<()> {
        let from = self.buffer(&staged.load)?;
        let lanes = i64::from(self.eval.emitter.target.lanes(DType::F32)).min(self.tile_rows());
        let tile_rows = IExpr::constant(self.tile_rows());
        let whole = &count.floor_div(&IExpr::constant(lanes)) * &IExpr::constant(lanes);
        let whole = self.eval.emitter.index_value(&whole);
        let group = self.eval.open_for(IExpr::zero(), tile_rows.clone(), lanes);
        let mut starts = Vec::new();
        self.set_axis(self.attend.n, first);
        for r in 0..lanes {
            let position = self.clamped_row(row, &(&group + &IExpr::constant(r)));
            self.set_axis(self.attend.m, &position);
            let start = self.eval.place(&staged.load.index[0]);
            starts.push(self.eval.emitter.index_value(&start));
        }
        for (begin, end, step) in [
            (IExpr::zero(), whole.clone(), lanes),
            (whole, count.clone(), 1),
        ] {
            if begin == end {
                continue;
            }
            let n = self.eval.open_for(begin, end, step);
            let mut square: Vec<ValueId> = starts
                .iter()
                .map(|start| {
                    let value = self.eval.emitter.push(Op::Load {
                        buf: from,
                        index: start + &n,
                        lanes: step as u32,
                    });
                    self.eval.emitter.convert(value, DType::F32)
                })
                .collect();
            if step == 1 {
                for (r, value) in square.into_iter().enumerate() {
                    let at = &(&n * &tile_rows) + &(&group + &IExpr::constant(r as i64));
                    self.eval.emitter.store(staged.buf, at, value);
                }
            } else {
                turn(&mut self.eval.emitter, &mut square, 1);
                for (c, value) in square.into_iter().enumerate() {
                    let key = &n + &IExpr::constant(c as i64);
                    let at = &(&key * &tile_rows) + &group;
                    self.eval.emitter.store(staged.buf, at, value);
                }
            }
            self.eval.close();
        }
        self.eval.close();
        Ok(())
    }

    /// Lets the score find its staged loads at an index of the block.
    pub(super) fn place_staged(&mut self, staged: &[Staged], index: &IExpr) {
        for each in staged {
            let home = Home::Placed(each.buf, index.clone());
            self.eval.homes.insert(each.load.tensor, home);
        }
    }
}
