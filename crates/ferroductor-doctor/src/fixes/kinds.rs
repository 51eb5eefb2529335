//! One recipe per kind: which fixes, in which order, and the check after.
//!
//! What must hold: every kind has at least one fix and one check; a recipe
//! names packages by [`Need`] and leaves systems to the planner.

use super::Planner;
use crate::diagnosis::Grade::{Alternative, Fallback, Recommended};
use crate::kind::Kind;
use crate::packages::Need;
use crate::platform::Family;

/// Installs the Microsoft compiler with the Windows SDK, and waits for its end.
pub const BUILD_TOOLS: &str = "winget install --exact --id Microsoft.VisualStudio.2022.BuildTools --override \"--quiet --wait --norestart --add Microsoft.VisualStudio.Workload.VCTools --includeRecommended\"";

/// The same as words.
pub fn build_tools() -> Vec<String> {
    let mut quoted = BUILD_TOOLS.split('"');
    let plain = quoted.next().unwrap_or_default().split_whitespace();
    let mut words: Vec<String> = plain.map(str::to_owned).collect();
    words.extend(quoted.next().map(str::to_owned));
    words
}

pub fn recipe(kind: Kind, plan: &mut Planner<'_>) {
    use Kind::*;
    match kind {
        PythonHTriton | PythonHInductorCpp | PythonHCppExtension => {
            super::python::headers(kind, plan)
        }
        NoCxxCompiler | NoCCompilerTriton => compiler(kind, plan),
        OmpHLinux | LibgompMissing | OmpMacos | LibompLoadedTwiceMacos => openmp(kind, plan),
        MsvcClNotFound | MsvcEnvironmentNotLoaded | UnicodeDecodeCompilerOutput => msvc(kind, plan),
        CannotFindLtorch | UndefinedSymbolAbi | GlibcxxNotFound | GlibcTooOld
        | CondaCompilerClash => libraries(kind, plan),
        CannotFindLcuda | LibcudaAssertion | LdconfigMissing => driver_library(kind, plan),
        CannotFindLcudart | CudaHomeNotSet | CudaHMissing | CudaVersionMismatch
        | NvccRejectsGcc | PtxasTooOld | NvccNotExecutableWsl => cuda_toolkit(kind, plan),
        CxxStandardTooOld
        | ArchFlagsOrCompilerCrash
        | CompilerKilledOom
        | LibcHeadersMissing
        | HalfInstalledToolchain
        | OpensslProgramMissing
        | GxxSpawnBadAddress
        | PrecompiledHeader => compilation(kind, plan),
        NoSpaceLeft
        | NoexecTmp
        | CachePermissionDenied
        | ReadOnlyFilesystem
        | UidWithoutPasswdEntry
        | NetworkFilesystemCache
        | CacheRenameDeniedWindows
        | PathTooLongWindows
        | PathWithSpaces => folders(kind, plan),
        PythonVersionUnsupported
        | TritonMissing
        | TritonTorchVersionMismatch
        | NinjaMissing
        | SetuptoolsMissing => {
            python_packages(kind, plan);
        }
        IllegalInstruction | CompileSubprocessDied | StaleBuildLockHang => processes(kind, plan),
        NvccTooOldForGpu | TorchMissingInBuild | PythonLibraryMissing | XpuToolchainMissing
        | RocmToolchainMissing => other_toolkits(kind, plan),
    }
}

fn compiler(kind: Kind, plan: &mut Planner<'_>) {
    if plan.system.family == Some(Family::Windows) {
        msvc(Kind::MsvcClNotFound, plan);
        return;
    }
    // The usual name, not found: install it. Another name comes from a variable,
    // and a path is a program that is there and does not work.
    let usual = ["g++", "gcc", "cc", "c++", "clang", "clang++", "…", ""].contains(&plan.subject);
    if plan.subject.starts_with("/usr/bin/") {
        // The system's own: no other name would help, and its package is installed.
        family_packages(
            plan,
            "fix-reinstall-compiler",
            "apt-get install -y --reinstall g++ gcc",
            "dnf reinstall -y gcc-c++ gcc",
        );
    } else if plan.subject.starts_with('/') {
        plan.general(
            "fix-broken-compiler",
            Recommended,
            &["type -a g++ gcc", "export CXX=/usr/bin/g++ CC=/usr/bin/gcc"],
        );
    } else if !usual && plan.system.stated {
        plan.general(
            "fix-cxx-variable",
            Recommended,
            &["echo \"CXX=$CXX CC=$CC\"", "unset CXX CC"],
        );
    }
    plan.install(Need::CxxCompiler);
    if plan.system.family == Some(Family::MacOs)
        || !plan.system.stated && plan.system.family.is_none() && !plan.conda()
    {
        plan.for_system(
            "fix-xcode",
            "macOS",
            Recommended,
            &["xcode-select --install".to_owned()],
        );
    }
    if usual || !plan.system.stated {
        plan.general(
            "fix-cxx-variable",
            Alternative,
            &["echo \"CXX=$CXX CC=$CC\"", "unset CXX CC"],
        );
    }
    plan.check(
        "verify-compiler",
        &[if kind == Kind::NoCxxCompiler {
            "g++ --version"
        } else {
            "gcc --version"
        }],
    );
    plan.check_inductor();
}

fn openmp(kind: Kind, plan: &mut Planner<'_>) {
    match kind {
        Kind::OmpMacos => {
            plan.for_system(
                "fix-omp-macos",
                "macOS, Homebrew",
                Recommended,
                &[
                    "brew install libomp".to_owned(),
                    "export OMP_PREFIX=\"$(brew --prefix libomp)\"".to_owned(),
                ],
            );
            plan.for_system(
                "fix-conda",
                "conda, mamba",
                Alternative,
                &["conda install -y -c conda-forge llvm-openmp".to_owned()],
            );
        }
        Kind::LibompLoadedTwiceMacos => {
            plan.general(
                "fix-one-openmp",
                Recommended,
                &["{python} -m pip install --upgrade torch"],
            );
            plan.for_system(
                "fix-conda",
                "conda, mamba",
                Alternative,
                &["conda install -y -c conda-forge pytorch llvm-openmp".to_owned()],
            );
        }
        Kind::LibgompMissing => {
            plan.install(Need::OpenMpForGcc);
            plan.install(Need::Libgomp);
        }
        _ => {
            plan.install(Need::OpenMpForGcc);
            plan.install(Need::OpenMpForClang);
        }
    }
    plan.check("verify-openmp", &["printf '#include <omp.h>\\nint main() { return omp_get_max_threads() < 1; }' | ${CXX:-g++} -x c++ -fopenmp - -o /tmp/omp_probe && /tmp/omp_probe && echo OpenMP works"]);
    plan.check_inductor();
}

/// Where the installation is not known: its usual place.
const VCVARS: &str = r#""C:\Program Files (x86)\Microsoft Visual Studio\2022\BuildTools\VC\Auxiliary\Build\vcvars64.bat""#;

fn msvc(kind: Kind, plan: &mut Planner<'_>) {
    let not_english = kind == Kind::UnicodeDecodeCompilerOutput;
    let installed = plan.system.vcvars.clone().filter(|_| !not_english);
    match (kind, installed) {
        (_, Some(script)) => plan.general(
            "fix-vcvars-installed",
            Recommended,
            &[&format!("\"{script}\"")],
        ),
        (Kind::MsvcClNotFound, None) => {
            plan.general("fix-msvc", Recommended, &[BUILD_TOOLS]);
            plan.general("fix-vcvars", Recommended, &[VCVARS]);
        }
        (Kind::MsvcEnvironmentNotLoaded, None) => {
            plan.general("fix-vcvars", Recommended, &[VCVARS]);
            plan.general("fix-msvc", Alternative, &[BUILD_TOOLS]);
        }
        _ => {
            plan.general("fix-msvc-english", Recommended, &["set VSLANG=1033"]);
            plan.general(
                "fix-upgrade-torch",
                Alternative,
                &["{python} -m pip install --upgrade torch"],
            );
        }
    }
    plan.check("verify-cl", &["where cl", "echo %INCLUDE%"]);
    plan.check_inductor();
}

fn libraries(kind: Kind, plan: &mut Planner<'_>) {
    match kind {
        Kind::CannotFindLtorch => {
            plan.general(
                "fix-reinstall-torch",
                Recommended,
                &["{python} -m pip install --force-reinstall --no-deps torch"],
            );
            plan.general(
                "fix-upgrade-torch",
                Alternative,
                &["{python} -m pip install --upgrade torch"],
            );
            plan.general(
                "fix-cmake-prefix",
                Alternative,
                &["cmake -S . -B build -DCMAKE_PREFIX_PATH=\"$({python} -c 'import torch; print(torch.utils.cmake_prefix_path)')\""],
            );
            plan.check("verify-libtorch", &["{python} -c \"import torch, os; d = os.path.join(os.path.dirname(torch.__file__), 'lib'); print(sorted(os.listdir(d))[:40])\""]);
        }
        Kind::UndefinedSymbolAbi => {
            plan.general(
                "fix-delete-extensions",
                Recommended,
                &["rm -rf ~/.cache/torch_extensions"],
            );
            plan.general(
                "fix-rebuild-extension",
                Recommended,
                &["{python} -m pip list"],
            );
            plan.check(
                "verify-import",
                &["{python} -c \"import torch; print(torch.__version__)\""],
            );
        }
        Kind::GlibcxxNotFound => {
            plan.for_system(
                "fix-conda-libstdcxx",
                "conda, mamba",
                Recommended,
                &["conda install -y -c conda-forge libstdcxx-ng".to_owned()],
            );
            plan.general(
                "fix-older-compiler",
                Alternative,
                &["rm -rf ~/.cache/torch_extensions /tmp/torchinductor_$USER"],
            );
            plan.check("verify-glibcxx", &["strings \"$(gcc -print-file-name=libstdc++.so.6)\" | grep GLIBCXX | sort -V | tail -1", "{python} -c \"import torch\""]);
        }
        Kind::GlibcTooOld => {
            plan.general(
                "fix-newer-distribution",
                Recommended,
                &["docker run --rm -it python:{py} python -m pip install torch"],
            );
            plan.general(
                "fix-wheel-for-old-glibc",
                Alternative,
                &["{python} -m pip install --only-binary=:all: torch"],
            );
            plan.check("verify-glibc", &["ldd --version"]);
        }
        _ => {
            plan.general(
                "fix-use-system-compiler",
                Recommended,
                &[
                    "conda deactivate",
                    "export CC=/usr/bin/gcc CXX=/usr/bin/g++",
                ],
            );
            plan.for_system(
                "fix-conda-sysroot",
                "conda, mamba",
                Alternative,
                &["conda install -y -c conda-forge cxx-compiler sysroot_linux-64=2.28".to_owned()],
            );
            plan.general("fix-library-path", Alternative, &["export LIBRARY_PATH=\"$(dirname \"$(ldconfig -p | awk '/libcuda.so.1/ {print $NF; exit}')\")\""]);
            plan.check("verify-compiler", &["which g++ && g++ -print-search-dirs"]);
        }
    }
    plan.check_inductor();
}

/// The folder of the driver's library, found.
const LIBCUDA_PATH: &str = "export TRITON_LIBCUDA_PATH=\"$(dirname \"$(find / -name libcuda.so.1 -print -quit 2>/dev/null)\")\"";

fn driver_library(kind: Kind, plan: &mut Planner<'_>) {
    if kind == Kind::LdconfigMissing {
        plan.install(Need::LdConfig);
        plan.general("fix-libcuda-path", Recommended, &[LIBCUDA_PATH]);
        plan.check("verify-ldconfig", &["/sbin/ldconfig -p | grep libcuda"]);
        return;
    }
    plan.general(
        "fix-find-libcuda",
        Recommended,
        &[
            "ldconfig -p | grep libcuda",
            "find / -name 'libcuda.so*' 2>/dev/null",
        ],
    );
    plan.general(
        "fix-libcuda-link",
        Recommended,
        &[
            "mkdir -p ~/lib && ln -sf \"$(find / -name libcuda.so.1 -print -quit 2>/dev/null)\" ~/lib/libcuda.so",
            "export LIBRARY_PATH=\"$HOME/lib:$LIBRARY_PATH\"",
        ],
    );
    plan.general("fix-libcuda-path", Alternative, &[LIBCUDA_PATH]);
    plan.general("fix-container-gpu", Alternative, &[]);
    plan.check(
        "verify-ldconfig",
        &["/sbin/ldconfig -p | grep libcuda", "nvidia-smi"],
    );
    plan.check("verify-triton", &["{python} -c \"from triton.runtime.driver import driver; print(driver.active.get_current_target())\""]);
}

fn cuda_toolkit(kind: Kind, plan: &mut Planner<'_>) {
    match kind {
        Kind::PtxasTooOld => {
            plan.general(
                "fix-newer-triton",
                Recommended,
                &["{python} -m pip install --upgrade torch triton"],
            );
            plan.general(
                "fix-ptxas-path",
                Alternative,
                &["export TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas"],
            );
            plan.check(
                "verify-ptxas",
                &[
                    "${TRITON_PTXAS_PATH:-ptxas} --version",
                    "nvidia-smi --query-gpu=compute_cap --format=csv",
                ],
            );
            return;
        }
        Kind::NvccNotExecutableWsl => {
            plan.general(
                "fix-nvcc-rights",
                Recommended,
                &["type -a nvcc", "ls -l \"$(command -v nvcc)\""],
            );
            plan.general(
                "fix-upgrade-torch",
                Alternative,
                &["{python} -m pip install --upgrade torch"],
            );
            plan.check("verify-nvcc", &["nvcc --version"]);
            return;
        }
        Kind::NvccRejectsGcc => {
            older_host_compiler(plan);
            plan.general("fix-newer-cuda", Alternative, &[]);
        }
        Kind::CudaVersionMismatch => {
            plan.general(
                "fix-match-cuda",
                Recommended,
                &[
                    "{python} -c \"import torch; print(torch.version.cuda)\"",
                    "export CUDA_HOME=\"/usr/local/cuda-$({python} -c 'import torch; print(torch.version.cuda)')\"",
                    "export PATH=\"$CUDA_HOME/bin:$PATH\"",
                ],
            );
            plan.for_system(
                "fix-conda-cuda",
                "conda, mamba",
                Alternative,
                &["conda install -y -c nvidia cuda-nvcc".to_owned()],
            );
        }
        Kind::CannotFindLcudart => {
            plan.general(
                "fix-cudart-path",
                Recommended,
                &[
                    "find / -name 'libcudart.so*' 2>/dev/null",
                    "export LIBRARY_PATH=\"/usr/local/cuda/lib64:$LIBRARY_PATH\"",
                ],
            );
            plan.for_system(
                "fix-conda-cuda",
                "conda, mamba",
                Alternative,
                &["conda install -y -c nvidia cuda-cudart-dev".to_owned()],
            );
        }
        Kind::CudaHMissing => {
            plan.general(
                "fix-cuda-home",
                Recommended,
                &["export CUDA_HOME=/usr/local/cuda CPATH=\"/usr/local/cuda/include:$CPATH\""],
            );
            plan.for_system(
                "fix-conda-cuda",
                "conda, mamba",
                Alternative,
                &["conda install -y -c nvidia cuda-cudart-dev".to_owned()],
            );
        }
        _ => {
            plan.general(
                "fix-cuda-home",
                Recommended,
                &[
                    "ls -d /usr/local/cuda*",
                    "export CUDA_HOME=/usr/local/cuda PATH=\"/usr/local/cuda/bin:$PATH\"",
                ],
            );
            plan.for_system(
                "fix-conda-cuda",
                "conda, mamba",
                Alternative,
                &["conda install -y -c nvidia cuda-toolkit".to_owned()],
            );
        }
    }
    plan.check("verify-nvcc", &["nvcc --version", "{python} -c \"import torch; from torch.utils.cpp_extension import CUDA_HOME; print(torch.version.cuda, CUDA_HOME)\""]);
}

/// The newest compiler that this CUDA accepts, beside the usual one.
fn older_host_compiler(plan: &mut Planner<'_>) {
    // Where the log does not name the limit: CUDA 12.0 to 12.3 accept this one.
    let limit = plan.subject.split('.').next().and_then(|v| v.parse().ok());
    let version: u32 = limit.unwrap_or(12);
    plan.install_older_compiler(version);
    if plan.system.family == Some(Family::Windows) {
        return;
    }
    let line = format!(
        "export CC=gcc-{version} CXX=g++-{version} NVCC_PREPEND_FLAGS='-ccbin g++-{version}'"
    );
    plan.general("fix-nvcc-ccbin", Recommended, &[&line]);
}

fn compilation(kind: Kind, plan: &mut Planner<'_>) {
    match kind {
        Kind::CxxStandardTooOld => {
            plan.install(Need::NewerCompiler);
            plan.general(
                "fix-extension-standard",
                Alternative,
                &["grep -rn 'std=c++' setup.py CMakeLists.txt"],
            );
        }
        Kind::ArchFlagsOrCompilerCrash => {
            plan.install(Need::NewerCompiler);
            plan.general(
                "fix-smaller-vectors",
                Alternative,
                &[
                    "export ATEN_CPU_CAPABILITY=avx2",
                    "{python} -c \"import torch._inductor.config as c; c.cpp.simdlen = 256\"",
                ],
            );
        }
        Kind::CompilerKilledOom => {
            plan.general(
                "fix-fewer-jobs",
                Recommended,
                &["export MAX_JOBS=1 TORCHINDUCTOR_COMPILE_THREADS=1"],
            );
            plan.general("fix-more-memory", Alternative, &[]);
        }
        Kind::LibcHeadersMissing => {
            plan.install(Need::LibcHeaders);
            if plan.system.family == Some(Family::MacOs) {
                plan.for_system(
                    "fix-xcode",
                    "macOS",
                    Recommended,
                    &["xcode-select --install".to_owned()],
                );
            }
        }
        Kind::HalfInstalledToolchain => plan.install(Need::Binutils),
        Kind::OpensslProgramMissing => plan.install(Need::OpenSsl),
        Kind::PrecompiledHeader => {
            plan.general("fix-delete-precompiled", Recommended, &["rm -rf \"${TORCHINDUCTOR_CACHE_DIR:-/tmp/torchinductor_$USER}\"/precompiled_headers /tmp/torchinductor_$USER/precompiled_headers"]);
            plan.general(
                "fix-no-precompiled",
                Alternative,
                &["export TORCHINDUCTOR_CPP_ENABLE_PRECOMPILED_HEADERS=0"],
            );
        }
        _ => {
            plan.install(Need::CxxCompiler);
            plan.general(
                "fix-spawn-limits",
                Alternative,
                &["ulimit -a", "env | wc -c"],
            );
        }
    }
    plan.check("verify-compiler", &["${CXX:-g++} --version", "printf '#include <vector>\\nint main() { return 0; }' | ${CXX:-g++} -x c++ -std=c++20 - -o /tmp/cxx_probe && /tmp/cxx_probe && echo it compiles"]);
    plan.check_inductor();
}

fn folders(kind: Kind, plan: &mut Planner<'_>) {
    const MOVE: &[&str] = &[
        "export TORCHINDUCTOR_CACHE_DIR=\"$HOME/.cache/torchinductor\" TRITON_CACHE_DIR=\"$HOME/.cache/triton\" TORCH_EXTENSIONS_DIR=\"$HOME/.cache/torch_extensions\"",
    ];
    match kind {
        Kind::NoSpaceLeft if plan.subject == "/dev/shm" => {
            plan.general("fix-shared-memory", Recommended, &["sudo mount -o remount,size=1G /dev/shm"]);
            plan.check("verify-cache", &["df -h /dev/shm"]);
            return;
        }
        Kind::NoSpaceLeft => {
            plan.general("fix-free-space", Recommended, &["df -h /tmp \"$HOME\"", "du -sh /tmp/torchinductor_* ~/.triton ~/.cache/torch_extensions 2>/dev/null"]);
            plan.general("fix-move-cache-and-tmp", Recommended, &[MOVE[0], "export TMPDIR=\"$HOME/.cache/tmp\" && mkdir -p \"$TMPDIR\""]);
        }
        Kind::NoexecTmp => {
            plan.general("fix-move-cache", Recommended, MOVE);
            plan.general("fix-remount-exec", Alternative, &["sudo mount -o remount,exec /tmp"]);
        }
        Kind::CachePermissionDenied => {
            plan.general("fix-own-cache", Recommended, MOVE);
            plan.general("fix-cache-owner", Alternative, &["ls -ld {subject}"]);
        }
        Kind::ReadOnlyFilesystem => {
            plan.general("fix-move-cache", Recommended, MOVE);
            plan.general("fix-container-tmpfs", Alternative, &["ENV HOME=/tmp TRITON_CACHE_DIR=/tmp/triton TORCHINDUCTOR_CACHE_DIR=/tmp/torchinductor"]);
        }
        Kind::UidWithoutPasswdEntry => {
            plan.general("fix-user-variable", Recommended, &["export USER=\"uid$(id -u)\" LOGNAME=\"uid$(id -u)\" HOME=/tmp", "export TORCHINDUCTOR_CACHE_DIR=/tmp/torchinductor TRITON_CACHE_DIR=/tmp/triton"]);
            let uid = Some(plan.subject).filter(|u| u.parse::<u32>().is_ok()).unwrap_or("1000");
            let line = format!("RUN useradd --uid {uid} --create-home app");
            plan.general("fix-passwd-entry", Recommended, &[&line, "USER app"]);
        }
        Kind::NetworkFilesystemCache => plan.general("fix-local-cache", Recommended, &["export TRITON_CACHE_DIR=\"/tmp/triton-$(hostname)-${LOCAL_RANK:-0}\" TORCHINDUCTOR_CACHE_DIR=\"/tmp/inductor-$(hostname)-${LOCAL_RANK:-0}\""]),
        Kind::CacheRenameDeniedWindows => {
            plan.general("fix-delete-windows-cache", Recommended, &["rmdir /s /q \"%TEMP%\\torchinductor_%USERNAME%\"", "rmdir /s /q \"%USERPROFILE%\\.triton\\cache\""]);
            plan.general("fix-cache-per-worker", Alternative, &["set TORCHINDUCTOR_CACHE_DIR=C:\\ti\\worker0"]);
        }
        Kind::PathTooLongWindows => {
            plan.general("fix-short-cache", Recommended, &["set TORCHINDUCTOR_CACHE_DIR=C:\\ti", "set TRITON_CACHE_DIR=C:\\tr"]);
            plan.general("fix-long-paths", Recommended, &["reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\FileSystem /v LongPathsEnabled /t REG_DWORD /d 1 /f"]);
        }
        _ => {
            plan.general("fix-path-without-spaces", Recommended, &["export TORCHINDUCTOR_CACHE_DIR=/tmp/torchinductor TORCH_EXTENSIONS_DIR=/tmp/torch_extensions"]);
            plan.general("fix-upgrade-torch", Alternative, &["{python} -m pip install --upgrade torch"]);
        }
    }
    if kind != Kind::CacheRenameDeniedWindows && kind != Kind::PathTooLongWindows {
        plan.check("verify-cache", &["d=\"${TORCHINDUCTOR_CACHE_DIR:-/tmp}\"; mkdir -p \"$d\" && cp /bin/true \"$d/probe\" && \"$d/probe\" && echo writable and executable; rm -f \"$d/probe\""]);
    }
    plan.check_inductor();
}

fn python_packages(kind: Kind, plan: &mut Planner<'_>) {
    match kind {
        Kind::PythonVersionUnsupported => {
            plan.general(
                "fix-torch-for-python",
                Recommended,
                &["{python} -m pip install --upgrade torch"],
            );
            plan.general(
                "fix-python-for-torch",
                Fallback,
                &["uv venv --python 3.12 && uv pip install torch"],
            );
        }
        Kind::TritonMissing if plan.system.family == Some(Family::Windows) => {
            plan.general(
                "fix-triton-windows",
                Recommended,
                &["python -m pip install triton-windows"],
            );
        }
        Kind::TritonMissing => {
            plan.general(
                "fix-triton",
                Recommended,
                &["{python} -m pip install triton"],
            );
            if !plan.system.stated && plan.system.family.is_none() {
                plan.for_system(
                    "fix-triton-windows",
                    "Windows",
                    Alternative,
                    &["python -m pip install triton-windows".to_owned()],
                );
            }
        }
        Kind::TritonTorchVersionMismatch => {
            plan.general(
                "fix-triton-pin",
                Recommended,
                &[
                    "{python} -m pip uninstall -y triton pytorch-triton",
                    "{python} -m pip install --force-reinstall torch",
                ],
            );
            plan.check(
                "verify-triton-pin",
                &["{python} -m pip show torch triton", "{python} -m pip check"],
            );
        }
        Kind::NinjaMissing => {
            plan.general(
                "fix-pip-ninja",
                Recommended,
                &["{python} -m pip install ninja"],
            );
            plan.general(
                "fix-ninja-path",
                Alternative,
                &["export PATH=\"$(dirname \"$(command -v python)\"):$PATH\""],
            );
            plan.install(Need::Ninja);
            plan.check("verify-ninja", &["ninja --version"]);
            return;
        }
        _ => {
            plan.general(
                "fix-pip-setuptools",
                Recommended,
                &["{python} -m pip install setuptools"],
            );
            plan.general(
                "fix-uv-setuptools",
                Alternative,
                &["uv pip install setuptools"],
            );
            plan.install(Need::Setuptools);
            plan.check(
                "verify-setuptools",
                &["{python} -c \"import setuptools; print(setuptools.__version__)\""],
            );
            return;
        }
    }
    plan.check_inductor();
}

fn processes(kind: Kind, plan: &mut Planner<'_>) {
    match kind {
        Kind::IllegalInstruction => {
            plan.general(
                "fix-clear-cache",
                Recommended,
                &["rm -rf \"${TORCHINDUCTOR_CACHE_DIR:-/tmp/torchinductor_$USER}\""],
            );
            plan.general(
                "fix-compile-for-oldest",
                Recommended,
                &["export ATEN_CPU_CAPABILITY=avx2"],
            );
            plan.check(
                "verify-cpu",
                &["grep -o -w -E 'avx2|avx512f|avx512_bf16|amx_tile' /proc/cpuinfo | sort -u"],
            );
        }
        Kind::CompileSubprocessDied => {
            plan.general(
                "fix-one-thread",
                Recommended,
                &["export TORCHINDUCTOR_COMPILE_THREADS=1"],
            );
            plan.check(
                "verify-memory",
                &["dmesg | grep -i -E 'killed process|oom' | tail -5"],
            );
        }
        _ => {
            plan.general("fix-delete-lock", Recommended, &["find \"${TORCH_EXTENSIONS_DIR:-$HOME/.cache/torch_extensions}\" -name lock -print -delete"]);
            plan.general(
                "fix-upgrade-torch",
                Alternative,
                &["{python} -m pip install --upgrade torch"],
            );
            plan.check(
                "verify-lock",
                &["find \"${TORCH_EXTENSIONS_DIR:-$HOME/.cache/torch_extensions}\" -name lock"],
            );
            return;
        }
    }
    plan.check_inductor();
}

fn other_toolkits(kind: Kind, plan: &mut Planner<'_>) {
    match kind {
        Kind::NvccTooOldForGpu => {
            plan.general("fix-toolkit-for-gpu", Recommended, &[
                "{python} -c \"import torch; print(torch.version.cuda, torch.cuda.get_device_capability())\"",
                "export CUDA_HOME=/usr/local/cuda PATH=\"/usr/local/cuda/bin:$PATH\"",
            ]);
            plan.general(
                "fix-older-gpu-arch",
                Alternative,
                &["export TORCH_CUDA_ARCH_LIST=\"8.0+PTX\""],
            );
            plan.check("verify-nvcc", &["nvcc --version", "nvcc --list-gpu-arch"]);
        }
        Kind::TorchMissingInBuild => {
            plan.general(
                "fix-no-build-isolation",
                Recommended,
                &["{python} -m pip install torch setuptools wheel ninja packaging"],
            );
            plan.general(
                "fix-uv-no-build-isolation",
                Alternative,
                &["uv pip install torch setuptools wheel ninja packaging"],
            );
            plan.check(
                "verify-torch-import",
                &["{python} -c \"import torch; print(torch.__version__)\""],
            );
        }
        Kind::PythonLibraryMissing => {
            if plan.system.family == Some(Family::Windows) || plan.subject.ends_with(".lib") {
                plan.general("fix-embedded-python", Recommended, &[]);
                plan.general("fix-python-org", Alternative, &[]);
            } else {
                super::python::by_the_system(plan);
            }
            plan.check("verify-python-library", &["{python} -c \"import sys, sysconfig; print(sys.base_prefix, sysconfig.get_config_var('LIBDIR'), sysconfig.get_config_var('LDLIBRARY'))\""]);
        }
        Kind::XpuToolchainMissing if plan.system.family == Some(Family::Windows) => {
            plan.general(
                "fix-oneapi",
                Recommended,
                &["\"C:\\Program Files (x86)\\Intel\\oneAPI\\setvars.bat\""],
            );
            plan.general(
                "fix-level-zero",
                Recommended,
                &["set LEVEL_ZERO_V1_SDK_PATH=C:\\level-zero-win-sdk"],
            );
            plan.check(
                "verify-level-zero",
                &["where /r \"%LEVEL_ZERO_V1_SDK_PATH%\" ze_api.h"],
            );
        }
        Kind::XpuToolchainMissing if plan.subject == "ocloc" => {
            family_packages(
                plan,
                "fix-ocloc",
                "apt-get install -y intel-ocloc",
                "dnf install -y intel-ocloc",
            );
            plan.check("verify-ocloc", &["ocloc --help | head -3"]);
        }
        Kind::XpuToolchainMissing => {
            family_packages(
                plan,
                "fix-level-zero",
                "apt-get install -y libze-dev",
                "dnf install -y oneapi-level-zero-devel",
            );
            plan.general(
                "fix-oneapi",
                Alternative,
                &["source /opt/intel/oneapi/setvars.sh"],
            );
            plan.check("verify-level-zero", &["printf '#include <level_zero/ze_api.h>\\n' | ${CXX:-g++} -x c++ -fsyntax-only - && echo found"]);
        }
        _ => {
            family_packages(
                plan,
                "fix-rocm-packages",
                "apt-get install -y rocm-dev",
                "dnf install -y rocm-hip-devel rocm-llvm",
            );
            let windows = plan.system.family == Some(Family::Windows);
            let place: &[&str] = match windows {
                true => &["set ROCM_HOME=%HIP_PATH%"],
                false => &[
                    "export ROCM_HOME=/opt/rocm ROCM_PATH=/opt/rocm PATH=\"/opt/rocm/bin:$PATH\"",
                    "export TRITON_HIP_LLD_PATH=/opt/rocm/llvm/bin/ld.lld",
                ],
            };
            plan.general("fix-rocm-path", Alternative, place);
            plan.check(
                "verify-rocm",
                &[
                    "hipconfig --version",
                    "{python} -c \"import torch; print(torch.version.hip)\"",
                ],
            );
        }
    }
}

/// Packages that two families of distributions have under names of their own.
fn family_packages(plan: &mut Planner<'_>, id: &'static str, debian: &str, fedora: &str) {
    let sudo = if plan.is_root_here() { "" } else { "sudo " };
    let known = plan.system.family;
    let tables = [
        ("Debian, Ubuntu", [Family::Debian, Family::Ubuntu], debian),
        ("Fedora, RHEL", [Family::Fedora, Family::Rhel], fedora),
    ];
    for (name, families, line) in tables {
        if known.is_none_or(|f| families.contains(&f)) {
            plan.for_system(id, name, Recommended, &[format!("{sudo}{line}")]);
        }
    }
}
