//! Names that C++ accepts and that do not meet each other.

use ferroductor_ir::Prim;
use ferroductor_ir::kernel::{Access, Op, Param, RegId, ValueId};
use std::collections::HashSet;

/// Words that mean something in the printed text, beside the helpers' names.
const RESERVED: &[&str] = &[
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "begin",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "char8_t",
    "class",
    "co_await",
    "co_return",
    "co_yield",
    "compl",
    "concept",
    "const",
    "const_cast",
    "consteval",
    "constexpr",
    "constinit",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "end",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "pointers",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "requires",
    "return",
    "scratch",
    "short",
    "signed",
    "sizeof",
    "sizes",
    "static",
    "static_assert",
    "static_cast",
    "std",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
    "Kernel",
    "padded",
    "run_tiles",
    "main",
    "errno",
    "signgam",
    "linux",
    "unix",
    "INLINE",
    "NAN",
    "INFINITY",
    "EOF",
    "NULL",
];

/// The names taken in one function.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Inside these, the same names mean the same things.
    pub fn inner(&self) -> Names {
        Names {
            taken: self.taken.clone(),
        }
    }

    /// Takes exactly this name; was it free?
    pub fn take(&mut self, name: &str) -> bool {
        self.taken.insert(name.to_string())
    }

    /// A free name like the wish.
    pub fn claim(&mut self, wish: &str) -> String {
        let wish = identifier(wish);
        let mut name = wish.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{wish}_{number}");
            number += 1;
        }
        name
    }
}

/// Functions of C that the included headers declare beside the prims' names: a kernel's function
/// is global and cannot share them.
const C_FUNCTIONS: &[&str] = &[
    "abort",
    "acoshf",
    "aligned_alloc",
    "asinhf",
    "atanhf",
    "cbrt",
    "div",
    "drem",
    "exit",
    "fabs",
    "fdim",
    "fmax",
    "fmin",
    "free",
    "frexp",
    "gamma",
    "hypot",
    "ilogb",
    "isnan",
    "ldexp",
    "lgamma",
    "logb",
    "lrint",
    "malloc",
    "memcpy",
    "memmove",
    "memset",
    "modf",
    "nan",
    "nearbyint",
    "nextafter",
    "pow10",
    "rand",
    "random",
    "realloc",
    "remquo",
    "rint",
    "scalb",
    "select",
    "significand",
    "strcat",
    "strlen",
    "system",
    "tgamma",
];

/// Is the text a name that may be given to an exported function?
pub(super) fn is_exportable(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.chars().next().is_some_and(letter)
        && text.chars().all(|c| letter(c) || c.is_ascii_digit())
        && !RESERVED.contains(&text)
        && !C_FUNCTIONS.contains(&text)
        && !super::prelude::is_helper(text)
        // `log`, `abs` and the like; a kernel of one operator is often called by its name.
        && Prim::from_name(text).is_none()
}

/// A name like the wish that [`is_exportable`].
pub(super) fn exportable(wish: &str) -> String {
    let name = identifier(wish);
    if is_exportable(&name) {
        name
    } else {
        format!("{name}_kernel")
    }
}

/// The text with what C++ does not take replaced. Words that the printer itself gives out (types
/// such as `f32x16`, variables such as `i0`, helpers) get an underscore at their end.
fn identifier(text: &str) -> String {
    let mut name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well {
        name.insert(0, 'v');
    }
    // Two underscores belong to the implementation.
    while name.contains("__") {
        name = name.replace("__", "_");
    }
    let short = name.len() > 1
        && name[1..].chars().all(|c| c.is_ascii_digit())
        && name.starts_with(['i', 's']);
    let vector_type =
        name.starts_with(['i', 'u', 'f']) && name[1..].starts_with(|c: char| c.is_ascii_digit());
    if short
        || vector_type
        || RESERVED.contains(&name.as_str())
        || super::prelude::is_helper(&name)
        || name.starts_with("acc")
    {
        name.push('_');
    }
    name
}

/// What a parameter without name is called.
pub(super) fn parameter(param: &Param, at: usize) -> String {
    if !param.name.is_empty() {
        return param.name.clone();
    }
    match param.access {
        Access::Read => format!("in{at}"),
        Access::Write => format!("out{at}"),
        Access::ReadWrite => format!("inout{at}"),
    }
}

/// The name of a register's variable.
pub(super) fn register(id: RegId) -> String {
    format!("acc{}", id.0)
}

/// What a value is called: what makes it, and its number.
pub(super) fn value(id: ValueId, op: &Op, buffer: Option<&str>) -> String {
    let stem = match op {
        Op::Const { .. } => "constant",
        Op::Index { .. } => "index",
        Op::Ramp { .. } => "at",
        Op::Get { .. } => "old",
        Op::Load { .. } | Op::LoadMasked { .. } | Op::LoadStrided { .. } | Op::Gather { .. } => {
            buffer.unwrap_or("loaded")
        }
        Op::Prim {
            prim: Prim::Select, ..
        } => "chosen",
        Op::Prim { prim, .. } => prim.name(),
        Op::Convert { to, .. } => {
            return format!("as_{}_{}", ferroductor_ir::text::scalar_name(*to), id.0);
        }
        Op::Bitcast { .. } => "bits",
        Op::Splat { .. } => "all",
        Op::Extract { .. } => "lane",
        Op::Shuffle { .. } => "shuffled",
        Op::DotBf16 { .. } => "dot",
    };
    format!("{stem}_{}", id.0)
}
