//! From meanings to findings: one judge per kind of failure.
//!
//! What must hold: a judge looks only at a [`Case`]; it states `High` only
//! when the evidence allows no other cause, `Medium` when another is possible
//! but unlikely, `Low` when the reader must check; without evidence of its own
//! it returns nothing. Which finding is the root is decided by
//! [`Kind::explains`] and [`crate::kind::Stage`], not by a judge.

mod gpu;
mod headers;
mod packages;
mod place;
mod programs;
mod running;

pub use gpu::dropped_by_toolkits;

use crate::case::{Case, Hit};
use crate::kind::Kind;
use crate::resolved;
use serde::Serialize;

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    Low,
    Medium,
    High,
}

/// What a judge found.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub kind: Kind,
    pub confidence: Confidence,
    pub evidence: Vec<Hit>,
    /// What the finding is about: a header, library, folder, program or version.
    pub subject: Option<String>,
    /// A second value some explanations name.
    pub detail: Option<String>,
}

impl Verdict {
    fn new(kind: Kind, confidence: Confidence, hit: &Hit) -> Self {
        Self {
            kind,
            confidence,
            evidence: vec![hit.clone()],
            subject: None,
            detail: None,
        }
    }

    fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    fn about_capture(mut self, hit: &Hit, name: &str) -> Self {
        self.subject = hit.get(name).map(str::to_owned);
        self
    }

    fn with_detail(mut self, detail: Option<&str>) -> Self {
        self.detail = detail.map(str::to_owned);
        self
    }

    fn and(mut self, hit: &Hit) -> Self {
        self.evidence.push(hit.clone());
        self
    }
}

/// One kind with its judge.
pub struct Rule {
    pub kind: Kind,
    pub judge: fn(&Case) -> Option<Verdict>,
}

/// Every rule, in the order of the kinds' numbers.
pub static RULES: &[Rule] = &[
    Rule {
        kind: Kind::PythonHTriton,
        judge: headers::python_h_triton,
    },
    Rule {
        kind: Kind::PythonHInductorCpp,
        judge: headers::python_h_inductor_cpp,
    },
    Rule {
        kind: Kind::PythonHCppExtension,
        judge: headers::python_h_cpp_extension,
    },
    Rule {
        kind: Kind::NoCxxCompiler,
        judge: programs::no_cxx_compiler,
    },
    Rule {
        kind: Kind::NoCCompilerTriton,
        judge: programs::no_c_compiler_triton,
    },
    Rule {
        kind: Kind::OmpHLinux,
        judge: headers::omp_h_linux,
    },
    Rule {
        kind: Kind::OmpMacos,
        judge: headers::omp_macos,
    },
    Rule {
        kind: Kind::LibompLoadedTwiceMacos,
        judge: running::libomp_loaded_twice,
    },
    Rule {
        kind: Kind::LibgompMissing,
        judge: running::libgomp_missing,
    },
    Rule {
        kind: Kind::MsvcClNotFound,
        judge: programs::msvc_cl_not_found,
    },
    Rule {
        kind: Kind::MsvcEnvironmentNotLoaded,
        judge: programs::msvc_environment_not_loaded,
    },
    Rule {
        kind: Kind::CannotFindLtorch,
        judge: gpu::cannot_find_ltorch,
    },
    Rule {
        kind: Kind::CannotFindLcuda,
        judge: gpu::cannot_find_lcuda,
    },
    Rule {
        kind: Kind::LibcudaAssertion,
        judge: gpu::libcuda_assertion,
    },
    Rule {
        kind: Kind::CannotFindLcudart,
        judge: gpu::cannot_find_lcudart,
    },
    Rule {
        kind: Kind::GlibcxxNotFound,
        judge: running::glibcxx_not_found,
    },
    Rule {
        kind: Kind::GlibcTooOld,
        judge: running::glibc_too_old,
    },
    Rule {
        kind: Kind::CxxStandardTooOld,
        judge: programs::cxx_standard_too_old,
    },
    Rule {
        kind: Kind::ArchFlagsOrCompilerCrash,
        judge: programs::arch_flags_or_compiler_crash,
    },
    Rule {
        kind: Kind::CompilerKilledOom,
        judge: programs::compiler_killed,
    },
    Rule {
        kind: Kind::NoSpaceLeft,
        judge: place::no_space_left,
    },
    Rule {
        kind: Kind::NoexecTmp,
        judge: place::noexec,
    },
    Rule {
        kind: Kind::CachePermissionDenied,
        judge: place::permission_denied,
    },
    Rule {
        kind: Kind::CacheRenameDeniedWindows,
        judge: place::rename_denied_windows,
    },
    Rule {
        kind: Kind::ReadOnlyFilesystem,
        judge: place::read_only,
    },
    Rule {
        kind: Kind::UidWithoutPasswdEntry,
        judge: place::uid_without_passwd,
    },
    Rule {
        kind: Kind::IllegalInstruction,
        judge: running::illegal_instruction,
    },
    Rule {
        kind: Kind::PrecompiledHeader,
        judge: headers::precompiled_header,
    },
    Rule {
        kind: Kind::PythonVersionUnsupported,
        judge: packages::python_version_unsupported,
    },
    Rule {
        kind: Kind::TritonMissing,
        judge: packages::triton_missing,
    },
    Rule {
        kind: Kind::TritonTorchVersionMismatch,
        judge: packages::triton_torch_version_mismatch,
    },
    Rule {
        kind: Kind::PtxasTooOld,
        judge: gpu::ptxas_too_old,
    },
    Rule {
        kind: Kind::UndefinedSymbolAbi,
        judge: running::undefined_symbol_abi,
    },
    Rule {
        kind: Kind::LibcHeadersMissing,
        judge: headers::libc_headers_missing,
    },
    Rule {
        kind: Kind::NinjaMissing,
        judge: packages::ninja_missing,
    },
    Rule {
        kind: Kind::CudaHomeNotSet,
        judge: gpu::cuda_home_not_set,
    },
    Rule {
        kind: Kind::CudaVersionMismatch,
        judge: gpu::cuda_version_mismatch,
    },
    Rule {
        kind: Kind::NvccRejectsGcc,
        judge: gpu::nvcc_rejects_gcc,
    },
    Rule {
        kind: Kind::CondaCompilerClash,
        judge: running::conda_compiler_clash,
    },
    Rule {
        kind: Kind::PathWithSpaces,
        judge: place::path_with_spaces,
    },
    Rule {
        kind: Kind::PathTooLongWindows,
        judge: place::path_too_long_windows,
    },
    Rule {
        kind: Kind::UnicodeDecodeCompilerOutput,
        judge: programs::unicode_decode,
    },
    Rule {
        kind: Kind::CompileSubprocessDied,
        judge: running::compile_subprocess_died,
    },
    Rule {
        kind: Kind::CudaHMissing,
        judge: headers::cuda_h_missing,
    },
    Rule {
        kind: Kind::StaleBuildLockHang,
        judge: running::stale_build_lock,
    },
    Rule {
        kind: Kind::SetuptoolsMissing,
        judge: packages::setuptools_missing,
    },
    Rule {
        kind: Kind::LdconfigMissing,
        judge: programs::ldconfig_missing,
    },
    Rule {
        kind: Kind::HalfInstalledToolchain,
        judge: programs::half_installed,
    },
    Rule {
        kind: Kind::OpensslProgramMissing,
        judge: programs::openssl_missing,
    },
    Rule {
        kind: Kind::NetworkFilesystemCache,
        judge: place::network_filesystem,
    },
    Rule {
        kind: Kind::GxxSpawnBadAddress,
        judge: programs::spawn_bad_address,
    },
    Rule {
        kind: Kind::NvccNotExecutableWsl,
        judge: programs::nvcc_not_executable,
    },
    Rule {
        kind: Kind::NvccTooOldForGpu,
        judge: gpu::nvcc_too_old_for_gpu,
    },
    Rule {
        kind: Kind::TorchMissingInBuild,
        judge: packages::torch_missing_in_build,
    },
    Rule {
        kind: Kind::PythonLibraryMissing,
        judge: packages::python_library_missing,
    },
    Rule {
        kind: Kind::XpuToolchainMissing,
        judge: gpu::xpu_toolchain_missing,
    },
    Rule {
        kind: Kind::RocmToolchainMissing,
        judge: gpu::rocm_toolchain_missing,
    },
];

/// Runs every rule.
pub fn judge_all(case: &Case) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = RULES.iter().filter_map(|rule| (rule.judge)(case)).collect();
    resolved::mark(case, &mut verdicts);
    verdicts
}

/// The last component of a path of any system.
fn base_name(path: &str) -> &str {
    path.trim_end_matches(['/', '\\'])
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_exactly_one_rule() {
        let kinds: Vec<Kind> = RULES.iter().map(|r| r.kind).collect();
        assert_eq!(kinds, Kind::ALL);
    }

    #[test]
    fn an_empty_log_gives_no_verdict() {
        assert!(judge_all(&Case::default()).is_empty());
    }
}
