//! The program's size table: which expression lives in which slot, and the code that fills it.
//!
//! What must hold: entries set by inputs come first; an entry's code reads earlier slots only;
//! equal expressions share a slot; whatever depends on a data-dependent size is `Late` and is
//! computed by a [`Step::Sizes`] after the step that binds that size.

use std::collections::HashMap;

use ferroductor_abi::{Dim, SizeCode, SizeEntry, SizeOp, Step};
use ferroductor_ir::{Atom, IExpr};

/// Builds `Program::sizes`.
#[derive(Clone, Debug, Default)]
pub struct SizeTable {
    entries: Vec<SizeEntry>,
    slots: HashMap<IExpr, u32>,
    /// Entries before this one have their value before the next step runs.
    computed: usize,
}

/// A symbol that no input and no earlier step gives a value to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnboundSymbol(pub u32);

impl SizeTable {
    pub fn new() -> SizeTable {
        SizeTable::default()
    }

    /// A symbolic integer that is input number `input`; returns its slot.
    pub fn bind_input(&mut self, expr: &IExpr, input: u32) -> u32 {
        self.bind(expr, SizeEntry::Input(input))
    }

    /// The size of a dimension of an input tensor, if it teaches us something.
    pub fn bind_input_dim(&mut self, expr: &IExpr, input: u32, dim: u32) {
        if !self.knows(expr) {
            self.bind(expr, SizeEntry::InputDim { input, dim });
        }
    }

    /// The stride of a dimension of an input tensor, if it teaches us something.
    pub fn bind_input_stride(&mut self, expr: &IExpr, input: u32, dim: u32) {
        if !self.knows(expr) {
            self.bind(expr, SizeEntry::InputStride { input, dim });
        }
    }

    /// A value that a step will store into the slot returned here.
    pub fn bind_by_step(&mut self, expr: &IExpr) -> u32 {
        self.bind(expr, SizeEntry::Unbacked)
    }

    fn bind(&mut self, expr: &IExpr, entry: SizeEntry) -> u32 {
        let slot = self.push(entry);
        self.slots.entry(expr.clone()).or_insert(slot);
        self.solve(expr, slot);
        slot
    }

    fn push(&mut self, entry: SizeEntry) -> u32 {
        self.entries.push(entry);
        (self.entries.len() - 1) as u32
    }

    /// From `c*s + k` in `slot` follows the symbol `s`, where nothing else gives it.
    fn solve(&mut self, expr: &IExpr, slot: u32) {
        let mut unknown = None;
        for (monomial, coefficient) in expr.terms() {
            match monomial.as_slice() {
                [] => {}
                [Atom::Size(s)] if unknown.is_none() => unknown = Some((*s, *coefficient)),
                _ => return,
            }
        }
        let Some((symbol, scale)) = unknown else {
            return;
        };
        let symbol_expr = IExpr::size(symbol);
        if scale == 0 || self.slots.contains_key(&symbol_expr) {
            return;
        }
        let rest = expr
            .terms()
            .iter()
            .find(|t| t.0.is_empty())
            .map_or(0, |t| t.1);
        let code = SizeCode(vec![
            SizeOp::Slot(slot),
            SizeOp::Const(rest.wrapping_neg()),
            SizeOp::Add,
            SizeOp::Const(scale),
            SizeOp::FloorDiv,
        ]);
        let solved = self.push_code(code);
        self.slots.insert(symbol_expr, solved);
    }

    fn push_code(&mut self, code: SizeCode) -> u32 {
        let late = code
            .0
            .iter()
            .any(|op| matches!(op, SizeOp::Slot(s) if self.is_late(*s)));
        self.push(if late {
            SizeEntry::Late(code)
        } else {
            SizeEntry::Code(code)
        })
    }

    fn is_late(&self, slot: u32) -> bool {
        matches!(
            self.entries.get(slot as usize),
            Some(SizeEntry::Unbacked | SizeEntry::Late(_))
        )
    }

    /// Does the expression have a value, given what is bound so far?
    pub fn knows(&self, expr: &IExpr) -> bool {
        self.unbound(expr).is_none()
    }

    /// A symbol of the expression that has no value yet.
    pub fn unbound(&self, expr: &IExpr) -> Option<u32> {
        if self.slots.contains_key(expr) {
            return None;
        }
        let mut missing = None;
        expr.visit(&mut |atom| {
            if let Atom::Size(s) = atom
                && !self.slots.contains_key(&IExpr::size(*s))
            {
                missing = Some(*s);
            }
        });
        missing
    }

    /// Where the expression's value is found.
    pub fn dim(&mut self, expr: &IExpr) -> Result<Dim, UnboundSymbol> {
        if let Some(value) = expr.as_const() {
            return Ok(Dim::Const(value));
        }
        if let Some(slot) = self.slots.get(expr) {
            return Ok(Dim::Slot(*slot));
        }
        let mut code = Vec::new();
        self.code_for(expr, &mut code)?;
        let slot = self.push_code(SizeCode(code));
        self.slots.insert(expr.clone(), slot);
        Ok(Dim::Slot(slot))
    }

    /// Several expressions at once: a shape.
    pub fn dims(&mut self, exprs: &[IExpr]) -> Result<Vec<Dim>, UnboundSymbol> {
        exprs.iter().map(|e| self.dim(e)).collect()
    }

    fn code_for(&self, expr: &IExpr, code: &mut Vec<SizeOp>) -> Result<(), UnboundSymbol> {
        if let Some(value) = expr.as_const() {
            code.push(SizeOp::Const(value));
            return Ok(());
        }
        if let Some(slot) = self.slots.get(expr) {
            code.push(SizeOp::Slot(*slot));
            return Ok(());
        }
        for (at, (monomial, coefficient)) in expr.terms().iter().enumerate() {
            let mut factors = 0;
            if *coefficient != 1 || monomial.is_empty() {
                code.push(SizeOp::Const(*coefficient));
                factors += 1;
            }
            for atom in monomial {
                self.code_for_atom(atom, code)?;
                if factors > 0 {
                    code.push(SizeOp::Mul);
                }
                factors += 1;
            }
            if at > 0 {
                code.push(SizeOp::Add);
            }
        }
        Ok(())
    }

    fn code_for_atom(&self, atom: &Atom, code: &mut Vec<SizeOp>) -> Result<(), UnboundSymbol> {
        let (a, b, op) = match atom {
            Atom::Size(s) => {
                let slot = self.slots.get(&IExpr::size(*s)).ok_or(UnboundSymbol(*s))?;
                code.push(SizeOp::Slot(*slot));
                return Ok(());
            }
            // Loop variables and loaded values have no place in a size.
            Atom::Var(v) | Atom::Value(v) => return Err(UnboundSymbol(*v)),
            Atom::FloorDiv(a, b) => (a, b, SizeOp::FloorDiv),
            Atom::Mod(a, b) => (a, b, SizeOp::Mod),
            Atom::Min(a, b) => (a, b, SizeOp::Min),
            Atom::Max(a, b) => (a, b, SizeOp::Max),
        };
        self.code_for(a, code)?;
        self.code_for(b, code)?;
        code.push(op);
        Ok(())
    }

    /// The step that computes the late entries added since the last call, if there are any. To be
    /// placed after every step that binds a size and before every step that uses one.
    pub fn take_late(&mut self) -> Option<Step> {
        let begin = self.computed;
        self.computed = self.entries.len();
        let fresh = self.entries.get(begin..)?;
        let first = fresh.iter().position(|e| matches!(e, SizeEntry::Late(_)))?;
        Some(Step::Sizes {
            begin: (begin + first) as u32,
            end: self.computed as u32,
        })
    }

    /// The slot that input number `input` sets.
    pub fn slot_of_input(&self, input: u32) -> Option<u32> {
        let at = self
            .entries
            .iter()
            .position(|e| *e == SizeEntry::Input(input))?;
        Some(at as u32)
    }

    /// The expression whose value a slot holds.
    pub fn expression(&self, slot: u32) -> Option<IExpr> {
        self.slots
            .iter()
            .find(|(_, s)| **s == slot)
            .map(|(e, _)| e.clone())
    }

    pub fn finish(self) -> Vec<SizeEntry> {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(i: u32) -> IExpr {
        IExpr::size(i)
    }

    fn values(table: &SizeTable, inputs: &[i64]) -> Vec<i64> {
        let mut values: Vec<i64> = Vec::new();
        for entry in &table.entries {
            let value = match entry {
                SizeEntry::Input(i) => inputs[*i as usize],
                SizeEntry::Code(code) | SizeEntry::Late(code) => code.eval(&values).unwrap(),
                other => panic!("not expected here: {other:?}"),
            };
            values.push(value);
        }
        values
    }

    #[test]
    fn equal_expressions_share_a_slot() {
        let mut table = SizeTable::new();
        table.bind_input(&s(0), 0);
        let twice = &s(0) + &s(0);
        let a = table.dim(&twice).unwrap();
        let b = table.dim(&(&s(0) * &IExpr::constant(2))).unwrap();
        assert_eq!(a, b);
        assert_eq!(table.entries.len(), 2);
    }

    #[test]
    fn code_evaluates_polynomials_and_divisions() {
        let mut table = SizeTable::new();
        table.bind_input(&s(0), 0);
        table.bind_input(&s(1), 1);
        let product = &(&s(0) * &s(1)) - &IExpr::constant(3);
        let expr = &product.floor_div(&IExpr::constant(4)) + &s(0).modulo(&s(1)).larger(&s(1));
        let Dim::Slot(slot) = table.dim(&expr).unwrap() else {
            panic!("a slot")
        };
        let got = values(&table, &[7, 5])[slot as usize];
        assert_eq!(got, (7 * 5 - 3) / 4 + std::cmp::max(7 % 5, 5));
    }

    #[test]
    fn a_linear_input_gives_its_symbol() {
        let mut table = SizeTable::new();
        let expr = &(&s(0) * &IExpr::constant(3)) + &IExpr::constant(2);
        table.bind_input(&expr, 0);
        let Dim::Slot(slot) = table.dim(&s(0)).unwrap() else {
            panic!("a slot")
        };
        assert_eq!(values(&table, &[17])[slot as usize], 5);
    }

    #[test]
    fn what_depends_on_a_step_is_late() {
        let mut table = SizeTable::new();
        table.bind_input(&s(0), 0);
        assert_eq!(table.dim(&s(1)), Err(UnboundSymbol(1)));
        let unbacked = table.bind_by_step(&s(1));
        assert_eq!(table.take_late(), None);
        let sum = table.dim(&(&s(0) + &s(1))).unwrap();
        let early = table.dim(&(&s(0) + &IExpr::constant(1))).unwrap();
        assert_eq!((unbacked, sum, early), (1, Dim::Slot(2), Dim::Slot(3)));
        assert_eq!(table.take_late(), Some(Step::Sizes { begin: 2, end: 4 }));
        assert_eq!(table.take_late(), None);
        assert!(matches!(table.finish()[3], SizeEntry::Code(_)));
    }
}
