//! What torch, Triton, Python and build tools print about a toolchain.
//!
//! What must hold: as for [`ferroductor_toolchain::message`], a row is the
//! meaning of one line with a real sample and a near miss; which failure it
//! amounts to is decided in [`crate::rules`].

use ferroductor_toolchain::pattern::Pattern;

/// The meaning of one line from above the compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    InvalidCxxCompiler,
    TritonNoCCompiler,
    PythonHeaderWarning,
    ClNotFound,
    MsvcRequired,
    MsvcPartlyActive,
    MsvcNotEnglish,
    LibcudaAssertion,
    NoActiveDriver,
    DynamoUnsupportedPython,
    NoMatchingTorch,
    TritonMissing,
    NoMatchingTriton,
    TritonImportMismatch,
    TritonPinConflict,
    PtxasUnknownGpu,
    NvccUnknownGpu,
    NvccHostHeaders,
    RocmNotFound,
    TorchModuleMissing,
    IsolatedBuild,
    XcodeToolsMissing,
    PtxVersionUnsupported,
    UnrecognizedProcessor,
    NinjaRequired,
    NinjaFallback,
    CudaHomeNotSet,
    CudaMismatch,
    NvccRejectsHost,
    SetuptoolsMissing,
    SubprocessDied,
    FileBaton,
    BuildingExtension,
    UidWithoutPasswd,
    NoUserName,
    NoexecHint,
    LongWindowsPath,
    DistutilsBuildFailed,
    ExtensionBuildFailed,
    CompileErrorRaised,
    // Advice seen in the log that may mislead.
    SuppressErrorsAdvice,
    DisableCompileAdvice,
    DuplicateOpenMpAdvice,
    DowngradePythonAdvice,
    AllowUnsupportedCompilerAdvice,
    CppWrapperAdvice,
    PipPythonDevAdvice,
    ForeignHeadersAdvice,
    // Failures that are not about a toolchain.
    CudaOutOfMemory,
    ShapeMismatch,
    DeviceMismatch,
    GraphBreak,
    Nccl,
    DeviceAssert,
    DownloadFailed,
    UserCodeError,
    GpuNotSupportedByTorch,
    PipConflict,
    TritonOutOfResources,
    WindowsUnsupported,
    PythonImportLibraryMissing,
    FreeThreadedUnsupported,
}

pub static TABLE: &[Pattern<Signal>] = &[
    Pattern {
        id: Signal::InvalidCxxCompiler,
        anchors: &["InvalidCxxCompiler", "No working C++ compiler"],
        regex: r"InvalidCxxCompiler\s*:|inductor\.exc\.InvalidCxxCompiler\s*$|No working C\+\+ compiler found",
        samples: &[
            "torch._inductor.exc.InductorError: InvalidCxxCompiler: No working C++ compiler found in torch._inductor.config.cpp.cxx: (None, 'g++')",
        ],
        near_misses: &[
            "from torch._inductor.exc import InvalidCxxCompiler, CppCompileError",
            "    raise exc.InvalidCxxCompiler",
        ],
    },
    Pattern {
        id: Signal::TritonNoCCompiler,
        anchors: &["Failed to find C compiler"],
        regex: r"Failed to find C compiler",
        samples: &[
            "RuntimeError: Failed to find C compiler. Please specify via CC environment variable.",
        ],
        near_misses: &["Failed to find compiler cache"],
    },
    Pattern {
        id: Signal::PythonHeaderWarning,
        anchors: &["Can't find Python.h"],
        regex: r"Can't find Python\.h in (?P<path>/\S+|[A-Z]:\S+)",
        samples: &["UserWarning: Can't find Python.h in /usr/include/python3.11"],
        near_misses: &["  warnings.warn(f\"Can't find Python.h in {str(include_dir)}\")"],
    },
    Pattern {
        id: Signal::ClNotFound,
        anchors: &[
            "Compiler: cl",
            "compiler version for cl",
            "'where', 'cl'",
            "where cl",
            "Compiler: icx-cl",
            "Compiler: clang-cl",
        ],
        regex: r"Compiler: \S*cl\S* is not found|Error checking compiler version for cl\b|\['where', 'cl'\]|'where cl'",
        samples: &[
            "RuntimeError: Compiler: cl is not found.",
            "UserWarning: Error checking compiler version for cl: [WinError 2] The system cannot find the file specified",
        ],
        near_misses: &["    raise RuntimeError(f\"Compiler: {compiler} is not found.\") from exc"],
    },
    Pattern {
        id: Signal::MsvcRequired,
        anchors: &["Visual C++", "vcvarsall", "Could not find compiler"],
        regex: r"Microsoft Visual C\+\+ \d+\.\d+ (?:or greater )?is required|[Uu]nable to find vcvarsall",
        samples: &[
            "error: Microsoft Visual C++ 14.0 or greater is required. Get it with \"Microsoft C++ Build Tools\"",
            "distutils.errors.DistutilsPlatformError: Unable to find vcvarsall.bat",
        ],
        near_misses: &["run vcvarsall.bat x64 first"],
    },
    Pattern {
        id: Signal::MsvcPartlyActive,
        anchors: &["DISTUTILS_USE_SDK"],
        regex: r"DISTUTILS_USE_SDK is not set",
        samples: &[
            "UserWarning: It seems that the VC environment is activated but DISTUTILS_USE_SDK is not set.",
        ],
        near_misses: &["set DISTUTILS_USE_SDK=1"],
    },
    Pattern {
        id: Signal::MsvcNotEnglish,
        anchors: &["English language pack"],
        regex: r"MSVC with English language pack",
        samples: &[
            "RuntimeError: Torch.compile() is only support MSVC with English language pack,Please reinstall its language pack to English.",
        ],
        near_misses: &["install the English language pack of Word"],
    },
    Pattern {
        id: Signal::LibcudaAssertion,
        anchors: &[
            "libcuda.so cannot found",
            "libcuda.so cannot be found",
            "create a symlink of libcuda",
        ],
        regex: r"libcuda\.so cannot (?:be )?found|create a symlink of libcuda",
        samples: &["AssertionError: libcuda.so cannot found!"],
        near_misses: &["    msg = 'libcuda.so not searched'"],
    },
    Pattern {
        id: Signal::NoActiveDriver,
        anchors: &["active drivers"],
        regex: r"\b0 active drivers \(\[\]\)",
        samples: &["RuntimeError: 0 active drivers ([]). There should only be one."],
        near_misses: &["2 active drivers ([cuda, hip])"],
    },
    Pattern {
        id: Signal::DynamoUnsupportedPython,
        anchors: &["supported on Python", "supported for torch.compile"],
        regex: r"(?:Dynamo|torch\.compile) is not supported on Python (?P<version>3\.\d+)\+?|Python (?P<found>3\.\d+)\+? not yet supported for torch\.compile",
        samples: &[
            "RuntimeError: Dynamo is not supported on Python 3.12+",
            "RuntimeError: Python 3.11+ not yet supported for torch.compile",
            "RuntimeError: torch.compile is not supported on Python 3.14+",
        ],
        near_misses: &[
            "RuntimeError: Windows not yet supported for torch.compile",
            "RuntimeError: torch.compile is not supported on Python built with GIL disabled",
        ],
    },
    Pattern {
        id: Signal::NoMatchingTorch,
        anchors: &[
            "No matching distribution found for torch",
            "satisfies the requirement torch",
        ],
        regex: r"No matching distribution found for torch(?:[=<>~! ]\S*)?\s*$|satisfies the requirement torch(?:[=<>~! ]\S*)? \(from versions: none\)",
        samples: &[
            "ERROR: No matching distribution found for torch",
            "ERROR: Could not find a version that satisfies the requirement torch==2.0.1 (from versions: none)",
        ],
        near_misses: &["ERROR: No matching distribution found for torchlib"],
    },
    Pattern {
        id: Signal::TritonMissing,
        anchors: &[
            "working triton installation",
            "No module named 'triton'",
            "TritonMissing",
            "No module named triton",
            "triton not found",
            "Triton is not available",
        ],
        regex: r"Cannot find a working triton installation|No module named '?triton'?\s*(?:$|[;)\\])|TritonMissing:",
        samples: &[
            "torch._inductor.exc.TritonMissing: Cannot find a working triton installation. Either the package is not installed or it is too old.",
            "ModuleNotFoundError: No module named 'triton'",
        ],
        near_misses: &[
            "ModuleNotFoundError: No module named 'triton.ops'",
            "raise TritonMissing(inspect.currentframe())",
        ],
    },
    Pattern {
        id: Signal::NoMatchingTriton,
        anchors: &[
            "No matching distribution found for triton",
            "satisfies the requirement triton",
            "not find a version that satisfies the requirement triton",
        ],
        regex: r"No matching distribution found for triton(?:[=<>~! ]\S*)?\s*$|satisfies the requirement triton(?:[=<>~! ]\S*)? \(from",
        samples: &["ERROR: No matching distribution found for triton==2.3.0"],
        near_misses: &["ERROR: No matching distribution found for tritonclient"],
    },
    Pattern {
        id: Signal::TritonImportMismatch,
        anchors: &[
            "from 'triton",
            "module 'triton",
            "named 'triton.",
            "triton_key",
            "AttrsDescriptor",
            "triton.compiler",
            "JITFunction",
            "CompiledKernel",
            "ASTSource",
            "CachingAutotuner",
            "GPUTarget",
            "CudaDriver",
            "CUDABackend",
            "KernelMetadata",
        ],
        regex: r"cannot import name '(?P<name>\w+)' from (?:partially initialized module )?'triton(?P<module>(?:\.[\w.]+)?)'|module 'triton(?P<target>(?:\.[\w.]+)?)' has no attribute '(?P<symbol>\w+)'|No module named 'triton\.(?P<path>[\w.]+)'|(?:ASTSource|JITFunction|CompiledKernel|CachingAutotuner|AttrsDescriptor|GPUTarget)\S*(?:\(\)|\.__init__\(\)) (?:got an unexpected keyword|missing \d+ required|takes \d+ positional)|'(?:ASTSource|JITFunction|CompiledKernel|AttrsDescriptor|CudaDriver|CUDABackend|KernelMetadata)' object has no attribute",
        samples: &[
            "ImportError: cannot import name 'triton_key' from 'triton.compiler.compiler' (/usr/lib/python3/dist-packages/triton/compiler/compiler.py)",
            "AttributeError: module 'triton.compiler' has no attribute 'OutOfResources'",
            "ModuleNotFoundError: No module named 'triton.ops'",
            "TypeError: ASTSource.__init__() got an unexpected keyword argument 'constants'",
        ],
        near_misses: &[
            "ModuleNotFoundError: No module named 'triton'",
            "AttributeError: module 'tritonclient' has no attribute 'x'",
        ],
    },
    Pattern {
        id: Signal::TritonPinConflict,
        anchors: &["requires triton"],
        regex: r"torch (?P<found>[\w.+]+) requires (?P<wanted>triton\s?[=<>!~][^,;]+?)[;,].{0,120}but you have (?P<name>triton \S+) which is incompatible",
        samples: &[
            "torch 2.2.0 requires triton==2.2.0; platform_system == \"Linux\", but you have triton 3.0.0 which is incompatible.",
        ],
        near_misses: &[
            "torchvision 0.17 requires torch==2.2.0, but you have torch 2.3 which is incompatible.",
        ],
    },
    Pattern {
        id: Signal::PtxasUnknownGpu,
        anchors: &["is not defined for option 'gpu-name'", "gpu-name"],
        regex: r"ptxas\b.{0,40}Value '(?P<target>sm_\w+)' is not defined for option|Value '(?P<arch>sm_\w+)' is not defined for option 'gpu-name'",
        samples: &["ptxas fatal   : Value 'sm_121' is not defined for option 'gpu-name'"],
        near_misses: &["ptxas -v --gpu-name=sm_121 /tmp/x.ptx"],
    },
    Pattern {
        id: Signal::NvccUnknownGpu,
        anchors: &["Unsupported gpu architecture"],
        regex: r"nvcc fatal\s*: +Unsupported gpu architecture '(?P<arch>compute_\w+)'",
        samples: &["nvcc fatal   : Unsupported gpu architecture 'compute_120'"],
        near_misses: &["Unsupported gpu architecture list"],
    },
    Pattern {
        id: Signal::NvccHostHeaders,
        anchors: &["parameter packs not expanded"],
        regex: r"/c\+\+/(?P<found>\d+)[\d.]*/\S+: error: parameter packs not expanded with",
        samples: &[
            "/usr/include/c++/11/bits/std_function.h:435:145: error: parameter packs not expanded with ‘...’:",
        ],
        near_misses: &["my.cpp:3:5: error: parameter packs not expanded with ‘...’:"],
    },
    Pattern {
        id: Signal::RocmNotFound,
        anchors: &["ROCm", "HIP runtime", "ROCM_HOME", "TRITON_HIP_LLD_PATH"],
        regex: r"ROCm linker (?P<path>\S+) not found|cannot find (?:HIP runtime|ROCm device library)|ROCM_HOME (?:environment variable )?is not set",
        samples: &[
            "Exception: ROCm linker /opt/rocm/llvm/bin/ld.lld not found. Set 'TRITON_HIP_LLD_PATH' to its path.",
            "clang: error: cannot find HIP runtime; provide its path via '--rocm-path'",
        ],
        near_misses: &["ROCm is available", "ROCM used to build PyTorch: N/A"],
    },
    Pattern {
        id: Signal::TorchModuleMissing,
        anchors: &["No module named 'torch'", "No module named torch"],
        regex: r"No module named '?torch'?\s*(?:$|[;)\\])",
        samples: &["ModuleNotFoundError: No module named 'torch'"],
        near_misses: &["ModuleNotFoundError: No module named 'torch_scatter'"],
    },
    Pattern {
        id: Signal::IsolatedBuild,
        anchors: &[
            "requirements to build wheel",
            "pip-build-env",
            "build backend returned",
            "builds-v0",
            "build_meta",
            "egg_info",
            "Preparing metadata",
            "Failed to build",
            "declare it as a build dependency",
        ],
        regex: r"Getting requirements to build wheel|pip-build-env-|build backend returned an error|/builds-v0/|setuptools[/\\.]build_meta|setup\.py egg_info did not run|Preparing metadata \((?:setup|pyproject)\S*\).{0,12}error|declare it as a build dependency",
        samples: &[
            "  Getting requirements to build wheel ... error",
            "  × python setup.py egg_info did not run successfully.",
        ],
        near_misses: &["Building wheel for torch-scatter (setup.py) ... done"],
    },
    Pattern {
        id: Signal::XcodeToolsMissing,
        anchors: &["xcrun: error", "xcode-select:", "Xcode license"],
        regex: r"xcrun: error: (?:invalid active developer path|missing DEVELOPER_DIR|unable to find utility|active developer path)|xcode-select: (?:error|note): (?:no developer tools|unable to get active)|agree(?:d)? to the Xcode license",
        samples: &[
            "xcrun: error: invalid active developer path (/Library/Developer/CommandLineTools), missing xcrun at: /Library/Developer/CommandLineTools/usr/bin/xcrun",
        ],
        near_misses: &["xcrun --show-sdk-path"],
    },
    Pattern {
        id: Signal::PtxVersionUnsupported,
        anchors: &["Unsupported .version", "ptxas fatal"],
        regex: r"Unsupported \.version (?P<wanted>[\d.]+); current version is '?(?P<found>[\d.]+)",
        samples: &[
            "ptxas /tmp/x.ptx, line 5; fatal   : Unsupported .version 8.7; current version is '8.4'",
        ],
        near_misses: &["Unsupported .version in manifest"],
    },
    Pattern {
        id: Signal::UnrecognizedProcessor,
        anchors: &["is not a recognized processor"],
        regex: r"'(?P<arch>sm_\w+)' is not a recognized processor for this target",
        samples: &["'sm_121' is not a recognized processor for this target (ignoring processor)"],
        near_misses: &["'znver5' is not a recognized processor for this target"],
    },
    Pattern {
        id: Signal::NinjaRequired,
        anchors: &[
            "Ninja is required",
            "'ninja'",
            "ninja: not found",
            "ninja: command not found",
            "CMAKE_MAKE_PROGRAM",
        ],
        regex: r"Ninja is required to load C\+\+ extensions|No such file or directory: '(?:\S*/)?ninja'|No module named 'ninja'|\bninja: (?:command )?not found|command not found: ninja|build program corresponding to \\?.Ninja",
        samples: &[
            "RuntimeError: Ninja is required to load C++ extensions (pip install ninja to get it)",
            "FileNotFoundError: [Errno 2] No such file or directory: 'ninja'",
        ],
        near_misses: &[
            "subprocess.CalledProcessError: Command '['ninja', '-v']' returned non-zero exit status 1.",
            "ninja: build stopped: subcommand failed.",
        ],
    },
    Pattern {
        id: Signal::NinjaFallback,
        anchors: &["could not find ninja"],
        regex: r"we could not find ninja",
        samples: &[
            "UserWarning: Attempted to use ninja as the BuildExtension backend but we could not find ninja.. Falling back to using the slow distutils backend.",
        ],
        near_misses: &["ninja found"],
    },
    Pattern {
        id: Signal::CudaHomeNotSet,
        anchors: &[
            "CUDA_HOME",
            "bin/nvcc'",
            "nvcc: not found",
            "nvcc: command not found",
            "Could not find nvcc",
            "Failed to find nvcc",
            "CUDA_PATH",
        ],
        regex: r"CUDA_HOME (?:environment variable is not set|does not exist|is not set|not found)|No such file or directory: '\S*nvcc'|\bnvcc: (?:command )?not found|(?:Could not find|Failed to find|cannot find) nvcc|Neither CUDA_HOME nor",
        samples: &[
            "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root.",
            "error: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'",
            "/bin/sh: 1: /usr/local/cuda/bin/nvcc: not found",
        ],
        near_misses: &[
            "No CUDA runtime is found, using CUDA_HOME='/usr/local/cuda'",
            "PermissionError: [Errno 13] Permission denied: 'nvcc'",
        ],
    },
    Pattern {
        id: Signal::CudaMismatch,
        anchors: &[
            "detected CUDA version",
            "mismatches the version that was used",
        ],
        regex: r"detected CUDA version \((?P<found>[\d.]+)\) mismatches(?:[^(]*\((?P<wanted>[\d.]+))?",
        samples: &[
            "RuntimeError: The detected CUDA version (11.8) mismatches the version that was used to compile PyTorch (12.1). Please make sure to use the same CUDA versions.",
        ],
        near_misses: &[
            "UserWarning: The detected CUDA version (12.4) has a minor version mismatch with the version that was used",
            "CUDA version (11.8)",
        ],
    },
    Pattern {
        id: Signal::NvccRejectsHost,
        anchors: &[
            "unsupported GNU version",
            "unsupported clang version",
            "unsupported Microsoft Visual Studio",
            "maximum required version by CUDA",
        ],
        regex: r"unsupported (?:GNU|clang|Microsoft Visual Studio) version!?(?: \w+ versions later than (?P<limit>[\d.]+))?|installed version of \S+ \((?P<found>[\w.]+)\) is greater than the maximum",
        samples: &[
            "/usr/local/cuda/include/crt/host_config.h:143:2: error: #error -- unsupported GNU version! gcc versions later than 12 are not supported!",
            "RuntimeError: The current installed version of x86_64-linux-gnu-g++ (13.2.0) is greater than the maximum required version by CUDA 11.8.",
        ],
        near_misses: &["gcc versions later than 12 are fine"],
    },
    Pattern {
        id: Signal::SetuptoolsMissing,
        anchors: &[
            "No module named 'setuptools",
            "No module named 'distutils",
            "No module named 'pkg_resources",
            "No module named setuptools",
            "Cannot import 'setuptools",
        ],
        regex: r"No module named '?(?P<module>setuptools|distutils|pkg_resources)\b|Cannot import 'setuptools",
        samples: &[
            "ModuleNotFoundError: No module named 'setuptools'",
            "ModuleNotFoundError: No module named 'distutils'",
        ],
        near_misses: &["ModuleNotFoundError: No module named 'setuptools_rust'"],
    },
    Pattern {
        id: Signal::SubprocessDied,
        anchors: &[
            "compilation subprocess exited",
            "SubprocException",
            "BrokenProcessPool",
            "use a closed pool",
            "process pool was terminated",
        ],
        regex: r"compilation subprocess exited unexpectedly|SubprocException\s*:|BrokenProcessPool\s*:|Attempting to use a closed pool|process in the process pool was terminated abruptly",
        samples: &[
            "RuntimeError: A compilation subprocess exited unexpectedly. This is likely due to a crash.",
            "torch._inductor.exc.InductorError: SubprocException: An exception occurred in a subprocess:",
        ],
        near_misses: &["except BrokenProcessPool as e:"],
    },
    Pattern {
        id: Signal::FileBaton,
        anchors: &["file_baton", "FileBaton", "torch_extensions"],
        regex: r#"file_baton\.py", line \d+,? in wait|file_baton\.py\S*:?\d* in wait|wait \(\S*file_baton|FileBaton\.wait|(?:stale|waiting).{0,40}(?P<path>\S*torch_extensions/\S*lock)"#,
        samples: &[
            "  File \"/opt/venv/lib/python3.12/site-packages/torch/utils/file_baton.py\", line 50 in wait",
            "  File \"/x/torch/utils/file_baton.py\", line 42, in wait",
        ],
        near_misses: &["from torch.utils.file_baton import FileBaton"],
    },
    Pattern {
        id: Signal::BuildingExtension,
        anchors: &["Using", "Emitting ninja build file"],
        regex: r"Using (?P<path>\S+) as PyTorch extensions root",
        samples: &["Using /root/.cache/torch_extensions/py311_cu121 as PyTorch extensions root..."],
        near_misses: &["Using cached wheel"],
    },
    Pattern {
        id: Signal::UidWithoutPasswd,
        anchors: &["uid not found"],
        regex: r"getpwuid\(\)?:? ?uid not found: (?P<name>\d+)|uid not found: (?P<found>\d+)",
        samples: &["KeyError: 'getpwuid(): uid not found: 12345'"],
        near_misses: &["uid not found in the response"],
    },
    Pattern {
        id: Signal::NoUserName,
        anchors: &[
            "No username set",
            "I have no name!",
            "cannot find name for user ID",
        ],
        regex: r"No username set in the environment|I have no name!@|cannot find name for user ID",
        samples: &["OSError: No username set in the environment"],
        near_misses: &["No username given"],
    },
    Pattern {
        id: Signal::NoexecHint,
        anchors: &["mounted with noexec", "mounted noexec"],
        regex: r"mounted (?:with )?noexec",
        samples: &[
            "The most common reason this may occur is if the /tmp folder is mounted with noexec",
        ],
        near_misses: &["mounted with exec"],
    },
    Pattern {
        id: Signal::LongWindowsPath,
        anchors: &["[Errno 2]", "[WinError 3]", "cannot open"],
        regex: r#"['"](?P<path>[A-Za-z]:[\\/][^'"]{200,})['"]"#,
        samples: &[
            r"FileNotFoundError: [Errno 2] No such file or directory: 'C:\\Users\\xxxxx\\AppData\\Local\\Temp\\torchinductor_xxxxx\\triton\\1\\STSS3QSB674JYBIJXM5HCLZXLBUFM6SJ3VRD2323E5MGVTFCVUJA\\tmp.pid_28392_95f9e423-f52f-416d-9c87-805796b71fce\\triton_red_fused__to_copy_add_div_mul_native_layer_norm_native_layer_norm_backward_view_4.source'",
        ],
        near_misses: &[
            r"FileNotFoundError: [Errno 2] No such file or directory: 'C:\\Users\\x\\a.txt'",
        ],
    },
    Pattern {
        id: Signal::DistutilsBuildFailed,
        anchors: &[
            "error: command '",
            "Failed building wheel",
            "subprocess-exited-with-error",
            "Failed to build",
        ],
        regex: r"error: command '(?P<program>[^']+)' failed with exit (?:status|code)|Failed building wheel for|subprocess-exited-with-error",
        samples: &["error: command '/usr/bin/gcc' failed with exit code 1"],
        near_misses: &["error: command 'gcc' failed: No such file or directory"],
    },
    Pattern {
        id: Signal::ExtensionBuildFailed,
        anchors: &[
            "Error building extension",
            "Error compiling objects for extension",
        ],
        regex: r"Error building extension '(?P<name>[^']+)'|Error compiling objects for extension",
        samples: &["RuntimeError: Error building extension 'demo_ext'"],
        near_misses: &["Building extension module demo_ext..."],
    },
    Pattern {
        id: Signal::CompileErrorRaised,
        anchors: &[
            "CppCompileError",
            "InductorError",
            "BackendCompilerFailed",
            "CUDACompileError",
        ],
        regex: r"(?:InductorError|CppCompileError|BackendCompilerFailed|CUDACompileError)\s*:",
        samples: &["torch._inductor.exc.InductorError: CppCompileError: C++ compile error"],
        near_misses: &["raise exc.CppCompileError(cmd, output) from e"],
    },
    Pattern {
        id: Signal::SuppressErrorsAdvice,
        anchors: &["suppress_errors"],
        regex: r"suppress_errors\s*=\s*True",
        samples: &["    torch._dynamo.config.suppress_errors = True"],
        near_misses: &["suppress_errors = False"],
    },
    Pattern {
        id: Signal::DisableCompileAdvice,
        anchors: &[
            "TORCH_COMPILE_DISABLE",
            "TORCHDYNAMO_DISABLE",
            "disable torch.compile",
            "disable compile",
            "--no-compile",
            "enforce_eager",
            "enforce-eager",
            "turn off torch.compile",
        ],
        regex: r"(?i)TORCH_COMPILE_DISABLE\s*=\s*1|TORCHDYNAMO_DISABLE\s*=\s*1|(?:disable|turn off) (?:torch\.)?compile|enforce[_-]eager",
        samples: &["export TORCH_COMPILE_DISABLE=1"],
        near_misses: &["TORCH_COMPILE_DISABLE=0"],
    },
    Pattern {
        id: Signal::DuplicateOpenMpAdvice,
        anchors: &["KMP_DUPLICATE_LIB_OK"],
        regex: r"KMP_DUPLICATE_LIB_OK",
        samples: &["you can set the environment variable KMP_DUPLICATE_LIB_OK=TRUE"],
        near_misses: &["KMP_AFFINITY=granularity=fine"],
    },
    Pattern {
        id: Signal::DowngradePythonAdvice,
        anchors: &[
            "downgrade",
            "降级",
            "older python",
            "python 3.10",
            "python 3.11",
        ],
        regex: r"(?i)(?:downgrade|降级).{0,30}python|python.{0,20}降级|use an older python|(?:switch|go back) to python 3\.\d+",
        samples: &["you should downgrade your python version from 3.12"],
        near_misses: &["we downgrade the learning rate"],
    },
    Pattern {
        id: Signal::AllowUnsupportedCompilerAdvice,
        anchors: &["allow-unsupported-compiler"],
        regex: r"-allow-unsupported-compiler",
        samples: &[
            "The nvcc flag '-allow-unsupported-compiler' can be used to override this version check",
        ],
        near_misses: &["unsupported compiler"],
    },
    Pattern {
        id: Signal::CppWrapperAdvice,
        anchors: &["cpp_wrapper=False", "cpp_wrapper = False"],
        regex: r"cpp_wrapper\s?=\s?False",
        samples: &["set torch._inductor.config.cpp_wrapper=False"],
        near_misses: &["cpp_wrapper=True"],
    },
    Pattern {
        id: Signal::PipPythonDevAdvice,
        anchors: &["pip install python", "pip3 install python"],
        regex: r"pip3? install (?:-\S+ )*python(?:3(?:\.\d+)?)?-(?:dev|devel|headers)\b",
        samples: &[
            "just run pip install python-dev",
            "sudo pip3 install python3-dev",
        ],
        near_misses: &["pip install python-dotenv", "apt install python3-dev"],
    },
    Pattern {
        id: Signal::ForeignHeadersAdvice,
        anchors: &["ln -s", "cp -r", "symlink"],
        regex: r"(?:ln -s\w*|cp -\w*r\w*) \S*include/python3(?:\.\d+)?\S* \S*include|ln -s\w* \S*Python\.h|symlink.{0,60}(?:Python\.h|include/python3)",
        samples: &[
            "sudo ln -s /usr/include/python3.10 /usr/include/python3.12",
            "cp -r /usr/include/python3.10 /usr/include/python3.13",
        ],
        near_misses: &["ln -s /usr/lib/wsl/lib/libcuda.so.1 /usr/lib/libcuda.so"],
    },
    Pattern {
        id: Signal::CudaOutOfMemory,
        anchors: &["out of memory"],
        regex: r"(?:CUDA|HIP|MPS|XPU|GPU)\S* (?:error: )?(?:backend )?out of memory|OutOfMemoryError|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED",
        samples: &["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB."],
        near_misses: &["cc1plus: out of memory allocating 65536 bytes"],
    },
    Pattern {
        id: Signal::ShapeMismatch,
        anchors: &[
            "shapes cannot be multiplied",
            "size mismatch",
            "must match the size",
            "invalid for input of size",
            "expected input",
        ],
        regex: r"shapes cannot be multiplied|size mismatch for|must match the size of tensor|is invalid for input of size|Sizes of tensors must match",
        samples: &["RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"],
        near_misses: &["the shapes match"],
    },
    Pattern {
        id: Signal::DeviceMismatch,
        anchors: &["to be on the same device", "Expected object of device"],
        regex: r"[Ee]xpected all tensors to be on the same device",
        samples: &[
            "RuntimeError: Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
        ],
        near_misses: &["all tensors are on the same device"],
    },
    Pattern {
        id: Signal::GraphBreak,
        anchors: &[
            "torch._dynamo.exc.Unsupported",
            "Unsupported:",
            "data-dependent",
        ],
        regex: r"torch\._dynamo\.exc\.(?:Unsupported|UserError|TorchRuntimeError|ArgsMismatchError)",
        samples: &["torch._dynamo.exc.Unsupported: call_function BuiltinVariable(print)"],
        near_misses: &["torch._dynamo.exc.BackendCompilerFailed: backend='inductor' raised:"],
    },
    Pattern {
        id: Signal::Nccl,
        anchors: &["NCCL", "ProcessGroupNCCL"],
        regex: r"NCCL (?:error|WARN|timeout)|ncclUnhandledCudaError|ncclInternalError|ncclSystemError|Watchdog caught collective operation timeout",
        samples: &[
            "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1333, unhandled cuda error",
        ],
        near_misses: &["NCCL INFO Bootstrap"],
    },
    Pattern {
        id: Signal::DeviceAssert,
        anchors: &[
            "device-side assert",
            "illegal memory access",
            "CUDA error:",
            "no kernel image is available",
        ],
        regex: r"CUDA error: (?:device-side assert|an illegal (?:memory|instruction)|misaligned|unspecified launch|no kernel image|invalid)|Assertion `.{1,80}` failed\.",
        samples: &["RuntimeError: CUDA error: device-side assert triggered"],
        near_misses: &["RuntimeError: CUDA error: out of memory"],
    },
    Pattern {
        id: Signal::DownloadFailed,
        anchors: &[
            "HTTPError",
            "ConnectionError",
            "Max retries exceeded",
            "GatedRepoError",
            "LocalEntryNotFoundError",
            "Temporary failure in name resolution",
        ],
        regex: r"HTTPError: \d{3}|Max retries exceeded with url|GatedRepoError|LocalEntryNotFoundError|Temporary failure in name resolution",
        samples: &["requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url"],
        near_misses: &["except HTTPError:"],
    },
    Pattern {
        id: Signal::UserCodeError,
        anchors: &[
            "was not declared in this scope",
            "no member named",
            "expected ';'",
            "no matching function for call",
            "use of undeclared identifier",
            "has no member",
            "cannot convert",
            "no instance of overloaded function",
        ],
        regex: r"error: (?:['‘][^'’]+['’] was not declared in this scope|no member named|expected ['‘];['’]|no matching function for call|use of undeclared identifier|.{1,80} has no member named|cannot convert ['‘])",
        samples: &["ext.cpp:3:5: error: ‘foo’ was not declared in this scope"],
        near_misses: &["error: ‘optional’ in namespace ‘std’ does not name a template type"],
    },
    Pattern {
        id: Signal::GpuNotSupportedByTorch,
        anchors: &["is not compatible with the current PyTorch installation"],
        regex: r"with CUDA capability (?P<arch>sm_\w+) is not compatible with the current PyTorch",
        samples: &[
            "NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation.",
        ],
        near_misses: &["is compatible with the current PyTorch installation"],
    },
    Pattern {
        id: Signal::PipConflict,
        anchors: &["ResolutionImpossible", "conflicting dependencies"],
        regex: r"ResolutionImpossible|conflicting dependencies",
        samples: &["ERROR: ResolutionImpossible: for help visit"],
        near_misses: &["no conflicts"],
    },
    Pattern {
        id: Signal::TritonOutOfResources,
        anchors: &["out of resource"],
        regex: r"(?:OutOfResources|out of resource): (?:shared memory|tensor memory|registers|threads)",
        samples: &[
            "triton.runtime.errors.OutOfResources: out of resource: shared memory, Required: 147456, Hardware limit: 101376.",
        ],
        near_misses: &["out of resources on this page"],
    },
    Pattern {
        id: Signal::WindowsUnsupported,
        anchors: &["Windows not yet supported"],
        regex: r"Windows not yet supported for torch\.compile",
        samples: &["RuntimeError: Windows not yet supported for torch.compile"],
        near_misses: &["Windows not yet supported by this script"],
    },
    Pattern {
        id: Signal::PythonImportLibraryMissing,
        anchors: &["LNK1104", "LNK1181", "-lpython3"],
        regex: r#"LNK1(?:104|181)\b.{0,80}['"“‘«”](?P<lib>python3\d*t?(?:_d)?\.lib)|cannot find -l(?P<name>python3[\d.]*)"#,
        samples: &["LINK : fatal error LNK1104: cannot open file 'python311.lib'"],
        near_misses: &["LINK : fatal error LNK1104: cannot open file 'torch.lib'"],
    },
    Pattern {
        id: Signal::FreeThreadedUnsupported,
        anchors: &["built with GIL disabled"],
        regex: r"not supported on Python .{0,20}built with GIL disabled",
        samples: &[
            "RuntimeError: torch.compile is not supported on Python built with GIL disabled",
        ],
        near_misses: &["Python built with GIL disabled detected"],
    },
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_row_matches_its_samples_and_not_its_near_misses() {
        assert_eq!(
            ferroductor_toolchain::pattern::check_table(super::TABLE),
            Vec::<String>::new()
        );
    }
}
