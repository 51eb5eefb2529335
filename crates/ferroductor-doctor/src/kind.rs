//! The kinds of toolchain failure the doctor knows, as one table.
//!
//! What must hold: the slug is the public identifier and never changes; a
//! kind's stage says when, on the way from an interpreter to a running kernel,
//! its failure is met, so that findings can be put in order of dependency.

use serde::{Serialize, Serializer};

/// When a failure is met; earlier stages must be repaired first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The interpreter and its packages.
    Packages,
    /// The user, the cache folder, the temporary folder.
    Place,
    /// Programs: compilers, assemblers, build tools.
    Programs,
    /// Headers.
    Headers,
    /// Compilation proper.
    Compile,
    /// Libraries at link time.
    Link,
    /// Loading what was built.
    Load,
    /// Running it, and the processes that do.
    Run,
}

macro_rules! kinds {
    ($($name:ident $number:literal $slug:literal $stage:ident;)*) => {
        /// A kind of toolchain failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($name),* }

        impl Kind {
            /// All kinds, in the order of their numbers.
            pub const ALL: &'static [Kind] = &[$(Kind::$name),*];

            /// The number in the project's list of kinds.
            pub fn number(self) -> u8 {
                match self { $(Kind::$name => $number),* }
            }

            /// The public identifier.
            pub fn slug(self) -> &'static str {
                match self { $(Kind::$name => $slug),* }
            }

            pub fn stage(self) -> Stage {
                match self { $(Kind::$name => Stage::$stage),* }
            }
        }
    };
}

kinds! {
    PythonHTriton 1 "python-h-triton" Headers;
    PythonHInductorCpp 2 "python-h-inductor-cpp" Headers;
    PythonHCppExtension 3 "python-h-cpp-extension" Headers;
    NoCxxCompiler 4 "no-cxx-compiler" Programs;
    NoCCompilerTriton 5 "no-c-compiler-triton" Programs;
    OmpHLinux 6 "omp-h-linux" Headers;
    OmpMacos 7 "omp-macos" Headers;
    LibompLoadedTwiceMacos 8 "libomp-loaded-twice-macos" Run;
    LibgompMissing 9 "libgomp-missing" Link;
    MsvcClNotFound 10 "msvc-cl-not-found" Programs;
    MsvcEnvironmentNotLoaded 11 "msvc-environment-not-loaded" Programs;
    CannotFindLtorch 12 "cannot-find-ltorch" Link;
    CannotFindLcuda 13 "cannot-find-lcuda" Link;
    LibcudaAssertion 14 "libcuda-assertion" Link;
    CannotFindLcudart 15 "cannot-find-lcudart" Link;
    GlibcxxNotFound 16 "glibcxx-not-found" Load;
    GlibcTooOld 17 "glibc-too-old" Load;
    CxxStandardTooOld 18 "cxx-standard-too-old" Compile;
    ArchFlagsOrCompilerCrash 19 "arch-flags-or-compiler-crash" Compile;
    CompilerKilledOom 20 "compiler-killed-oom" Compile;
    NoSpaceLeft 21 "no-space-left" Place;
    NoexecTmp 22 "noexec-tmp" Load;
    CachePermissionDenied 23 "cache-permission-denied" Place;
    CacheRenameDeniedWindows 24 "cache-rename-denied-windows" Place;
    ReadOnlyFilesystem 25 "read-only-filesystem" Place;
    UidWithoutPasswdEntry 26 "uid-without-passwd-entry" Place;
    IllegalInstruction 27 "illegal-instruction" Run;
    PrecompiledHeader 28 "precompiled-header" Compile;
    PythonVersionUnsupported 29 "python-version-unsupported" Packages;
    TritonMissing 30 "triton-missing" Packages;
    TritonTorchVersionMismatch 31 "triton-torch-version-mismatch" Packages;
    PtxasTooOld 32 "ptxas-too-old" Compile;
    UndefinedSymbolAbi 33 "undefined-symbol-abi" Load;
    LibcHeadersMissing 34 "libc-headers-missing" Headers;
    NinjaMissing 35 "ninja-missing" Programs;
    CudaHomeNotSet 36 "cuda-home-not-set" Programs;
    CudaVersionMismatch 37 "cuda-version-mismatch" Compile;
    NvccRejectsGcc 38 "nvcc-rejects-gcc" Compile;
    CondaCompilerClash 39 "conda-compiler-clash" Link;
    PathWithSpaces 40 "path-with-spaces" Compile;
    PathTooLongWindows 41 "path-too-long-windows" Place;
    UnicodeDecodeCompilerOutput 42 "unicode-decode-compiler-output" Compile;
    CompileSubprocessDied 43 "compile-subprocess-died" Run;
    CudaHMissing 44 "cuda-h-missing" Headers;
    StaleBuildLockHang 45 "stale-build-lock-hang" Run;
    SetuptoolsMissing 46 "setuptools-missing" Packages;
    LdconfigMissing 47 "ldconfig-missing" Programs;
    HalfInstalledToolchain 48 "half-installed-toolchain" Programs;
    OpensslProgramMissing 49 "openssl-program-missing" Programs;
    NetworkFilesystemCache 50 "network-filesystem-cache" Place;
    GxxSpawnBadAddress 51 "gxx-spawn-bad-address" Programs;
    NvccNotExecutableWsl 52 "nvcc-not-executable-wsl" Programs;
    NvccTooOldForGpu 53 "nvcc-too-old-for-gpu" Compile;
    TorchMissingInBuild 54 "torch-missing-in-build" Packages;
    PythonLibraryMissing 55 "python-library-missing" Link;
    XpuToolchainMissing 56 "xpu-toolchain-missing" Headers;
    RocmToolchainMissing 57 "rocm-toolchain-missing" Headers;
}

impl Kind {
    pub fn from_slug(slug: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|k| k.slug() == slug)
    }

    /// Whether a finding of this kind, when present, explains one of `other`,
    /// so that `other` is a consequence and not a second cause.
    pub fn explains(self, other: Kind) -> bool {
        use Kind::*;
        match other {
            // A dead worker is how any crash of a compilation shows itself.
            CompileSubprocessDied => self != StaleBuildLockHang,
            CannotFindLtorch => matches!(self, PathWithSpaces),
            CannotFindLcuda => matches!(self, CondaCompilerClash),
            CannotFindLcudart => matches!(self, CudaHomeNotSet),
            LibcudaAssertion => matches!(self, LdconfigMissing),
            LibgompMissing => matches!(self, CondaCompilerClash),
            GlibcxxNotFound => matches!(self, GlibcTooOld),
            MsvcEnvironmentNotLoaded => matches!(self, MsvcClNotFound),
            CxxStandardTooOld => matches!(self, NvccRejectsGcc),
            StaleBuildLockHang => matches!(self, CompilerKilledOom),
            NoexecTmp => matches!(self, NetworkFilesystemCache),
            CachePermissionDenied => matches!(self, NvccNotExecutableWsl),
            TritonMissing => matches!(self, TritonTorchVersionMismatch | PythonVersionUnsupported),
            _ => false,
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_complete_and_slugs_unique() {
        let numbers: Vec<u8> = Kind::ALL.iter().map(|k| k.number()).collect();
        assert_eq!(numbers, (1..=57).collect::<Vec<u8>>());
        for kind in Kind::ALL {
            assert_eq!(Kind::from_slug(kind.slug()), Some(*kind));
        }
    }

    #[test]
    fn no_kind_explains_itself_or_in_a_circle() {
        for a in Kind::ALL {
            assert!(!a.explains(*a) || *a == Kind::CompileSubprocessDied);
            for b in Kind::ALL.iter().filter(|b| *b != a) {
                assert!(!(a.explains(*b) && b.explains(*a)), "{a:?} and {b:?}");
            }
        }
    }
}
