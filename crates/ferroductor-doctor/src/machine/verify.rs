//! Verification by doing: an extension, a parallel region, a shared object from
//! the cache folder, Inductor in a fresh process.
//!
//! What must hold: each probe says what was run and what it printed; a probe
//! that cannot run for want of something is skipped, not passed; a probe that
//! panics is a failed result.

use super::checks::first_choice_works;
use super::inventory::Inventory;
use super::python::Python;
use crate::diagnosis::VerificationResult;
use crate::i18n::Catalog;
use ferroductor_toolchain::{AttemptResult, Command, CompilerFamily, Cxx, Run, System};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const EXTENSION: &str = "#define PY_SSIZE_T_CLEAN\n#include <Python.h>\nstatic PyObject *answer(PyObject *self, PyObject *args) { (void)self; (void)args; return PyLong_FromLong(PY_VERSION_HEX >> 16); }\nstatic PyMethodDef methods[] = {{\"answer\", answer, METH_NOARGS, \"\"}, {NULL, NULL, 0, NULL}};\nstatic struct PyModuleDef module = {PyModuleDef_HEAD_INIT, \"ferroductor_probe\", NULL, -1, methods, NULL, NULL, NULL, NULL};\nextern \"C\" PyMODINIT_FUNC PyInit_ferroductor_probe(void) { return PyModule_Create(&module); }\n";
const OPENMP: &str = "#include <omp.h>\n#include <cstdio>\nint main() {\n  int threads = 0;\n#pragma omp parallel reduction(+ : threads)\n  threads += omp_get_num_threads() > 0;\n  std::printf(\"%d threads\\n\", threads);\n  return threads < 1;\n}\n";
const LIBRARY: &str = "#ifdef _WIN32\n#define SHOWN __declspec(dllexport)\n#else\n#define SHOWN\n#endif\nextern \"C\" SHOWN int ferroductor_probe() { return 42; }\n";
const INDUCTOR: &str = "import torch; f = lambda x: (x.sin() + 1).relu(); x = torch.arange(64.0); assert torch.allclose(torch.compile(f)(x), f(x), atol=1e-4); print('inductor works, torch', torch.__version__)";

/// What a probe did, before it is put into words.
struct Attempted {
    ran: String,
    printed: String,
    passed: bool,
    skipped: bool,
}

impl Attempted {
    fn skipped(reason: &str) -> Self {
        Self {
            ran: String::new(),
            printed: reason.to_owned(),
            passed: false,
            skipped: true,
        }
    }

    fn from_run(command: &Command, run: &Run) -> Self {
        Self {
            ran: command.to_line(),
            printed: tail(&run.report()),
            passed: run.succeeded(),
            skipped: false,
        }
    }

    fn failed(ran: String, printed: String) -> Self {
        Self {
            ran,
            printed,
            passed: false,
            skipped: false,
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

type Probe = fn(&dyn System, &Inventory) -> Attempted;

/// Runs all probes at the same time; Inductor's takes longest.
pub fn run_all(
    system: &dyn System,
    inventory: &Inventory,
    catalog: &Catalog,
) -> Vec<VerificationResult> {
    let probes: [(&'static str, Probe); 4] = [
        ("probe-headers", headers),
        ("probe-openmp", openmp),
        ("probe-cache", cache),
        ("probe-inductor", inductor),
    ];
    let missing = missing_folders(system, inventory);
    let results = thread::scope(|scope| {
        let running: Vec<_> = probes
            .iter()
            .map(|(id, probe)| {
                let start = Instant::now();
                (
                    *id,
                    scope.spawn(move || (probe(system, inventory), start.elapsed())),
                )
            })
            .collect();
        let finish = |(id, handle): (
            &'static str,
            thread::ScopedJoinHandle<'_, (Attempted, Duration)>,
        )| {
            let (attempted, elapsed) = handle.join().unwrap_or_else(|_| {
                let crashed = Attempted {
                    ran: id.to_owned(),
                    printed: catalog.text("probe-crashed"),
                    passed: false,
                    skipped: false,
                };
                (crashed, Duration::ZERO)
            });
            VerificationResult {
                id,
                text: catalog.text(id),
                ran: attempted.ran,
                passed: attempted.passed,
                skipped: attempted.skipped,
                printed: attempted.printed,
                milliseconds: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            }
        };
        running.into_iter().map(finish).collect()
    });
    for path in missing {
        if system.list(&path).is_ok_and(|l| l.is_empty()) {
            // What stays behind is an empty folder.
            let _ = system.remove_dir_all(&path);
        }
    }
    results
}

fn cache_folder(inventory: &Inventory) -> Option<&Path> {
    let folder = inventory.folders.iter().find(|f| f.purpose == "inductor")?;
    Some(Path::new(&folder.path))
}

/// The folders that probes have to make, from the innermost outwards.
fn missing_folders(system: &dyn System, inventory: &Inventory) -> Vec<PathBuf> {
    let path = cache_folder(inventory).unwrap_or(Path::new("/"));
    path.ancestors()
        .take_while(|p| !system.exists(p))
        .map(Path::to_path_buf)
        .collect()
}

fn compiler(inventory: &Inventory) -> Option<&Cxx> {
    inventory.cxx_search.as_ref().and_then(|s| s.cxx.as_ref())
}

/// A scratch folder that is removed at the end of its scope.
struct Scratch<'a> {
    system: &'a dyn System,
    path: PathBuf,
}

impl<'a> Scratch<'a> {
    fn new(system: &'a dyn System, parent: Option<&Path>) -> Result<Self, Attempted> {
        let failed = |e: std::io::Error| {
            let place = parent.unwrap_or(Path::new("TMPDIR")).display();
            Attempted::failed("mkdir".to_owned(), format!("{place}: {e}"))
        };
        system
            .scratch_dir(parent)
            .map(|path| Self { system, path })
            .map_err(failed)
    }

    fn write(&self, name: &str, content: &str) -> Result<String, Attempted> {
        let path = self.path.join(name);
        let shown = path.to_string_lossy().into_owned();
        match self.system.write(&path, content.as_bytes()) {
            Ok(()) => Ok(shown),
            Err(error) => Err(Attempted::failed(
                format!("write {shown}"),
                error.to_string(),
            )),
        }
    }

    fn file(&self, name: &str) -> String {
        self.path.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // What stays behind is small and in a temporary folder.
        let _ = self.system.remove_dir_all(&self.path);
    }
}

/// Runs a command; a failure ends the probe.
fn step(system: &dyn System, command: &Command) -> Result<Attempted, Attempted> {
    let attempted = Attempted::from_run(command, &system.run(command));
    if attempted.passed {
        Ok(attempted)
    } else {
        Err(attempted)
    }
}

fn either(result: Result<Attempted, Attempted>) -> Attempted {
    result.unwrap_or_else(|failed| failed)
}

const LIMIT: Duration = Duration::from_secs(60);

fn headers(system: &dyn System, inventory: &Inventory) -> Attempted {
    let (Some(cxx), Some(python)) = (compiler(inventory), &inventory.python) else {
        return Attempted::skipped("no compiler or no interpreter");
    };
    either(build_and_import(system, cxx, python))
}

fn build_and_import(
    system: &dyn System,
    cxx: &Cxx,
    python: &Python,
) -> Result<Attempted, Attempted> {
    let scratch = Scratch::new(system, None)?;
    let source = scratch.write("ferroductor_probe.cpp", EXTENSION)?;
    let output = scratch.file(&format!("ferroductor_probe{}", python.suffix));
    let include = format!("-I{}", python.include);
    let build = if cxx.family == CompilerFamily::Msvc {
        // The import library of the interpreter stands beside its headers.
        let library = format!("/LIBPATH:{}/libs", python.base_prefix);
        output_of(cxx.command().args([include, source]), cxx, &output).args(["/link", &library])
    } else {
        // The interpreter's own flags, without those that only C knows.
        let own = python
            .cflags
            .split_whitespace()
            .filter(|f| !f.starts_with("-std=") && !f.contains("strict-prototypes"));
        let undefined = (system.platform() == ferroductor_toolchain::Platform::MacOs)
            .then_some(["-undefined", "dynamic_lookup"]);
        let command = cxx
            .command()
            .args(own.map(str::to_owned))
            .args([include, source])
            .args(undefined.into_iter().flatten());
        output_of(command, cxx, &output)
    };
    step(
        system,
        &build.env("LC_ALL", "C").time_limit(system.patience(LIMIT)),
    )?;
    let code = format!(
        "import sys; sys.path.insert(0, {:?}); import ferroductor_probe as p; v = p.answer(); print('headers', '%d.%d' % (v >> 8, v & 255)); sys.exit(v != sys.version_info[0] * 256 + sys.version_info[1])",
        scratch.path.to_string_lossy()
    );
    step(
        system,
        &Command::new(&python.executable)
            .args(["-c", &code])
            .time_limit(system.patience(LIMIT)),
    )
}

/// The option that names the output.
fn output_of(command: Command, cxx: &Cxx, output: &str) -> Command {
    match cxx.family {
        CompilerFamily::Msvc => command.arg(format!("/Fe{output}")),
        _ => command.args(["-o", output]),
    }
}

fn openmp(system: &dyn System, inventory: &Inventory) -> Attempted {
    let search = inventory.cxx_search.as_ref();
    // Another compiler's OpenMP says nothing about the one that torch will run.
    let first = search.filter(|s| first_choice_works(s));
    let Some(cxx) = first.and_then(|s| s.cxx.as_ref()) else {
        return Attempted::skipped("the compiler that torch runs does not work");
    };
    let build_and_run = || -> Result<Attempted, Attempted> {
        let scratch = Scratch::new(system, None)?;
        let source = scratch.write("openmp.cpp", OPENMP)?;
        let output = scratch.file("openmp.exe");
        let mut program = cxx.command();
        program
            .args
            .retain(|f| !["-shared", "-fPIC", "/LD"].contains(&f.as_str()));
        let flags = if cxx.openmp_flags.is_empty() {
            vec!["-fopenmp".to_owned()]
        } else {
            cxx.openmp_flags.clone()
        };
        let build = output_of(program.args([source.as_str()]).args(flags), cxx, &output);
        step(
            system,
            &build.env("LC_ALL", "C").time_limit(system.patience(LIMIT)),
        )?;
        step(
            system,
            &Command::new(output).time_limit(system.patience(Duration::from_secs(20))),
        )
    };
    either(build_and_run())
}

fn cache(system: &dyn System, inventory: &Inventory) -> Attempted {
    let (Some(cxx), Some(python)) = (compiler(inventory), &inventory.python) else {
        return Attempted::skipped("no compiler or no interpreter");
    };
    let Some(folder) = cache_folder(inventory) else {
        return Attempted::skipped("no cache folder");
    };
    let build_and_load = || -> Result<Attempted, Attempted> {
        create(system, folder)?;
        let scratch = Scratch::new(system, Some(folder))?;
        let source = scratch.write("library.cpp", LIBRARY)?;
        let output = scratch.file("library.so");
        let build = output_of(cxx.command().arg(source.as_str()), cxx, &output);
        step(
            system,
            &build.env("LC_ALL", "C").time_limit(system.patience(LIMIT)),
        )?;
        let code = format!(
            "import ctypes, sys; r = ctypes.CDLL({output:?}).ferroductor_probe(); print('loaded', r); sys.exit(r != 42)"
        );
        step(
            system,
            &Command::new(&python.executable)
                .args(["-c", &code])
                .time_limit(system.patience(LIMIT)),
        )
    };
    either(build_and_load())
}

fn inductor(system: &dyn System, inventory: &Inventory) -> Attempted {
    let Some(python) = inventory.python.as_ref().filter(|p| p.torch.is_some()) else {
        return Attempted::skipped("no torch");
    };
    // Inductor would wait for it as long as the user does.
    if compiler_hangs(inventory) {
        return Attempted::skipped("the compiler does not answer");
    }
    let Some(cache) = cache_folder(inventory) else {
        return Attempted::skipped("no cache folder");
    };
    either(compile_with_inductor(system, python, cache))
}

/// In folders of its own, so that nothing compiled before is found and nothing stays.
fn compile_with_inductor(
    system: &dyn System,
    python: &Python,
    cache: &Path,
) -> Result<Attempted, Attempted> {
    create(system, cache)?;
    let objects = Scratch::new(system, Some(cache))?;
    let temporary = Scratch::new(system, None)?;
    let command = Command::new(&python.executable)
        .args(["-c", INDUCTOR])
        .env("TORCHINDUCTOR_CACHE_DIR", objects.path.to_string_lossy())
        .env("TMPDIR", temporary.path.to_string_lossy())
        .env("TEMP", temporary.path.to_string_lossy())
        .env("TMP", temporary.path.to_string_lossy())
        .env("TORCHINDUCTOR_COMPILE_THREADS", "1")
        .without_env("TORCH_COMPILE_DISABLE")
        .without_env("TORCHDYNAMO_DISABLE")
        .without_env("TORCHDYNAMO_SUPPRESS_ERRORS")
        .time_limit(system.patience(Duration::from_secs(300)));
    step(system, &command)
}

fn create(system: &dyn System, folder: &Path) -> Result<(), Attempted> {
    let shown = folder.display();
    system
        .create_dir_all(folder)
        .map_err(|e| Attempted::failed(format!("mkdir -p {shown}"), format!("{shown}: {e}")))
}

fn compiler_hangs(inventory: &Inventory) -> bool {
    let first = inventory
        .cxx_search
        .as_ref()
        .and_then(|s| s.attempts.first());
    first.is_some_and(|a| a.result == AttemptResult::TimedOut)
}
