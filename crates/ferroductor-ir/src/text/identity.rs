//! The text that two kernels share exactly when they are the same code.

use super::print;
use crate::index::{Atom, IExpr, NoRanges};
use crate::kernel::*;
use std::collections::HashMap;

/// The canonical text: no names, documentation or comments, ids in order of definition.
pub fn identity(kernel: &Kernel) -> String {
    print(&canonical(kernel))
}

/// The kernel that [`identity`] prints.
pub fn canonical(kernel: &Kernel) -> Kernel {
    let mut names = Renumber::default();
    names.vars.insert(TILE, TILE.0);
    Kernel {
        name: String::new(),
        doc: Vec::new(),
        params: kernel
            .params
            .iter()
            .map(|p| Param {
                name: String::new(),
                ..p.clone()
            })
            .collect(),
        size_count: kernel.size_count,
        locals: kernel
            .locals
            .iter()
            .map(|l| Local {
                name: String::new(),
                ..l.clone()
            })
            .collect(),
        tiles: kernel.tiles.clone(),
        functions: kernel.functions.iter().map(function).collect(),
        setup: names.block(&kernel.setup),
        body: names.block(&kernel.body),
    }
}

fn function(function: &Function) -> Function {
    let mut names = Renumber::default();
    Function {
        prim: function.prim,
        ty: function.ty,
        params: function.params.iter().map(|id| names.value(*id)).collect(),
        body: names.code(&function.body),
        result: names.value(function.result),
        rare: function.rare.as_ref().map(|rare| Rare {
            lanes: names.value(rare.lanes),
            body: names.code(&rare.body),
            result: names.value(rare.result),
        }),
        doc: String::new(),
    }
}

/// New numbers in the order in which the old ones are met.
#[derive(Default)]
struct Renumber {
    values: HashMap<ValueId, u32>,
    registers: HashMap<RegId, u32>,
    /// Loop variables, by the number of loops around them.
    vars: HashMap<VarId, u32>,
    depth: u32,
}

fn number<K: std::hash::Hash + Eq>(table: &mut HashMap<K, u32>, key: K) -> u32 {
    let next = table.len() as u32;
    *table.entry(key).or_insert(next)
}

impl Renumber {
    fn value(&mut self, id: ValueId) -> ValueId {
        ValueId(number(&mut self.values, id))
    }
    /// The code of a function.
    fn code(&mut self, code: &[(ValueId, Op)]) -> Vec<(ValueId, Op)> {
        code.iter()
            .map(|(id, op)| {
                let op = self.op(op);
                (self.value(*id), op)
            })
            .collect()
    }
    fn register(&mut self, id: RegId) -> RegId {
        RegId(number(&mut self.registers, id))
    }

    /// Numbers were given where the variables and values are defined, so order of visit in an
    /// expression does not matter.
    fn index(&self, expr: &IExpr) -> IExpr {
        let replace = |atom: &Atom| match atom {
            Atom::Var(v) => self.vars.get(&VarId(*v)).copied().map(IExpr::var),
            Atom::Value(v) => self.values.get(&ValueId(*v)).copied().map(IExpr::value),
            _ => None,
        };
        expr.substitute(&replace, &NoRanges)
    }

    fn block(&mut self, block: &[Stmt]) -> Block {
        let code = block
            .iter()
            .filter(|stmt| !matches!(stmt, Stmt::Comment(_)));
        code.map(|stmt| self.statement(stmt)).collect()
    }

    fn statement(&mut self, stmt: &Stmt) -> Stmt {
        match stmt {
            Stmt::Let { id, op } => {
                let op = self.op(op);
                Stmt::Let {
                    id: self.value(*id),
                    op,
                }
            }
            Stmt::For {
                var,
                begin,
                end,
                step,
                body,
            } => {
                let (begin, end) = (self.index(begin), self.index(end));
                // Loops beside each other may share a variable or not: its depth is its number.
                self.depth += 1;
                let new = VarId(self.depth);
                self.vars.insert(*var, new.0);
                let body = self.block(body);
                self.depth -= 1;
                Stmt::For {
                    var: new,
                    begin,
                    end,
                    step: *step,
                    body,
                }
            }
            Stmt::If {
                cond,
                then,
                otherwise,
            } => Stmt::If {
                cond: self.value(*cond),
                then: self.block(then),
                otherwise: self.block(otherwise),
            },
            Stmt::Reg { id, init } => {
                let init = self.value(*init);
                Stmt::Reg {
                    id: self.register(*id),
                    init,
                }
            }
            Stmt::Set { id, value } => Stmt::Set {
                id: self.register(*id),
                value: self.value(*value),
            },
            Stmt::Store { buf, index, value } => Stmt::Store {
                buf: *buf,
                index: self.index(index),
                value: self.value(*value),
            },
            Stmt::StoreMasked {
                buf,
                index,
                value,
                mask,
            } => Stmt::StoreMasked {
                buf: *buf,
                index: self.index(index),
                value: self.value(*value),
                mask: self.value(*mask),
            },
            Stmt::Stream { buf, index, value } => Stmt::Stream {
                buf: *buf,
                index: self.index(index),
                value: self.value(*value),
            },
            Stmt::Scatter { buf, index, value } => Stmt::Scatter {
                buf: *buf,
                index: self.value(*index),
                value: self.value(*value),
            },
            Stmt::Prefetch { buf, index, near } => Stmt::Prefetch {
                buf: *buf,
                index: self.index(index),
                near: *near,
            },
            Stmt::Fail { cond, code } => Stmt::Fail {
                cond: self.value(*cond),
                code: *code,
            },
            Stmt::Comment(text) => Stmt::Comment(text.clone()),
        }
    }

    fn op(&mut self, op: &Op) -> Op {
        match op {
            Op::Const { .. } => op.clone(),
            Op::Index { expr } => Op::Index {
                expr: self.index(expr),
            },
            Op::Ramp {
                base,
                stride,
                lanes,
            } => Op::Ramp {
                base: self.index(base),
                stride: self.index(stride),
                lanes: *lanes,
            },
            Op::Get { id } => Op::Get {
                id: self.register(*id),
            },
            Op::Load { buf, index, lanes } => Op::Load {
                buf: *buf,
                index: self.index(index),
                lanes: *lanes,
            },
            Op::LoadMasked { buf, index, mask } => Op::LoadMasked {
                buf: *buf,
                index: self.index(index),
                mask: self.value(*mask),
            },
            Op::LoadStrided {
                buf,
                index,
                stride,
                lanes,
            } => Op::LoadStrided {
                buf: *buf,
                index: self.index(index),
                stride: self.index(stride),
                lanes: *lanes,
            },
            Op::Gather { buf, index } => Op::Gather {
                buf: *buf,
                index: self.value(*index),
            },
            Op::Prim { prim, args } => Op::Prim {
                prim: *prim,
                args: args.iter().map(|id| self.value(*id)).collect(),
            },
            Op::Convert { value, to } => Op::Convert {
                value: self.value(*value),
                to: *to,
            },
            Op::Bitcast { value, to } => Op::Bitcast {
                value: self.value(*value),
                to: *to,
            },
            Op::Splat { value, lanes } => Op::Splat {
                value: self.value(*value),
                lanes: *lanes,
            },
            Op::Extract { value, lane } => Op::Extract {
                value: self.value(*value),
                lane: *lane,
            },
            Op::Shuffle { a, b, lanes } => Op::Shuffle {
                a: self.value(*a),
                b: self.value(*b),
                lanes: lanes.clone(),
            },
            Op::DotBf16 { acc, a, b } => Op::DotBf16 {
                acc: self.value(*acc),
                a: self.value(*a),
                b: self.value(*b),
            },
        }
    }
}
