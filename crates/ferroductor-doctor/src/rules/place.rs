//! Folders: full, read-only, not ours, not executable, too long, with spaces;
//! and the user they belong to.
//!
//! What must hold: a full disk or a refused folder counts only when a compiler,
//! or a cache of compiled code, met it; checkpoints and datasets are not ours.

use super::{Confidence, Verdict, base_name};
use crate::case::{Case, Hit};
use crate::context::Actor;
use crate::kind::Kind;
use crate::rules::programs::is_build_program;
use crate::signal::Signal;
use ferroductor_toolchain::{CompileCommand, Message, localised};

/// Parts of paths where compiled code is kept.
const CACHE_PARTS: &[&str] = &[
    "torchinductor",
    ".triton",
    "triton/cache",
    "triton\\cache",
    "\\triton\\",
    "torch_extensions",
    "torch_compile_cache",
    "inductor_cache",
    "triton_cache",
    "torchinductor_cache",
    "precompiled_headers",
    "ferroductor",
    "tilelang",
    "fxgraph",
];

/// Frames of code that compiles or keeps compiled code.
const COMPILING_FRAMES: &[&str] = &[
    "_inductor/codecache",
    "_inductor\\codecache",
    "_inductor/cpp_builder",
    "_inductor/runtime",
    "_inductor/compile",
    "_inductor/async_compile",
    "_inductor/triton_bundler",
    "_inductor\\triton_bundler",
    "_inductor\\runtime",
    "_inductor/cpu_vec_isa",
    "triton/runtime/",
    "triton\\runtime\\",
    "triton/compiler/",
    "triton\\compiler\\",
    "triton/backends/",
    "cpp_extension",
    "_inductor/output_code",
    "_inductor/fx_utils",
];

/// Words of compilers and assemblers that write files.
const COMPILER_WORDS: &[&str] = &[
    "fatal error",
    "Fatal error",
    "ld: ",
    "collect2",
    "Assembler messages",
    "ninja: error",
    "Fatal error: can't create",
    "final link failed",
    "cc1plus",
    "InductorError",
    "CppCompileError",
    "nvcc",
    "ptxas",
];

/// Paths whose failures belong to the user's data, not to a toolchain.
const DATA_PARTS: &[&str] = &[
    "huggingface",
    "checkpoint",
    ".safetensors",
    ".ckpt",
    "/datasets",
    "dataset",
    ".parquet",
    "wandb",
    "tensorboard",
    "output_dir",
    ".pth",
    "/hub/",
    "site-packages",
    "dist-packages",
    "conda-meta",
    "pip-",
];

fn in_english(hit: &Hit) -> String {
    localised::english(&hit.text).unwrap_or_else(|| hit.text.clone())
}

/// How surely a refused file was compiled code or a compiler's work.
fn compile_related(case: &Case, hit: &Hit) -> Option<Confidence> {
    let path = hit
        .get("path")
        .or_else(|| hit.get("target"))
        .unwrap_or_default();
    let cache = |text: &str| CACHE_PARTS.iter().any(|p| text.contains(p));
    if cache(path) || (cache(&hit.text) && !hit.text.contains("_inductor/")) {
        return Some(Confidence::High);
    }
    if DATA_PARTS.iter().any(|p| path.contains(p)) || hit.text.contains("pip ") {
        return None;
    }
    let frame = hit.frame.as_deref().unwrap_or_default();
    let english = in_english(hit);
    if COMPILING_FRAMES.iter().any(|p| frame.contains(p))
        || COMPILER_WORDS.iter().any(|w| english.contains(w))
    {
        return Some(Confidence::High);
    }
    // A frame that is known and is not one of ours speaks against us.
    if !frame.is_empty() {
        return None;
    }
    case.context
        .nearest_actor(hit.line, 8)
        .map(|_| Confidence::Medium)
}

fn place_verdict(case: &Case, kind: Kind, message: Message) -> Option<Verdict> {
    let related = |h| compile_related(case, h).map(|c| (h, c));
    let (hit, confidence) = case
        .all(message)
        .filter_map(related)
        .max_by_key(|(h, c)| (*c, std::cmp::Reverse(h.line)))?;
    let path = hit.get("path").or_else(|| hit.get("program"));
    let mut verdict = Verdict::new(kind, confidence, hit);
    verdict.subject = path.map(str::to_owned);
    Some(verdict)
}

pub fn no_space_left(case: &Case) -> Option<Verdict> {
    place_verdict(case, Kind::NoSpaceLeft, Message::NoSpace)
}

pub fn read_only(case: &Case) -> Option<Verdict> {
    place_verdict(case, Kind::ReadOnlyFilesystem, Message::ReadOnly)
}

pub fn permission_denied(case: &Case) -> Option<Verdict> {
    if case.context.is_windows() && case.has(Message::WindowsAccessDenied) {
        return None;
    }
    let verdict = place_verdict(case, Kind::CachePermissionDenied, Message::PermissionDenied)?;
    let subject = verdict.subject.as_deref().unwrap_or_default();
    // A program that may not be run is another matter than a folder.
    let program = is_build_program(subject);
    let other_act = [
        "failed to map",
        "cannot execute",
        "execvp",
        "error trying to exec",
    ];
    let mapping = verdict
        .evidence
        .iter()
        .any(|h| other_act.iter().any(|w| h.text.contains(w)));
    // Without a name it may have been a program.
    let confidence = if verdict.subject.is_none() {
        Confidence::Medium
    } else {
        verdict.confidence
    };
    (!program && !mapping).then(|| Verdict {
        confidence: confidence.min(verdict.confidence),
        ..verdict
    })
}

pub fn noexec(case: &Case) -> Option<Verdict> {
    let in_cache = |h: &Hit| {
        let path = h.get("path").unwrap_or(&h.text);
        CACHE_PARTS.iter().any(|p| path.contains(p))
            || path.contains("/tmp/")
            || path.contains("cuda_utils")
            || path.contains("__triton_launcher")
            || path.contains("/dev/shm/")
            || refused_by_mount(h)
    };
    let hint = case.first(Signal::NoexecHint);
    if let Some(hit) = case.all(Message::MapSegmentFailed).find(|h| in_cache(h)) {
        return Some(
            Verdict::new(Kind::NoexecTmp, Confidence::High, hit).about_capture(hit, "path"),
        );
    }
    if let Some(hit) = hint {
        return Some(Verdict::new(Kind::NoexecTmp, Confidence::High, hit));
    }
    // The wheel's own libraries fail to map when memory or address space is short.
    let hit = case
        .all(Message::MapSegmentFailed)
        .find(|h| !h.text.contains("-packages"))?;
    let actor = case.actor_at(hit).is_some();
    actor.then(|| Verdict::new(Kind::NoexecTmp, Confidence::Medium, hit).about_capture(hit, "path"))
}

/// The system refuses to map an executable segment with EPERM only where the
/// file system is mounted so; short memory and broken files say otherwise.
fn refused_by_mount(hit: &Hit) -> bool {
    let text = in_english(hit);
    text.contains("Operation not permitted") && !text.contains("-packages")
}

pub fn rename_denied_windows(case: &Case) -> Option<Verdict> {
    let (hit, confidence) = case
        .all(Message::WindowsAccessDenied)
        .find_map(|h| compile_related(case, h).map(|c| (h, c)))?;
    Some(Verdict::new(Kind::CacheRenameDeniedWindows, confidence, hit).about_capture(hit, "path"))
}

pub fn uid_without_passwd(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Signal::UidWithoutPasswd) {
        let torch = case.context.has_actor()
            || case.context.torch_dir.is_some()
            || hit.near_any(&["torch", "triton", "inductor"]);
        let confidence = if torch {
            Confidence::High
        } else {
            Confidence::Medium
        };
        let uid = hit.get("name").or_else(|| hit.get("found"));
        let mut verdict = Verdict::new(Kind::UidWithoutPasswdEntry, confidence, hit);
        verdict.subject = uid.map(str::to_owned);
        return Some(verdict);
    }
    let hit = case
        .all(Signal::NoUserName)
        .find(|h| h.text.contains("No username"))?;
    let torch = case.context.has_actor() || case.context.torch_dir.is_some();
    let confidence = if torch {
        Confidence::High
    } else {
        Confidence::Low
    };
    Some(Verdict::new(Kind::UidWithoutPasswdEntry, confidence, hit))
}

pub fn path_with_spaces(case: &Case) -> Option<Verdict> {
    if let Some(hit) = case.first(Message::SameInputOutput) {
        let verdict = Verdict::new(Kind::PathWithSpaces, Confidence::High, hit);
        return Some(verdict.about_capture(hit, "path"));
    }
    // A driver that misses an input which is the tail of a path split at a space.
    let fragment = |h: &Hit| {
        h.get("path")
            .or_else(|| h.get("name"))
            .map(str::trim)
            .map(str::to_owned)
    };
    let driver = case
        .all(Message::DriverInputMissing)
        .filter_map(|h| fragment(h).map(|f| (h, f)));
    for (hit, path) in driver {
        let relative = !path.starts_with(['/', '-']) && path.contains('/');
        let stray = case
            .command_at(hit.line)
            .is_some_and(|(_, c)| c.stray_words().any(|w| w == path));
        if relative || stray {
            let confidence = if stray {
                Confidence::High
            } else {
                Confidence::Medium
            };
            return Some(Verdict::new(Kind::PathWithSpaces, confidence, hit).about(path));
        }
    }
    if let Some(verdict) = windows_path_cut_at_a_space(case) {
        return Some(verdict);
    }
    // The linker misses libtorch because its -L was split.
    let hit = case.all(Message::LibraryMissing).find(|h| {
        h.get("lib").is_some_and(|l| {
            l.starts_with("torch")
                || l.starts_with("c10")
                || l.ends_with(".lib")
                || l.ends_with(".obj")
        })
    })?;
    let (_, command) = case.command_at(hit.line)?;
    let stray = command.stray_words().find(|w| {
        w.contains(['/', '\\']) && !w.starts_with(['/', '-', '&']) && !w.contains(":/")
    })?;
    Some(Verdict::new(Kind::PathWithSpaces, Confidence::High, hit).about(stray.to_owned()))
}

/// cl and link take `C:\Program` of `C:\Program Files` for a file of its own.
fn windows_path_cut_at_a_space(case: &Case) -> Option<Verdict> {
    let cut = |hit: &&Hit| {
        let Some((stem, _)) = hit.get("lib").and_then(|l| l.rsplit_once('.')) else {
            return false;
        };
        let absolute = stem.get(1..3) == Some(":\\") && !stem.contains(' ');
        let goes_on = format!("{stem} ");
        let in_command = |flag: &str| flag.replace("\\\\", "\\").contains(&goes_on);
        absolute
            && (stem.ends_with(":\\Program")
                || case
                    .commands
                    .iter()
                    .any(|(_, c)| c.flags.iter().any(|f| in_command(&f.text))))
    };
    let tail = |hit: &&Hit| names_tail_of_a_path(case, hit);
    let mut missing = case.all(Message::LibraryMissing);
    let hit = missing
        .find(cut)
        .or_else(|| case.all(Message::LibraryMissing).find(tail))?;
    Some(Verdict::new(Kind::PathWithSpaces, Confidence::High, hit).about_capture(hit, "lib"))
}

/// link takes the words of a split path for inputs, and gives them its ending.
fn names_tail_of_a_path(case: &Case, hit: &Hit) -> bool {
    let Some(stem) = hit.get("lib").and_then(|l| l.strip_suffix(".obj")) else {
        return false;
    };
    let relative = stem.contains('\\') && !stem.starts_with('\\') && !stem.contains(':');
    let word_of_command = || {
        let has_word = |(_, c): &(u64, CompileCommand)| c.flags.iter().any(|f| f.text == stem);
        case.commands.iter().any(has_word)
    };
    relative && (stem.contains("\\site-packages\\") || word_of_command())
}

/// Windows refuses paths from this length on, unless long paths are enabled.
const MAX_PATH: usize = 260;

/// The length of a path as Windows counts it: a repr doubles its backslashes.
fn windows_length(path: &str) -> usize {
    path.replace("\\\\", "\\").chars().count()
}

pub fn path_too_long_windows(case: &Case) -> Option<Verdict> {
    let path_of = |h: &Hit| h.get("path").map(str::to_owned);
    let long = case
        .all(Signal::LongWindowsPath)
        .filter_map(|h| path_of(h).map(|p| (h, p)));
    for (hit, path) in long {
        let length = windows_length(&path);
        if length >= MAX_PATH - 20 {
            let confidence = if length >= MAX_PATH {
                Confidence::High
            } else {
                Confidence::Medium
            };
            return Some(
                Verdict::new(Kind::PathTooLongWindows, confidence, hit).about(length.to_string()),
            );
        }
    }
    if let Some(hit) = case
        .first(Message::PathTooLong)
        .filter(|h| compile_related(case, h).is_some())
    {
        return Some(Verdict::new(
            Kind::PathTooLongWindows,
            Confidence::High,
            hit,
        ));
    }
    // A kernel named after every fused operation, in a folder named by a hash.
    let kernel = |h: &&Hit| {
        let name = h.get("path").map(base_name).unwrap_or_default();
        let windows = h.get("path").is_some_and(|p| p.contains(":\\"));
        windows
            && name.contains("triton_")
            && name.contains("_fused_")
            && h.get("path").is_some_and(|p| p.contains("tmp.pid"))
    };
    let hit = case.all(Message::FileMissing).find(kernel)?;
    let length = windows_length(hit.get("path").unwrap_or_default());
    let confidence = if length >= MAX_PATH - 10 {
        Confidence::High
    } else {
        Confidence::Medium
    };
    Some(Verdict::new(Kind::PathTooLongWindows, confidence, hit).about(length.to_string()))
}

pub fn network_filesystem(case: &Case) -> Option<Verdict> {
    let hits = case
        .all(Message::StaleHandle)
        .chain(case.all(Message::DeviceBusy));
    let mut best: Option<(&Hit, Confidence)> = None;
    for hit in hits {
        let nfs = hit.text.contains(".nfs") || hit.meaning == Message::StaleHandle.into();
        if let Some(confidence) = compile_related(case, hit) {
            let confidence = if nfs {
                confidence
            } else {
                confidence.min(Confidence::Medium)
            };
            best = best
                .filter(|(_, c)| *c >= confidence)
                .or(Some((hit, confidence)));
        }
    }
    let (hit, confidence) = best?;
    Some(Verdict::new(Kind::NetworkFilesystemCache, confidence, hit).about_capture(hit, "path"))
}

/// Whether an actor stands next to a line at all; used by other rules.
pub fn beside_compiler(case: &Case, hit: &Hit) -> bool {
    matches!(
        case.actor_at(hit),
        Some(Actor::InductorCpp | Actor::Triton | Actor::CppExtension | Actor::Ferroductor)
    )
}
