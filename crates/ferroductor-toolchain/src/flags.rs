//! What each compiler and linker flag is for.
//!
//! What must hold: roles are language-neutral identifiers; whoever shows them
//! to a person translates them. An unknown flag has the role [`FlagRole::Other`],
//! never a guess.

/// The purpose of one flag or word of a compile command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlagRole {
    Source,
    Output,
    CompileOnly,
    PreprocessOnly,
    Shared,
    PositionIndependent,
    Standard,
    Optimize,
    NoAssertions,
    DebugInfo,
    FramePointer,
    FloatSemantics,
    NoAutoVectorize,
    NativeArch,
    VectorIsa,
    OpenMp,
    OpenMpLibrary,
    PythonHeaders,
    TorchHeaders,
    CudaHeaders,
    IncludeDir,
    PreInclude,
    PythonLibDir,
    TorchLibDir,
    LibraryDir,
    TorchLibrary,
    CudaLibrary,
    Library,
    CppWrapperDefine,
    ExtensionDefine,
    CpuCapabilityDefine,
    AbiDefine,
    Define,
    Warnings,
    DependencyFile,
    LinkerOption,
    Sysroot,
    GpuArch,
    MsvcRuntime,
    MsvcExceptions,
    MsvcLink,
    StrayWord,
    Other,
}

impl FlagRole {
    /// The stable identifier, also the tail of the message that explains it.
    pub fn id(self) -> &'static str {
        use FlagRole::*;
        match self {
            Source => "source",
            Output => "output",
            CompileOnly => "compile-only",
            PreprocessOnly => "preprocess-only",
            Shared => "shared",
            PositionIndependent => "position-independent",
            Standard => "standard",
            Optimize => "optimize",
            NoAssertions => "no-assertions",
            DebugInfo => "debug-info",
            FramePointer => "frame-pointer",
            FloatSemantics => "float-semantics",
            NoAutoVectorize => "no-auto-vectorize",
            NativeArch => "native-arch",
            VectorIsa => "vector-isa",
            OpenMp => "openmp",
            OpenMpLibrary => "openmp-library",
            PythonHeaders => "python-headers",
            TorchHeaders => "torch-headers",
            CudaHeaders => "cuda-headers",
            IncludeDir => "include-dir",
            PreInclude => "pre-include",
            PythonLibDir => "python-lib-dir",
            TorchLibDir => "torch-lib-dir",
            LibraryDir => "library-dir",
            TorchLibrary => "torch-library",
            CudaLibrary => "cuda-library",
            Library => "library",
            CppWrapperDefine => "cpp-wrapper-define",
            ExtensionDefine => "extension-define",
            CpuCapabilityDefine => "cpu-capability-define",
            AbiDefine => "abi-define",
            Define => "define",
            Warnings => "warnings",
            DependencyFile => "dependency-file",
            LinkerOption => "linker-option",
            Sysroot => "sysroot",
            GpuArch => "gpu-arch",
            MsvcRuntime => "msvc-runtime",
            MsvcExceptions => "msvc-exceptions",
            MsvcLink => "msvc-link",
            StrayWord => "stray-word",
            Other => "other",
        }
    }

    /// Every role, for tests that every role is explained in every language.
    pub const ALL: &'static [FlagRole] = {
        use FlagRole::*;
        &[
            Source,
            Output,
            CompileOnly,
            PreprocessOnly,
            Shared,
            PositionIndependent,
            Standard,
            Optimize,
            NoAssertions,
            DebugInfo,
            FramePointer,
            FloatSemantics,
            NoAutoVectorize,
            NativeArch,
            VectorIsa,
            OpenMp,
            OpenMpLibrary,
            PythonHeaders,
            TorchHeaders,
            CudaHeaders,
            IncludeDir,
            PreInclude,
            PythonLibDir,
            TorchLibDir,
            LibraryDir,
            TorchLibrary,
            CudaLibrary,
            Library,
            CppWrapperDefine,
            ExtensionDefine,
            CpuCapabilityDefine,
            AbiDefine,
            Define,
            Warnings,
            DependencyFile,
            LinkerOption,
            Sysroot,
            GpuArch,
            MsvcRuntime,
            MsvcExceptions,
            MsvcLink,
            StrayWord,
            Other,
        ]
    };
}

/// How a prefix is compared with a flag.
enum Match {
    Exact(&'static str),
    Prefix(&'static str),
}

/// The table, first match wins; more telling rows come first.
const ROLES: &[(Match, FlagRole)] = {
    use FlagRole::*;
    use Match::{Exact, Prefix};
    &[
        (Exact("-c"), CompileOnly),
        (Exact("/c"), CompileOnly),
        (Exact("-E"), PreprocessOnly),
        (Exact("-P"), PreprocessOnly),
        (Exact("-shared"), Shared),
        (Exact("-dynamiclib"), Shared),
        (Exact("-bundle"), Shared),
        (Exact("/LD"), Shared),
        (Exact("/DLL"), Shared),
        (Prefix("-undefined"), LinkerOption),
        (Prefix("-fPI"), PositionIndependent),
        (Prefix("-fpi"), PositionIndependent),
        (Prefix("-std="), Standard),
        (Prefix("--std="), Standard),
        (Prefix("/std:"), Standard),
        (Exact("-DNDEBUG"), NoAssertions),
        (Prefix("-O"), Optimize),
        (Prefix("/O1"), Optimize),
        (Prefix("/O2"), Optimize),
        (Prefix("/Ox"), Optimize),
        (Prefix("/openmp"), OpenMp),
        (Prefix("-fopenmp"), OpenMp),
        (Prefix("-qopenmp"), OpenMp),
        (Exact("-g"), DebugInfo),
        (Exact("-g0"), DebugInfo),
        (Exact("-g1"), DebugInfo),
        (Exact("-g2"), DebugInfo),
        (Exact("-lineinfo"), DebugInfo),
        (Prefix("-fno-omit-frame-pointer"), FramePointer),
        (Prefix("-fomit-frame-pointer"), FramePointer),
        (Prefix("-fno-tree-loop-vectorize"), NoAutoVectorize),
        (Prefix("-fno-tree-vectorize"), NoAutoVectorize),
        (Prefix("-fno-trapping-math"), FloatSemantics),
        (Prefix("-funsafe-math"), FloatSemantics),
        (Prefix("-fno-unsafe-math"), FloatSemantics),
        (Prefix("-ffinite-math"), FloatSemantics),
        (Prefix("-fno-finite-math"), FloatSemantics),
        (Prefix("-fno-signed-zeros"), FloatSemantics),
        (Prefix("-fmath-errno"), FloatSemantics),
        (Prefix("-fno-math-errno"), FloatSemantics),
        (Prefix("-ffast-math"), FloatSemantics),
        (Prefix("-ffp-contract"), FloatSemantics),
        (Prefix("-fexcess-precision"), FloatSemantics),
        (Exact("-march=native"), NativeArch),
        (Exact("-mcpu=native"), NativeArch),
        (Exact("-mtune=native"), NativeArch),
        (Prefix("-mavx"), VectorIsa),
        (Prefix("-mfma"), VectorIsa),
        (Prefix("-mamx"), VectorIsa),
        (Prefix("-mf16c"), VectorIsa),
        (Prefix("-msse"), VectorIsa),
        (Prefix("-march="), VectorIsa),
        (Prefix("-mcpu="), VectorIsa),
        (Prefix("/arch:"), VectorIsa),
        (Exact("-lgomp"), OpenMpLibrary),
        (Exact("-lomp"), OpenMpLibrary),
        (Exact("-liomp5"), OpenMpLibrary),
        (Prefix("-ltorch"), TorchLibrary),
        (Prefix("-lc10"), TorchLibrary),
        (Prefix("-lcu"), CudaLibrary),
        (Prefix("-l:libcu"), CudaLibrary),
        (Prefix("-lnv"), CudaLibrary),
        (Prefix("-l"), Library),
        (Prefix("-DTORCH_EXTENSION_NAME"), ExtensionDefine),
        (Prefix("-DTORCH_API_INCLUDE_EXTENSION_H"), ExtensionDefine),
        (Prefix("-DPYBIND11_"), ExtensionDefine),
        (Prefix("-DTORCH_INDUCTOR"), CppWrapperDefine),
        (Prefix("-DSTANDALONE_TORCH_HEADER"), CppWrapperDefine),
        (Prefix("-DC10_USING_CUSTOM"), CppWrapperDefine),
        (Prefix("-DCPU_CAPABILITY"), CpuCapabilityDefine),
        (Prefix("-DHAVE_AVX"), CpuCapabilityDefine),
        (Prefix("-D_GLIBCXX_USE_CXX11_ABI"), AbiDefine),
        (Prefix("-D"), Define),
        (Prefix("/D"), Define),
        (Prefix("-U"), Define),
        (Prefix("-W"), Warnings),
        (Prefix("/wd"), Warnings),
        (Prefix("/W"), Warnings),
        (Prefix("-pedantic"), Warnings),
        (Prefix("-w"), Warnings),
        (Prefix("-MF"), DependencyFile),
        (Prefix("-MM"), DependencyFile),
        (Prefix("-MD"), DependencyFile),
        (Prefix("-MT"), DependencyFile),
        (Prefix("--sysroot"), Sysroot),
        (Prefix("-isysroot"), Sysroot),
        (Exact("-pthread"), Library),
        (Prefix("-gencode"), GpuArch),
        (Prefix("-arch"), GpuArch),
        (Prefix("--gpu-name"), GpuArch),
        (Prefix("/MD"), MsvcRuntime),
        (Prefix("/MT"), MsvcRuntime),
        (Prefix("/EH"), MsvcExceptions),
        (Prefix("/link"), MsvcLink),
        (Prefix("/nologo"), Warnings),
        (Prefix("/permissive"), Standard),
        (Prefix("/Zc:"), Standard),
    ]
};

/// The role of a flag that carries its value inside itself, or has none.
pub fn role_of(flag: &str) -> FlagRole {
    if flag.starts_with("-Wl,") {
        return FlagRole::LinkerOption;
    }
    for (pattern, role) in ROLES {
        let hit = match pattern {
            Match::Exact(text) => flag == *text,
            Match::Prefix(text) => flag.starts_with(text),
        };
        if hit {
            return *role;
        }
    }
    FlagRole::Other
}

/// The role of an include folder, by what the path says it holds.
pub fn include_role(path: &str) -> FlagRole {
    let path = path.replace('\\', "/").to_ascii_lowercase();
    if path.contains("/torch/include") {
        FlagRole::TorchHeaders
    } else if path.contains("cuda") || path.contains("/nvidia/") {
        FlagRole::CudaHeaders
    } else if python_version_in(&path).is_some() && path.contains("include")
        || path.ends_with("python/include")
    {
        FlagRole::PythonHeaders
    } else {
        FlagRole::IncludeDir
    }
}

/// The role of a library folder, by what the path says it holds.
pub fn library_dir_role(path: &str) -> FlagRole {
    let path = path.replace('\\', "/").to_ascii_lowercase();
    if path.ends_with("/torch/lib") {
        FlagRole::TorchLibDir
    } else if path.contains("python")
        || path.ends_with("/libs")
        || path.contains("/.pyenv/versions/")
    {
        FlagRole::PythonLibDir
    } else {
        FlagRole::LibraryDir
    }
}

/// `3.13` from the last `python3.13` (or `Python313`) in a path.
pub fn python_version_in(path: &str) -> Option<String> {
    let lower = path.to_ascii_lowercase();
    let mut found = None;
    for (start, _) in lower.match_indices("python") {
        let rest = &lower[start + "python".len()..];
        let digits: String = rest
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        let version = match digits.trim_end_matches('.').split_once('.') {
            Some(("3", minor)) => {
                let minor = minor.split('.').next().unwrap_or_default();
                (!minor.is_empty()).then(|| format!("3.{minor}"))
            }
            None if digits.len() >= 2 && digits.starts_with('3') => {
                Some(format!("3.{}", &digits[1..]))
            }
            _ => None,
        };
        found = version.or(found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_versions_are_read_from_paths() {
        assert_eq!(
            python_version_in("/usr/include/python3.13").as_deref(),
            Some("3.13")
        );
        assert_eq!(
            python_version_in("C:/Python/Python311/Include").as_deref(),
            Some("3.11")
        );
        assert_eq!(
            python_version_in("/home/u/.pyenv/versions/3.11.7/include/python3.11").as_deref(),
            Some("3.11")
        );
        assert_eq!(python_version_in("/opt/pythonic/include"), None);
    }

    #[test]
    fn telling_rows_win_over_general_ones() {
        assert_eq!(role_of("-ltorch_cpu"), FlagRole::TorchLibrary);
        assert_eq!(role_of("-Wl,-rpath,/x"), FlagRole::LinkerOption);
        assert_eq!(role_of("-march=native"), FlagRole::NativeArch);
        assert_eq!(role_of("--unheard-of"), FlagRole::Other);
    }
}
