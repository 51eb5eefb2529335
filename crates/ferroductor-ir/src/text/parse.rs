//! Parsing: one function a construct, without backtracking.

use super::lex::{ParseError, Token, tokens};
use super::scalar_from_name;
use crate::index::{Atom, IExpr};
use crate::kernel::*;
use crate::prim::{Literal, Prim, Scalar};

/// Blocks and expressions may nest this deep; beyond it the text is refused, not the stack used up.
const MAX_DEPTH: usize = 200;

/// Reads one kernel.
pub fn parse(text: &str) -> Result<Kernel, ParseError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    let kernel = parser.kernel()?;
    parser.skip_comments();
    match parser.peek() {
        Token::End => Ok(kernel),
        other => {
            let message = format!("{other} after the kernel");
            parser.error(message)
        }
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

type Parse<T> = Result<T, ParseError>;

impl Parser {
    fn peek(&self) -> &Token {
        // The last token is `End` and is never passed.
        &self.tokens[self.at].0
    }

    fn error<T>(&self, message: impl Into<String>) -> Parse<T> {
        Err(ParseError {
            line: self.tokens[self.at].1,
            message: message.into(),
        })
    }

    fn expected<T>(&self, what: &str) -> Parse<T> {
        self.error(format!("expected {what}, found {}", self.peek()))
    }

    fn skip_comments(&mut self) {
        while matches!(self.peek(), Token::Comment(_)) {
            self.at += 1;
        }
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(found) if *found == symbol)
    }

    /// Takes the symbol if it comes next.
    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn symbol(&mut self, symbol: &str) -> Parse<()> {
        if self.accept(symbol) {
            Ok(())
        } else {
            self.expected(&format!("`{symbol}`"))
        }
    }

    /// Takes the keyword if it comes next.
    fn accept_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(found) if found == word);
        self.at += usize::from(found);
        found
    }

    fn keyword(&mut self, word: &str) -> Parse<()> {
        if self.accept_word(word) {
            Ok(())
        } else {
            self.expected(&format!("`{word}`"))
        }
    }

    fn word(&mut self, what: &str) -> Parse<String> {
        match self.peek() {
            Token::Word(word) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => self.expected(what),
        }
    }

    /// A word of a letter and a number, such as `p3`.
    fn numbered(&mut self, letter: char, what: &str) -> Parse<u32> {
        if let Token::Word(word) = self.peek()
            && let Some(number) = strip_number(word, letter)
        {
            self.at += 1;
            return Ok(number);
        }
        self.expected(what)
    }

    fn value(&mut self) -> Parse<ValueId> {
        match *self.peek() {
            Token::Value(id) => {
                self.at += 1;
                Ok(ValueId(id))
            }
            _ => self.expected("a value such as `%0`"),
        }
    }

    fn values(&mut self) -> Parse<Vec<ValueId>> {
        let mut values = vec![self.value()?];
        while self.accept(",") {
            values.push(self.value()?);
        }
        Ok(values)
    }

    fn small_int(&mut self, what: &str) -> Parse<u32> {
        if let Token::Int(number) = *self.peek()
            && let Ok(number) = u32::try_from(number)
        {
            self.at += 1;
            return Ok(number);
        }
        self.expected(what)
    }

    /// A plain or quoted name, or nothing.
    fn name(&mut self) -> String {
        match self.peek() {
            Token::Word(name) | Token::Text(name) => {
                let name = name.clone();
                self.at += 1;
                name
            }
            _ => String::new(),
        }
    }

    fn text(&mut self) -> Parse<String> {
        match self.peek() {
            Token::Text(_) => Ok(self.name()),
            _ => self.expected("a quoted text"),
        }
    }

    fn scalar(&mut self) -> Parse<Scalar> {
        let ty = self.ty()?;
        if ty.lanes == 1 {
            Ok(ty.scalar)
        } else {
            self.at -= 1;
            self.expected("a scalar type")
        }
    }

    fn ty(&mut self) -> Parse<Ty> {
        if let Token::Word(word) = self.peek()
            && let Some(ty) = ty_from_name(word)
        {
            self.at += 1;
            return Ok(ty);
        }
        self.expected("a type such as `f32x16`")
    }

    fn lanes(&mut self) -> Parse<u32> {
        self.numbered('x', "a lane count such as `x16`")
    }

    fn kernel(&mut self) -> Parse<Kernel> {
        self.skip_comments();
        self.keyword("kernel")?;
        let mut kernel = Kernel {
            name: self.name(),
            doc: Vec::new(),
            params: Vec::new(),
            size_count: 0,
            locals: Vec::new(),
            tiles: IExpr::zero(),
            functions: Vec::new(),
            setup: Vec::new(),
            body: Vec::new(),
        };
        self.symbol("{")?;
        let mut has_body = false;
        loop {
            self.skip_comments();
            if self.accept("}") {
                break;
            }
            has_body |= self.section(&mut kernel)?;
        }
        if has_body {
            Ok(kernel)
        } else {
            self.error("the kernel has no body")
        }
    }

    /// One section of a kernel; was it the body?
    fn section(&mut self, kernel: &mut Kernel) -> Parse<bool> {
        let word = self.word("a section of the kernel")?;
        match word.as_str() {
            "doc" => kernel.doc.push(self.text()?),
            "param" => {
                let param = self.param(kernel.params.len())?;
                kernel.params.push(param);
            }
            "local" => {
                let local = self.local(kernel.locals.len())?;
                kernel.locals.push(local);
            }
            "sizes" => kernel.size_count = self.small_int("the number of sizes")?,
            "tiles" => kernel.tiles = self.index()?,
            "function" => kernel.functions.push(self.function()?),
            "setup" => kernel.setup = self.block()?,
            "body" => {
                kernel.body = self.block()?;
                return Ok(true);
            }
            _ => {
                self.at -= 1;
                return self.expected("a section of the kernel");
            }
        }
        Ok(false)
    }

    /// The number of a parameter or local must be its position.
    fn position(&mut self, letter: char, at: usize) -> Parse<()> {
        let what = format!("`{letter}{at}`");
        if self.numbered(letter, &what)? as usize == at {
            return Ok(());
        }
        self.at -= 1;
        self.expected(&what)
    }

    fn param(&mut self, at: usize) -> Parse<Param> {
        self.position('p', at)?;
        let name = self.name();
        self.symbol(":")?;
        let dtype = self.scalar()?;
        let all = [Access::Read, Access::Write, Access::ReadWrite];
        let found = all
            .into_iter()
            .find(|a| self.accept_word(super::print::access_name(*a)));
        let Some(access) = found else {
            return self.expected("`read`, `write` or `readwrite`");
        };
        Ok(Param {
            dtype,
            access,
            name,
            noalias: self.accept_word("noalias"),
        })
    }

    fn local(&mut self, at: usize) -> Parse<Local> {
        self.position('l', at)?;
        let name = self.name();
        self.symbol(":")?;
        let dtype = self.scalar()?;
        self.symbol("[")?;
        let elements = self.index()?;
        self.symbol("]")?;
        Ok(Local {
            dtype,
            elements,
            name,
        })
    }

    fn function(&mut self) -> Parse<Function> {
        let name = self.word("a prim")?;
        let Some(prim) = Prim::from_name(&name) else {
            self.at -= 1;
            return self.expected("a prim");
        };
        let ty = self.ty()?;
        self.symbol("(")?;
        let params = self.values()?;
        self.symbol(")")?;
        let doc = if self.is_symbol("{") {
            String::new()
        } else {
            self.text()?
        };
        self.symbol("{")?;
        let mut rare = None;
        let body = self.code(&mut |this| {
            if rare.is_some() || !this.accept_word("rare") {
                return Ok(());
            }
            let lanes = this.value()?;
            this.symbol("{")?;
            let body = this.code(&mut |_| Ok(()))?;
            let result = this.returned()?;
            rare = Some(Rare {
                lanes,
                body,
                result,
            });
            this.skip_comments();
            Ok(())
        })?;
        let result = self.returned()?;
        Ok(Function {
            prim,
            ty,
            params,
            body,
            result,
            rare,
            doc,
        })
    }

    /// Definitions up to the word `return`; `before_return` may read what stands before it.
    fn code(
        &mut self,
        before_return: &mut dyn FnMut(&mut Parser) -> Parse<()>,
    ) -> Parse<Vec<(ValueId, Op)>> {
        let mut code = Vec::new();
        loop {
            self.skip_comments();
            before_return(self)?;
            if self.accept_word("return") {
                return Ok(code);
            }
            let id = self.value()?;
            self.symbol("=")?;
            code.push((id, self.op()?));
        }
    }

    /// What stands behind `return`, and the end of the block.
    fn returned(&mut self) -> Parse<ValueId> {
        let result = self.value()?;
        self.skip_comments();
        self.symbol("}")?;
        Ok(result)
    }

    /// Runs a parser one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Parser) -> Parse<T>) -> Parse<T> {
        if self.depth == MAX_DEPTH {
            return self.error(format!("nested more than {MAX_DEPTH} deep"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn block(&mut self) -> Parse<Block> {
        self.symbol("{")?;
        self.deeper(|parser| {
            let mut block = Vec::new();
            while !parser.accept("}") {
                block.push(parser.statement()?);
            }
            Ok(block)
        })
    }

    fn statement(&mut self) -> Parse<Stmt> {
        match self.peek().clone() {
            Token::Comment(text) => {
                self.at += 1;
                Ok(Stmt::Comment(text))
            }
            Token::Value(id) => {
                self.at += 1;
                self.symbol("=")?;
                Ok(Stmt::Let {
                    id: ValueId(id),
                    op: self.op()?,
                })
            }
            Token::Word(word) => {
                self.at += 1;
                self.named_statement(&word)
            }
            _ => self.expected("a statement"),
        }
    }

    fn named_statement(&mut self, word: &str) -> Parse<Stmt> {
        match word {
            "for" => self.for_statement(),
            "if" => {
                let cond = self.value()?;
                let then = self.block()?;
                let otherwise = if self.accept_word("else") {
                    self.block()?
                } else {
                    Vec::new()
                };
                Ok(Stmt::If {
                    cond,
                    then,
                    otherwise,
                })
            }
            "reg" | "set" => {
                let id = RegId(self.numbered('r', "a register such as `r0`")?);
                self.symbol("=")?;
                let value = self.value()?;
                Ok(match word {
                    "reg" => Stmt::Reg { id, init: value },
                    _ => Stmt::Set { id, value },
                })
            }
            "store" | "stream" => {
                let buf = self.buffer()?;
                let index = self.index()?;
                self.symbol("]")?;
                self.symbol("=")?;
                let value = self.value()?;
                if word == "stream" {
                    return Ok(Stmt::Stream { buf, index, value });
                }
                if !self.accept_word("where") {
                    return Ok(Stmt::Store { buf, index, value });
                }
                Ok(Stmt::StoreMasked {
                    buf,
                    index,
                    value,
                    mask: self.value()?,
                })
            }
            "scatter" => {
                let buf = self.buffer()?;
                let index = self.value()?;
                self.symbol("]")?;
                self.symbol("=")?;
                Ok(Stmt::Scatter {
                    buf,
                    index,
                    value: self.value()?,
                })
            }
            "prefetch" | "prefetch_near" => {
                let near = word == "prefetch_near";
                let buf = self.buffer()?;
                let index = self.index()?;
                self.symbol("]")?;
                Ok(Stmt::Prefetch { buf, index, near })
            }
            "fail" => {
                let code = self.small_int("the code of a failed check")?;
                self.keyword("if")?;
                Ok(Stmt::Fail {
                    cond: self.value()?,
                    code,
                })
            }
            "comment" => Ok(Stmt::Comment(self.text()?)),
            _ => {
                self.at -= 1;
                self.expected("a statement")
            }
        }
    }

    fn for_statement(&mut self) -> Parse<Stmt> {
        let var = VarId(self.numbered('i', "a loop variable such as `i1`")?);
        self.keyword("in")?;
        let begin = self.index()?;
        self.symbol("..")?;
        let end = self.index()?;
        let step = if self.accept_word("step") {
            self.signed_int()?
        } else {
            1
        };
        Ok(Stmt::For {
            var,
            begin,
            end,
            step,
            body: self.block()?,
        })
    }

    /// A buffer and the bracket after it.
    fn buffer(&mut self) -> Parse<Buf> {
        let buf = match self.peek() {
            Token::Word(word) => strip_number(word, 'p')
                .map(Buf::Param)
                .or_else(|| strip_number(word, 'l').map(Buf::Local)),
            _ => None,
        };
        let Some(buf) = buf else {
            return self.expected("a buffer such as `p0` or `l0`");
        };
        self.at += 1;
        self.symbol("[")?;
        Ok(buf)
    }

    fn op(&mut self) -> Parse<Op> {
        let word = self.word("an operation")?;
        match word.as_str() {
            "const" => {
                let ty = self.ty()?;
                Ok(Op::Const {
                    value: self.literal()?,
                    ty,
                })
            }
            "index" => Ok(Op::Index {
                expr: self.index()?,
            }),
            "ramp" => {
                let lanes = self.lanes()?;
                self.keyword("from")?;
                let base = self.index()?;
                self.keyword("by")?;
                Ok(Op::Ramp {
                    base,
                    stride: self.index()?,
                    lanes,
                })
            }
            "get" => Ok(Op::Get {
                id: RegId(self.numbered('r', "a register such as `r0`")?),
            }),
            "load" => self.load(),
            "gather" => {
                let buf = self.buffer()?;
                let index = self.value()?;
                self.symbol("]")?;
                Ok(Op::Gather { buf, index })
            }
            "convert" | "bitcast" => {
                let value = self.value()?;
                self.keyword("to")?;
                let to = self.scalar()?;
                Ok(match word.as_str() {
                    "convert" => Op::Convert { value, to },
                    _ => Op::Bitcast { value, to },
                })
            }
            "splat" => Ok(Op::Splat {
                value: self.value()?,
                lanes: self.lanes()?,
            }),
            "extract" => {
                let value = self.value()?;
                self.symbol("[")?;
                let lane = self.small_int("a lane")?;
                self.symbol("]")?;
                Ok(Op::Extract { value, lane })
            }
            "shuffle" => self.shuffle(),
            "dotbf16" => {
                let acc = self.value()?;
                self.symbol(",")?;
                let a = self.value()?;
                self.symbol(",")?;
                Ok(Op::DotBf16 {
                    acc,
                    a,
                    b: self.value()?,
                })
            }
            name => match Prim::from_name(name) {
                Some(prim) => Ok(Op::Prim {
                    prim,
                    args: self.values()?,
                }),
                None => {
                    self.at -= 1;
                    self.expected("an operation")
                }
            },
        }
    }

    /// The lanes of a masked load are those of its mask; the others say how many.
    fn load(&mut self) -> Parse<Op> {
        let is_masked =
            matches!(self.peek(), Token::Word(word) if strip_number(word, 'x').is_none());
        if is_masked {
            return self.masked_load();
        }
        let lanes = self.lanes()?;
        let buf = self.buffer()?;
        let index = self.index()?;
        let stride = if self.accept_word("by") {
            Some(self.index()?)
        } else {
            None
        };
        self.symbol("]")?;
        Ok(match stride {
            Some(stride) => Op::LoadStrided {
                buf,
                index,
                stride,
                lanes,
            },
            None => Op::Load { buf, index, lanes },
        })
    }

    fn masked_load(&mut self) -> Parse<Op> {
        let buf = self.buffer()?;
        let index = self.index()?;
        self.symbol("]")?;
        self.keyword("where")?;
        Ok(Op::LoadMasked {
            buf,
            index,
            mask: self.value()?,
        })
    }

    fn shuffle(&mut self) -> Parse<Op> {
        let a = self.value()?;
        self.symbol(",")?;
        let b = self.value()?;
        self.symbol("[")?;
        let mut lanes = Vec::new();
        while !self.accept("]") {
            if !lanes.is_empty() {
                self.symbol(",")?;
            }
            lanes.push(self.small_int("a lane")?);
        }
        Ok(Op::Shuffle { a, b, lanes })
    }

    fn literal(&mut self) -> Parse<Literal> {
        let negative = self.accept("-");
        let literal = match self.peek() {
            Token::Word(word) if word == "true" && !negative => Literal::Bool(true),
            Token::Word(word) if word == "false" && !negative => Literal::Bool(false),
            Token::Word(word) if word == "inf" => Literal::Float(f64::INFINITY),
            Token::Word(word) if word == "nan" && !negative => return self.nan(),
            Token::Float(number) => Literal::Float(*number),
            Token::Int(number) => match signed(*number, negative) {
                Some(number) => Literal::Int(number),
                None => return self.expected("a 64-bit integer"),
            },
            _ => return self.expected("a literal"),
        };
        self.at += 1;
        Ok(match literal {
            Literal::Float(number) if negative => Literal::Float(-number),
            other => other,
        })
    }

    /// `nan` and its bits.
    fn nan(&mut self) -> Parse<Literal> {
        self.at += 1;
        if let Token::Int(bits) = *self.peek() {
            let number = f64::from_bits(bits);
            if number.is_nan() {
                self.at += 1;
                return Ok(Literal::Float(number));
            }
        }
        self.expected("the bits of a NaN")
    }

    fn signed_int(&mut self) -> Parse<i64> {
        let negative = self.accept("-");
        if let Token::Int(number) = *self.peek()
            && let Some(number) = signed(number, negative)
        {
            self.at += 1;
            return Ok(number);
        }
        self.expected("an integer")
    }

    /// A sum of products.
    fn index(&mut self) -> Parse<IExpr> {
        let mut negative = self.accept("-");
        let mut sum = IExpr::zero();
        loop {
            let sign = IExpr::constant(if negative { -1 } else { 1 });
            sum = &sum + &(&sign * &self.product()?);
            negative = self.is_symbol("-");
            if !negative && !self.is_symbol("+") {
                return Ok(sum);
            }
            self.at += 1;
        }
    }

    fn product(&mut self) -> Parse<IExpr> {
        let mut product = self.factor()?;
        while self.accept("*") {
            product = &product * &self.factor()?;
        }
        Ok(product)
    }

    fn factor(&mut self) -> Parse<IExpr> {
        let leaf = match self.peek().clone() {
            // 2^63 wraps to the smallest integer, which a sign before it leaves as it is.
            Token::Int(number) if number <= 1 << 63 => IExpr::constant(number as i64),
            Token::Value(id) => IExpr::value(id),
            Token::Word(word) => {
                self.at += 1;
                return self.named_factor(&word);
            }
            _ => return self.expected("an index expression"),
        };
        self.at += 1;
        Ok(leaf)
    }

    fn named_factor(&mut self, word: &str) -> Parse<IExpr> {
        let make = match word {
            "div" => Atom::FloorDiv,
            "mod" => Atom::Mod,
            "min" => Atom::Min,
            "max" => Atom::Max,
            _ => {
                let size = strip_number(word, 's').map(IExpr::size);
                return match size.or_else(|| strip_number(word, 'i').map(IExpr::var)) {
                    Some(leaf) => Ok(leaf),
                    None => {
                        self.at -= 1;
                        self.expected("a size, a loop variable or a value")
                    }
                };
            }
        };
        self.deeper(|parser| {
            parser.symbol("(")?;
            let left = parser.index()?;
            parser.symbol(",")?;
            let right = parser.index()?;
            parser.symbol(")")?;
            Ok(IExpr::atom(make(left, right)))
        })
    }
}

/// The number after a letter: `12` of `p12`.
fn strip_number(word: &str, letter: char) -> Option<u32> {
    let digits = word.strip_prefix(letter)?;
    if digits.starts_with(|c: char| c.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}

fn ty_from_name(word: &str) -> Option<Ty> {
    match word.split_once('x') {
        Some((scalar, lanes)) => {
            let lanes: u32 = lanes.parse().ok().filter(|n| *n != 1)?;
            Some(Ty::new(scalar_from_name(scalar)?, lanes))
        }
        None => scalar_from_name(word).map(Ty::scalar),
    }
}

fn signed(magnitude: u64, negative: bool) -> Option<i64> {
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}
