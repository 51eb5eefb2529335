//! Prints a kernel in text form, read from the standard input, as C++ for an instruction set:
//! `print_cpp avx512 < kernel.txt`.

use ferroductor_codegen::cpp;
use ferroductor_ir::kernel::{Isa, Target};
use ferroductor_ir::text;
use std::io::Read;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, String> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "avx2".into());
    let isa = Isa::from_name(&name).ok_or_else(|| format!("{name:?} is no instruction set"))?;
    let mut source = String::new();
    std::io::stdin()
        .read_to_string(&mut source)
        .map_err(|e| e.to_string())?;
    let kernel = text::parse(&source).map_err(|e| e.to_string())?;
    let symbol = if kernel.name.is_empty() {
        "kernel".into()
    } else {
        kernel.name.clone()
    };
    cpp::print(&[(symbol, &kernel)], &Target::of(isa)).map_err(|e| e.to_string())
}
