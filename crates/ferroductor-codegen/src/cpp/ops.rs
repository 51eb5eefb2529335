//! Operations as expressions: the same table for kernels and functions.

use super::ctype::{CType, Lane, scalar_name};
use super::expr::{Binds, Expr, literal, plain_int};
use super::masks::Masks;
use super::prelude::Prelude;
use ferroductor_ir::kernel::*;
use ferroductor_ir::verify::Types;
use ferroductor_ir::{Atom, DType, IExpr, Literal, Prim, Ranges, Scalar};
use std::collections::HashMap;

/// A value that is not printed yet, because its one use takes it in.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub id: ValueId,
    pub expr: Expr,
}

/// What expressions need to know of the code around them.
pub(super) struct Context<'u> {
    pub prelude: &'u mut Prelude,
    pub types: Types,
    pub masks: Masks,
    /// Names of the values that stand in variables.
    pub names: HashMap<ValueId, String>,
    /// Values that are printed where they are used, in order of definition.
    pub pending: Vec<Pending>,
    /// Constants, which are printed at each use.
    pub constants: HashMap<ValueId, Expr>,
    /// Names of the buffers.
    pub buffers: Vec<(Buf, String)>,
    /// Inclusive bounds of the visible loop variables, where the lower one is a literal.
    pub bounds: HashMap<u32, (IExpr, IExpr)>,
    /// Names of the functions.
    pub functions: HashMap<(Prim, Ty), String>,
}

impl Ranges for Context<'_> {
    fn var(&self, var: u32) -> Option<(IExpr, IExpr)> {
        self.bounds.get(&var).cloned()
    }
}

impl<'u> Context<'u> {
    pub fn new(prelude: &'u mut Prelude, masks: Masks, types: Types) -> Context<'u> {
        Context {
            prelude,
            types,
            masks,
            names: HashMap::new(),
            pending: Vec::new(),
            constants: HashMap::new(),
            buffers: Vec::new(),
            bounds: HashMap::new(),
            functions: HashMap::new(),
        }
    }

    /// The C++ type of a computed value.
    fn ctype(&self, id: ValueId) -> CType {
        let ty = self.types[id];
        match ty.scalar {
            DType::Bool if ty.lanes > 1 => CType::new(Lane::signed(self.masks.value(id)), ty.lanes),
            _ => CType::in_memory(ty),
        }
    }

    /// The type in a value's declaration.
    pub fn type_name(&mut self, id: ValueId) -> String {
        let ty = self.types[id];
        if ty.lanes == 1 {
            return scalar_name(ty.scalar).to_string();
        }
        let ty = self.ctype(id);
        self.prelude.name(ty)
    }

    /// A value where it is used; if it was pending, this was its use.
    pub fn operand(&mut self, id: ValueId) -> Expr {
        if let Some(expr) = self.constants.get(&id) {
            return expr.clone();
        }
        if let Some(at) = self.pending.iter().position(|pending| pending.id == id) {
            return self.pending.remove(at).expr;
        }
        match self.names.get(&id) {
            Some(name) => Expr::primary(name.clone()),
            None => unreachable!("%{} of a verified kernel has no name", id.0),
        }
    }

    /// A use that needs no text after all.
    fn forget(&mut self, id: ValueId) {
        self.pending.retain(|pending| pending.id != id);
    }

    /// A predicate vector with lanes of this width.
    pub fn mask(&mut self, id: ValueId, width: u32) -> Expr {
        let expr = self.operand(id);
        let ty = self.ctype(id);
        if !ty.is_vector() || ty.lane.size() == width {
            return expr;
        }
        let expr = self.typed_mask(expr, ty);
        let name = self.prelude.conversion(ty, Lane::signed(width));
        Expr::call(&name, &[&expr])
    }

    /// The mask as an argument of overloaded functions: compilers do not agree on the type of a
    /// comparison's lanes (`char` or `signed char`, `long` or `long long`).
    fn typed_mask(&mut self, mask: Expr, ty: CType) -> Expr {
        if mask.binds == Binds::Primary {
            return mask;
        }
        self.prelude.name(ty);
        Expr::reinterpret(ty, &mask)
    }

    /// `buffer[index]`.
    pub fn place(&mut self, buf: Buf, index: &IExpr) -> Expr {
        let index = self.index(index);
        let text = format!("{}[{}]", self.pointer(buf).text, index.text);
        Expr::primary(text).with_operands([&index])
    }

    /// The address of an element.
    pub fn address(&mut self, buf: Buf, index: &IExpr) -> Expr {
        let place = self.place(buf, index);
        Expr::new(format!("&{}", place.text), Binds::Unary).with_operands([&place])
    }

    /// The buffer itself.
    pub fn pointer(&self, buf: Buf) -> Expr {
        let found = self.buffers.iter().find(|buffer| buffer.0 == buf);
        Expr::primary(found.map_or("", |buffer| &buffer.1))
    }

    /// An index where any integer type will do: in brackets, in arguments.
    pub fn index(&mut self, expr: &IExpr) -> Expr {
        let typed = self.typed_index(expr);
        typed.plain.map_or_else(
            || Expr {
                plain: None,
                ..typed
            },
            |plain| *plain,
        )
    }

    /// An index as an `int64_t`, which arithmetic on literals alone would not be.
    fn typed_index(&mut self, expr: &IExpr) -> Expr {
        // Long strides first and the constant last, as people write it.
        let mut terms: Vec<&(Vec<Atom>, i64)> = expr.terms().iter().collect();
        terms.sort_by_key(|(monomial, coefficient)| {
            let stride = std::cmp::Reverse((monomial.len(), coefficient.unsigned_abs()));
            (monomial.is_empty(), stride)
        });
        let mut sum: Option<Expr> = None;
        for (monomial, coefficient) in terms {
            let term = self.term(monomial, coefficient.unsigned_abs());
            sum = Some(match (sum, *coefficient < 0) {
                (None, false) => term,
                (None, true) if monomial.is_empty() => {
                    literal(Literal::Int(*coefficient), DType::I64)
                }
                (None, true) => Expr::unary("-", &term),
                (Some(sum), negative) => Expr::infix(&sum, if negative { "-" } else { "+" }, &term),
            });
        }
        sum.unwrap_or_else(|| literal(Literal::Int(0), DType::I64))
    }

    fn term(&mut self, monomial: &[Atom], magnitude: u64) -> Expr {
        // 2^63 fits only as a negative number, and wraps to it.
        let constant = literal(Literal::Int(magnitude as i64), DType::I64);
        let mut product: Option<Expr> = None;
        // Sizes stand before variables in the algebra, after them in print.
        for atom in monomial.iter().rev() {
            let factor = self.atom(atom);
            product = Some(match product {
                Some(product) => Expr::infix(&product, "*", &factor),
                None => factor,
            });
        }
        match product {
            Some(product) if magnitude == 1 => product,
            Some(product) => Expr::infix(&product, "*", &constant),
            None => constant,
        }
    }

    fn atom(&mut self, atom: &Atom) -> Expr {
        match atom {
            Atom::Size(s) => Expr::primary(format!("s{s}")),
            Atom::Var(v) => Expr::primary(format!("i{v}")),
            Atom::Value(v) => self.operand(ValueId(*v)),
            Atom::FloorDiv(a, b) => self.division(a, b, "/", "floor_div"),
            Atom::Mod(a, b) => self.division(a, b, "%", "floor_mod"),
            Atom::Min(a, b) => self.two_indices("smaller", a, b),
            Atom::Max(a, b) => self.two_indices("larger", a, b),
        }
    }

    fn two_indices(&mut self, helper: &'static str, a: &IExpr, b: &IExpr) -> Expr {
        let (a, b) = (self.index(a), self.index(b));
        Expr::call(self.prelude.template(helper), &[&a, &b])
    }

    /// C++'s own operator rounds towards zero, which is down where nothing is negative.
    fn division(&mut self, a: &IExpr, b: &IExpr, operator: &str, helper: &'static str) -> Expr {
        if !(a.is_nonnegative(self) && b.is_nonnegative(self)) {
            return self.two_indices(helper, a, b);
        }
        let (a, b) = (self.index(a), self.index(b));
        let text = format!(
            "{} {operator} {}",
            a.at_least(Binds::Unary),
            b.at_least(Binds::Unary)
        );
        // In a product, `a / b` must stay together.
        Expr::new(text, Binds::Sum).with_operands([&a, &b])
    }

    /// The expression of an operation that defines `id`.
    pub fn op(&mut self, id: ValueId, op: &Op) -> Expr {
        let ty = self.types[id];
        match op {
            Op::Const { value, ty } => self.constant(id, *value, *ty),
            Op::Index { expr } => self.typed_index(expr),
            Op::Ramp {
                base,
                stride,
                lanes: 1,
            } => {
                // The step of one element has no use.
                self.index(stride);
                self.typed_index(base)
            }
            Op::Ramp {
                base,
                stride,
                lanes,
            } => {
                let goal = CType::new(Lane::I64, *lanes);
                let (base, stride) = (self.index(base), self.index(stride));
                self.templated("ramp", goal, &[&base, &stride])
            }
            Op::Get { id } => {
                let mut expr = Expr::primary(super::names::register(*id));
                expr.registers.push(*id);
                expr
            }
            Op::Load {
                buf,
                index,
                lanes: 1,
            } => {
                let place = self.place(*buf, index).reading_memory();
                self.loaded(id, place)
            }
            Op::Load { buf, index, .. } => {
                let address = self.address(*buf, index);
                let loaded = self.templated("load", CType::in_memory(ty), &[&address]);
                self.loaded(id, loaded.reading_memory())
            }
            Op::LoadMasked { buf, index, mask } => {
                let loaded = self.load_where(*buf, index, *mask, CType::in_memory(ty));
                self.loaded(id, loaded.reading_memory())
            }
            Op::LoadStrided {
                buf,
                index,
                stride,
                lanes: 1,
            } => {
                let place = self.place(*buf, index).reading_memory();
                // The stride of one element has no use.
                self.index(stride);
                self.loaded(id, place)
            }
            Op::LoadStrided {
                buf, index, stride, ..
            } => {
                let address = self.address(*buf, index);
                let stride = self.index(stride);
                let goal = CType::in_memory(ty);
                let loaded = self.templated("load_strided", goal, &[&address, &stride]);
                self.loaded(id, loaded.reading_memory())
            }
            Op::Gather { buf, index } => {
                let index = self.operand(*index);
                let pointer = self.pointer(*buf);
                let loaded = if ty.lanes == 1 {
                    let text = format!("{}[{}]", pointer.text, index.text);
                    Expr::primary(text).with_operands([&index])
                } else {
                    self.templated("gather", CType::in_memory(ty), &[&pointer, &index])
                };
                self.loaded(id, loaded.reading_memory())
            }
            Op::Prim { prim, args } => self.prim(*prim, args, id),
            Op::Convert { value, to } => self.convert(*value, *to, id),
            Op::Bitcast { value, to } => self.bitcast(*value, *to),
            Op::Splat { value, lanes } => self.splat(*value, *lanes, id),
            Op::Extract { value, lane } => self.extract(*value, *lane),
            Op::Shuffle { a, b, lanes } => self.shuffle(*a, *b, lanes, id),
            Op::DotBf16 { acc, a, b } => {
                let (acc, a, b) = (self.operand(*acc), self.operand(*a), self.operand(*b));
                Expr::call(self.prelude.dot_bf16(ty.lanes), &[&acc, &a, &b])
            }
        }
    }

    fn load_where(&mut self, buf: Buf, index: &IExpr, mask: ValueId, ty: CType) -> Expr {
        if !ty.is_vector() {
            let mask = self.operand(mask);
            let place = self.place(buf, index);
            let none = Expr::primary(format!("{}(0)", ty.lane.scalar_name()));
            return Expr::choice(&mask, &place, &none);
        }
        let address = self.address(buf, index);
        let mask = self.mask_of_elements(mask, ty);
        self.templated("load_where", ty, &[&address, &mask])
    }

    /// The mask that moves elements of this type: as wide as they are.
    pub fn mask_of_elements(&mut self, mask: ValueId, elements: CType) -> Expr {
        let lane = Lane::signed(elements.lane.size());
        let expr = self.mask(mask, lane.size());
        self.typed_mask(expr, elements.with(lane))
    }

    /// `helper<type>(operands)`.
    fn templated(&mut self, helper: &'static str, ty: CType, operands: &[&Expr]) -> Expr {
        let name = format!(
            "{}<{}>",
            self.prelude.template(helper),
            self.prelude.name(ty)
        );
        Expr::call(&name, operands)
    }

    /// A predicate is a byte that is not zero.
    fn loaded(&mut self, id: ValueId, loaded: Expr) -> Expr {
        let ty = self.types[id];
        if ty.scalar != DType::Bool {
            return loaded;
        }
        let mut truth = Expr::infix(&loaded, "!=", &plain_int(0));
        let width = self.masks.value(id);
        if ty.lanes > 1 && width > 1 {
            let bytes = CType::new(Lane::I8, ty.lanes);
            truth = self.typed_mask(truth, bytes);
            let name = self.prelude.conversion(bytes, Lane::signed(width));
            truth = Expr::call(&name, &[&truth]);
        }
        truth
    }

    fn constant(&mut self, id: ValueId, value: Literal, ty: Ty) -> Expr {
        if ty.lanes == 1 {
            return literal(value, ty.scalar);
        }
        if ty.scalar == DType::Bool {
            let goal = self.ctype(id);
            let truth = plain_int(if value.as_bool() { -1 } else { 0 });
            return self.templated("splat", goal, &[&truth]);
        }
        let scalar = literal(value, ty.scalar);
        let plain = scalar.plain.clone().unwrap_or_else(|| Box::new(scalar));
        let mut expr = self.templated("splat", CType::in_memory(ty), &[&plain]);
        expr.plain = Some(plain);
        expr
    }

    fn splat(&mut self, value: ValueId, lanes: u32, id: ValueId) -> Expr {
        let scalar = self.operand(value);
        if lanes == 1 {
            return scalar;
        }
        let ty = self.ctype(id);
        if self.types[value].scalar == DType::Bool {
            let truth = Expr::choice(&scalar, &plain_int(-1), &plain_int(0));
            return self.templated("splat", ty, &[&truth]);
        }
        let mut expr = self.templated("splat", ty, &[&scalar]);
        // GCC widens a scalar operand of these types itself.
        if matches!(ty.lane, Lane::F32 | Lane::F64 | Lane::I32 | Lane::I64) {
            expr.plain = Some(Box::new(scalar));
        }
        expr
    }

    fn extract(&mut self, value: ValueId, lane: u32) -> Expr {
        let ty = self.ctype(value);
        let vector = self.operand(value);
        if !ty.is_vector() {
            return vector;
        }
        let text = format!("{}[{lane}]", vector.at_least(Binds::Primary));
        let picked = Expr::primary(text).with_operands([&vector]);
        if self.types[value].scalar == DType::Bool {
            return Expr::infix(&picked, "!=", &plain_int(0));
        }
        picked
    }

    fn shuffle(&mut self, a: ValueId, b: ValueId, lanes: &[u32], id: ValueId) -> Expr {
        let source = self.ctype(a);
        if !source.is_vector() {
            return self.shuffle_of_scalars(a, b, lanes, id);
        }
        if let [lane] = lanes {
            let (used, unused, lane) = match lane.checked_sub(source.lanes) {
                None => (a, b, *lane),
                Some(lane) => (b, a, lane),
            };
            let picked = self.extract(used, lane);
            self.forget(unused);
            return picked;
        }
        let goal = self.ctype(id);
        let x = self.operand_of_width(a, goal);
        let y = if a == b {
            x.clone()
        } else {
            self.operand_of_width(b, goal)
        };
        let numbers: Vec<String> = lanes.iter().map(u32::to_string).collect();
        let name = format!(
            "{}<{}, {}>",
            self.prelude.template("shuffle"),
            self.prelude.name(goal),
            numbers.join(", ")
        );
        Expr::call(&name, &[&x, &y])
    }

    /// The operand; a mask in the given type's width.
    fn operand_of_width(&mut self, id: ValueId, like: CType) -> Expr {
        let ty = self.types[id];
        if ty.scalar != DType::Bool || ty.lanes == 1 {
            return self.operand(id);
        }
        let mask = self.mask(id, like.lane.size());
        self.typed_mask(mask, CType::new(like.lane, ty.lanes))
    }

    fn shuffle_of_scalars(&mut self, a: ValueId, b: ValueId, lanes: &[u32], id: ValueId) -> Expr {
        let goal = self.ctype(id);
        let is_bool = self.types[a].scalar == DType::Bool;
        let x = self.operand(a);
        let y = if a == b { x.clone() } else { self.operand(b) };
        if let [lane] = lanes {
            return if *lane == 0 { x } else { y };
        }
        let pick = |lane: &u32| {
            if *lane == 0 {
                x.text.as_str()
            } else {
                y.text.as_str()
            }
        };
        let picked: Vec<&str> = lanes.iter().map(pick).collect();
        let text = format!("{}{{{}}}", self.prelude.name(goal), picked.join(", "));
        let vector = Expr::primary(text).with_operands([&x, &y]);
        // True is -1 in a mask.
        if is_bool {
            Expr::unary("-", &vector)
        } else {
            vector
        }
    }

    fn convert(&mut self, value: ValueId, to: Scalar, id: ValueId) -> Expr {
        let from = self.types[value].scalar;
        let lanes = self.types[value].lanes;
        if from == to {
            let goal = self.ctype(id);
            return self.operand_of_width(value, goal);
        }
        let operand = self.operand(value);
        if to == DType::Bool {
            return self.is_not_zero(operand, value);
        }
        if from == DType::Bool {
            return self.number_of_predicate(operand, value, to);
        }
        // Half precision converts by way of float.
        let (operand, from) = match from {
            DType::BF16 => (self.half("bf16_to_f32", lanes, &operand), DType::F32),
            DType::F16 => (self.half("f16_to_f32", lanes, &operand), DType::F32),
            other => (operand, other),
        };
        let converted = self.between(operand, CType::new(Lane::of(from), lanes), to.compute());
        match to {
            DType::BF16 => self.half("f32_to_bf16", lanes, &converted),
            DType::F16 => self.half("f32_to_f16", lanes, &converted),
            _ => converted,
        }
    }

    fn half(&mut self, helper: &'static str, lanes: u32, operand: &Expr) -> Expr {
        Expr::call(self.prelude.half(helper, lanes), &[operand])
    }

    /// Between numbers that are neither predicates nor halves.
    fn between(&mut self, operand: Expr, from: CType, to: Scalar) -> Expr {
        let goal = Lane::of(to);
        if from.lane == goal {
            return operand;
        }
        let is_cast = !from.is_vector() && (goal.is_float() || !from.lane.is_float());
        if is_cast {
            return Expr::call(goal.scalar_name(), &[&operand]);
        }
        let name = self.prelude.conversion(from, goal);
        Expr::call(&name, &[&operand])
    }

    fn is_not_zero(&mut self, operand: Expr, value: ValueId) -> Expr {
        let ty = self.types[value];
        let operand = match ty.scalar {
            DType::BF16 => self.half("bf16_to_f32", ty.lanes, &operand),
            DType::F16 => self.half("f16_to_f32", ty.lanes, &operand),
            _ => operand,
        };
        Expr::infix(&operand, "!=", &zero(ty.scalar))
    }

    /// 0 or 1.
    fn number_of_predicate(&mut self, operand: Expr, value: ValueId, to: Scalar) -> Expr {
        let from = self.ctype(value);
        let converted = if from.is_vector() {
            let operand = self.typed_mask(operand, from);
            let one = Expr::infix(&operand, "&", &plain_int(1));
            self.between(one, from, to.compute())
        } else {
            Expr::call(scalar_name(to.compute()), &[&operand])
        };
        match to {
            DType::BF16 => self.half("f32_to_bf16", from.lanes, &converted),
            DType::F16 => self.half("f32_to_f16", from.lanes, &converted),
            _ => converted,
        }
    }

    /// The bytes of a predicate, as they are stored.
    pub fn as_stored(&mut self, value: ValueId) -> Expr {
        let from = self.ctype(value);
        let operand = self.operand(value);
        if self.types[value].scalar != DType::Bool || !from.is_vector() {
            return operand;
        }
        let operand = self.typed_mask(operand, from);
        let one = Expr::infix(&operand, "&", &plain_int(1));
        self.between(one, from, DType::U8)
    }

    fn bitcast(&mut self, value: ValueId, to: Scalar) -> Expr {
        let from = self.ctype(value);
        let operand = self.operand(value);
        let goal = from.with(Lane::of(to));
        if from == goal {
            return operand;
        }
        if from.is_vector() {
            self.prelude.name(goal);
            return Expr::reinterpret(goal, &operand);
        }
        self.templated("bits_as", goal, &[&operand])
    }

    fn prim(&mut self, prim: Prim, args: &[ValueId], id: ValueId) -> Expr {
        let ty = self.types[args[0]];
        if !prim.is_basic() {
            let name = self.functions.get(&(prim, ty)).cloned().unwrap_or_default();
            let operands: Vec<Expr> = args.iter().map(|arg| self.operand(*arg)).collect();
            let operands: Vec<&Expr> = operands.iter().collect();
            return Expr::call(&name, &operands);
        }
        if prim == Prim::Select {
            return self.select(args, id);
        }
        if ty.scalar == DType::Bool {
            return self.predicate(prim, args, id);
        }
        let operands: Vec<Expr> = args.iter().map(|arg| self.operand(*arg)).collect();
        let result = super::prims::basic(self.prelude, prim, CType::in_memory(ty), &operands);
        let promoted = ty.lanes == 1 && Lane::of(ty.scalar).promotes() && !prim.is_comparison();
        if promoted && result.binds != Binds::Primary {
            return Expr::call(scalar_name(ty.scalar), &[&result]);
        }
        result
    }

    fn select(&mut self, args: &[ValueId], id: ValueId) -> Expr {
        let ty = self.types[id];
        let width = match ty.scalar {
            DType::Bool => self.masks.value(id),
            other => other.size() as u32,
        };
        let condition = self.mask(args[0], width);
        let goal = self.ctype(id);
        let a = self.operand_of_width(args[1], goal);
        let b = self.operand_of_width(args[2], goal);
        let choice = Expr::choice(&condition, &a, &b);
        if ty.lanes == 1 && Lane::of(ty.scalar).promotes() && ty.scalar != DType::Bool {
            return Expr::call(scalar_name(ty.scalar), &[&choice]);
        }
        choice
    }

    /// Does the predicate hold in some lane?
    pub fn any(&mut self, lanes: ValueId) -> Expr {
        let width = self.masks.value(lanes);
        let mask = self.mask(lanes, width);
        if self.types[lanes].lanes == 1 {
            return mask;
        }
        let ty = CType::new(Lane::signed(width), self.types[lanes].lanes);
        let mask = self.typed_mask(mask, ty);
        Expr::call(self.prelude.template("any"), &[&mask])
    }

    /// The rare result in the lanes that take it, the ordinary one elsewhere.
    pub fn choice(&mut self, rare: &Rare, ordinary: ValueId) -> Expr {
        let ty = self.types[ordinary];
        let condition = self.mask(rare.lanes, ty.scalar.size() as u32);
        let goal = self.ctype(ordinary);
        let a = self.operand_of_width(rare.result, goal);
        let b = self.operand_of_width(ordinary, goal);
        Expr::choice(&condition, &a, &b)
    }

    /// Logic and comparisons of predicates.
    fn predicate(&mut self, prim: Prim, args: &[ValueId], id: ValueId) -> Expr {
        let is_mask = self.types[id].lanes > 1;
        let width = self.masks.value(id);
        let operands: Vec<Expr> = args.iter().map(|arg| self.mask(*arg, width)).collect();
        let [a, rest @ ..] = operands.as_slice() else {
            unreachable!("a verified prim has operands");
        };
        let operator = match prim {
            Prim::Not => return Expr::unary(if is_mask { "~" } else { "!" }, a),
            Prim::And if is_mask => "&",
            Prim::Or if is_mask => "|",
            Prim::And => "&&",
            Prim::Or => "||",
            Prim::Xor if is_mask => "^",
            Prim::Eq => "==",
            Prim::Ne | Prim::Xor => "!=",
            // True is -1 in a mask, so the order of masks is the other way round.
            Prim::Lt if is_mask => ">",
            Prim::Le if is_mask => ">=",
            Prim::Gt if is_mask => "<",
            Prim::Ge if is_mask => "<=",
            Prim::Lt => "<",
            Prim::Le => "<=",
            Prim::Gt => ">",
            _ => ">=",
        };
        // All of them loose: parentheses around every operand that is not plain.
        let text = format!(
            "{} {operator} {}",
            a.at_least(Binds::Unary),
            rest[0].at_least(Binds::Unary)
        );
        Expr::new(text, Binds::Loose).with_operands([a, &rest[0]])
    }
}

/// The zero that a number is compared with.
fn zero(scalar: Scalar) -> Expr {
    let zero = match scalar.compute() {
        DType::F32 => Expr::primary("0.0f"),
        DType::F64 => Expr::primary("0.0"),
        _ => plain_int(0),
    };
    zero.beside_anything()
}
