//! The doctor as a binary of its own: no Python, no torch, no LLVM.

fn main() {
    std::process::exit(ferroductor_doctor::cli::main(std::env::args_os()));
}
