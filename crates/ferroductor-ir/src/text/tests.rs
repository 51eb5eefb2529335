//! Forms and refusals by hand; the round trip of random kernels is a test of its own.

use super::*;
use crate::index::IExpr;
use crate::kernel::*;
use crate::prim::Literal;

const ALL_FORMS: &str = r#"kernel forms {
  doc "aten.add.Tensor"
  doc "a \"quoted\" line\n\u{7}"
  param p0 x: f32 read noalias
  param p1 "out of line": bool write
  param p2: i64 readwrite
  sizes 3
  local l0 tile: bf16[s0*4]
  tiles div(15 + s0, 16)
  function exp f32x16(%0) "1.5 ulp" {
    %1 = const f32x16 -0.0
    %2 = add %0, %1
    return %2
  }
  setup {
    %0 = const f64 nan 0x7ff8000000000001
    reg r0 = %0
  }
  body {
    // plain
    comment "two\nlines"
    %1 = const i64 -9223372036854775808
    %2 = const boolx8 true
    %3 = const f32 -inf
    %4 = const f64 1e-300
    %5 = index 3 - s1*i0*2 + mod(i0, s2)
    %6 = ramp x16 from i0*64 by -3
    for i1 in -4 + s0..max(s1, i0) step 16 {
      %7 = load x16 p0[i1]
      %8 = load x16 p0[%5 by min(i1, 3)]
      %9 = gather p2[%6]
      %22 = load p1[2 + i1] where %23
      store p1[-1 + i1] = %22 where %23
      %10 = exp %7
      %11 = convert %10 to bf16
      %12 = bitcast %11 to i16
      %13 = shuffle %12, %12 [0, 31]
      %14 = extract %13[1]
      %15 = splat %14 x4
      store l0[i1] = %11
      scatter p2[%6] = %9
    }
    %16 = get r0
    set r0 = %16
    if %17 {
      fail 3 if %17
    } else {
      %18 = dotbf16 %19, %20, %21
    }
  }
}
"#;

#[test]
fn every_form_prints_as_it_was_read() {
    let kernel = parse(ALL_FORMS).unwrap();
    assert_eq!(print(&kernel), ALL_FORMS);
    assert_eq!(kernel.doc[1], "a \"quoted\" line\n\u{7}");
    assert_eq!(kernel.params[1].name, "out of line");
    assert_eq!(
        kernel.body[2],
        Stmt::Let {
            id: ValueId(1),
            op: Op::Const {
                value: Literal::Int(i64::MIN),
                ty: Ty::scalar(Scalar::I64)
            },
        }
    );
}

#[test]
fn index_expressions_come_back_exactly() {
    let extremes = [i64::MIN, i64::MAX, -1, 0, 1];
    let mut expressions: Vec<IExpr> = extremes.iter().map(|c| IExpr::constant(*c)).collect();
    for c in extremes {
        expressions.push(&(&IExpr::var(0) * &IExpr::constant(c)) + &IExpr::size(1));
        expressions.push(&IExpr::value(3) - &IExpr::constant(c));
    }
    for expr in expressions {
        let mut kernel = parse("kernel { body { } }").unwrap();
        kernel.tiles = expr.clone();
        assert_eq!(parse(&print(&kernel)).unwrap().tiles, expr);
    }
}

#[test]
fn errors_name_the_line_and_what_was_expected() {
    let message = |text: &str| parse(text).unwrap_err().to_string();
    assert_eq!(
        message("kernel k {\n  body {\n    %0 = lod x1 p0[0]\n  }\n}"),
        "line 3: expected an operation, found `lod`"
    );
    assert_eq!(message("kernel k {\n}"), "line 2: the kernel has no body");
    assert_eq!(
        message("kernel k {\n  body {\n"),
        "line 3: expected a statement, found the end of the text"
    );
    assert_eq!(
        message("kernel k {\n param p1: f32 read"),
        "line 2: expected `p0`, found `p1`"
    );
    assert_eq!(
        message("kernel k { body { for i1 in 0..+ { } } }"),
        "line 1: expected an index expression, found `+`"
    );
    assert_eq!(
        message("kernel \"x\n"),
        "line 1: a quoted text must end on its line"
    );
    assert_eq!(
        message("kernel k { body { } } }"),
        "line 1: `}` after the kernel"
    );
    assert_eq!(
        message("kernel k { tiles 99999999999999999999 }"),
        "line 1: `99999999999999999999` is no 64-bit number"
    );
    assert!(message("kernel § { }").contains("has no meaning here"));
}

#[test]
fn text_nested_without_end_is_refused() {
    let deep = "div(".repeat(100_000);
    let error = parse(&format!("kernel k {{ tiles {deep}")).unwrap_err();
    assert!(error.message.contains("nested"), "{error}");
    let loops = "for i1 in 0..1 {".repeat(100_000);
    assert!(parse(&format!("kernel k {{ body {{ {loops}")).is_err());
}

#[test]
fn cut_or_garbled_text_is_an_error_and_never_a_panic() {
    for end in 0..ALL_FORMS.len() - 3 {
        if ALL_FORMS.is_char_boundary(end) {
            assert!(parse(&ALL_FORMS[..end]).is_err(), "cut at {end}");
        }
    }
    for at in 0..ALL_FORMS.len() {
        for byte in [b'}', b'%', b'"', b'9', b' '] {
            let mut bytes = ALL_FORMS.as_bytes().to_vec();
            bytes[at] = byte;
            if let Ok(text) = String::from_utf8(bytes) {
                let _ = parse(&text);
            }
        }
    }
}

#[test]
fn identity_sees_code_but_no_names() {
    let text = |value: &str, loop_var: &str, name: &str, op: &str| {
        parse(&format!(
            "kernel {name} {{
               doc {name:?}
               param p0 {name}: f32 readwrite
               tiles 4
               body {{
                 // {name}
                 {value} = load x4 p0[i0*4]
                 for i3 in 0..2 {{ store p0[i3] = {value} }}
                 for {loop_var} in 0..2 {{
                   %50 = {op} {value}
                   store p0[{loop_var} + i0] = %50
                 }}
               }}
             }}"
        ))
        .unwrap()
    };
    let base = identity(&text("%1", "i1", "a", "neg"));
    assert_eq!(base, identity(&text("%30", "i3", "b", "neg")));
    assert_ne!(base, identity(&text("%1", "i1", "a", "abs")));
    assert_eq!(identity(&canonical(&text("%1", "i1", "a", "neg"))), base);
    let mut other = text("%1", "i1", "a", "neg");
    other.params[0].noalias = true;
    assert_ne!(base, identity(&other));
}
