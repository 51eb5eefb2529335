### One cause, one reason and one repair in words for each kind of failure.

python-h-triton-cause = The headers of Python { $python } are missing: Triton found a C compiler, but not { $subject }.
python-h-triton-why = The interpreter and its headers are two packages on Debian-like systems, and minimal installs, container images and some modules carry only the interpreter. A virtual environment has no headers of its own; it uses those of the interpreter it was made from. Installing build-essential brings the compiler, not Python's headers.
python-h-triton-fix = Install the headers of exactly Python { $python }, the version that runs torch.

python-h-inductor-cpp-cause = The headers of exactly Python { $python } are missing ({ $subject }), though the interpreter itself is there.
python-h-inductor-cpp-why = Debian and Ubuntu split the interpreter (python{ $python }) from its headers (python{ $python }-dev); containers, virtual environments and minimal installs usually have only the first. A virtual environment, or packages in ~/.local, use the headers of the interpreter they belong to. Headers of another version do not help: the C API differs.
python-h-inductor-cpp-fix = Install the headers of exactly Python { $python }.

python-h-cpp-extension-cause = The headers of Python { $python } are missing ({ $subject }), so no extension can be compiled.
python-h-cpp-extension-why = An extension module is compiled against Python's C API. Debian-like systems keep those headers in a package of their own, and containers and minimal installs leave it out. The compiler and torch's headers were found.
python-h-cpp-extension-fix = Install the headers of exactly Python { $python }, then build again.

no-cxx-compiler-cause = There is no working C++ compiler ({ $subject }).
no-cxx-compiler-why = torch.compile on the CPU, and every extension build, runs a C++ compiler; slim container images and minimal systems have none, and a CXX variable that names a missing compiler or launcher counts as none. GPU training needs it too, because parts of the graph are CPU code.
no-cxx-compiler-fix = Install a C++ compiler where the program runs (in the runtime stage of an image, not only in the build stage), or correct CXX.

no-c-compiler-triton-cause = Triton found no C compiler ({ $subject }) for its driver helper.
no-c-compiler-triton-why = On its first use Triton compiles a small C file that talks to the GPU driver. It takes CC, or gcc, or clang from PATH; slim images and fresh WSL systems have none of them.
no-c-compiler-triton-fix = Install gcc, and Python's headers, which Triton needs next.

omp-h-linux-cause = The OpenMP headers or library of the compiler are missing ({ $subject }).
omp-h-linux-why = GCC carries omp.h in its own development files; Clang keeps it in a separate package (libomp). A Clang without libomp, or a GCC whose files were removed or belong to another version, cannot compile Inductor's parallel loops.
omp-h-linux-fix = Install OpenMP for the compiler in use: libomp for Clang, the complete gcc package for GCC.

omp-macos-cause = Apple's clang has no OpenMP: { $subject } was not found.
omp-macos-why = Apple ships clang without omp.h and libomp. Inductor's kernels need both; Homebrew installs them outside the folders that clang searches.
omp-macos-fix = Install libomp with Homebrew or llvm-openmp with conda, and set OMP_PREFIX for the former.

libomp-loaded-twice-macos-cause = Two copies of the OpenMP runtime are loaded in one process ({ $subject }).
libomp-loaded-twice-macos-why = torch brings an OpenMP runtime; another package, or the compiled kernel, linked a second copy. Each would start its own threads, so the runtime stops the program.
libomp-loaded-twice-macos-fix = Let one runtime remain: upgrade torch, or take torch and the other packages from the same source (all pip or all conda).

libgomp-missing-cause = GCC's OpenMP runtime ({ $subject }) is missing, or another copy than torch's is used.
libgomp-missing-why = Code compiled with -fopenmp links libgomp. The compiler's files are incomplete, or the runtime package is absent, or an old copy in the environment hides the right one.
libgomp-missing-fix = Re-install the gcc packages that carry libgomp, and the runtime library.

msvc-cl-not-found-cause = The Microsoft C++ compiler ({ $subject }) is not installed or not on PATH.
msvc-cl-not-found-why = On Windows, Inductor and extension builds run cl.exe. Visual Studio does not put it on PATH; only its developer console, or vcvars64.bat, does. Without the C++ workload it is not there at all.
msvc-cl-not-found-fix = Install the Build Tools with the C++ workload, and start Python from the "x64 Native Tools" console.

msvc-environment-not-loaded-cause = cl.exe runs, but its environment is not loaded: { $subject } was not found.
msvc-environment-not-loaded-why = cl.exe finds the standard headers, omp.h and the Windows libraries through INCLUDE and LIB, which vcvars64.bat sets. Putting the folder of cl.exe on PATH is not enough, and an installation without the C++ workload or Windows SDK lacks the files.
msvc-environment-not-loaded-fix = Run vcvars64.bat in the console that starts Python; if that does not help, add the C++ workload and the Windows SDK.

cannot-find-ltorch-cause = The linker did not find torch's own libraries ({ $subject }).
cannot-find-ltorch-why = The library folder in the command does not hold them: a damaged or half-removed torch, a folder that was moved, or a torch with a known error in the link line.
cannot-find-ltorch-fix = Re-install torch; with torch before 2.7 on Windows, or when no -L for torch is in the command, upgrade it.

cannot-find-lcuda-cause = The linker did not find the NVIDIA driver's library ({ $subject }).
cannot-find-lcuda-why = The driver installs libcuda.so.1; the linker asks for libcuda.so in its search path. After an installation from a run file, in WSL, in containers and when only a 32-bit copy exists, that name is not where the linker looks.
cannot-find-lcuda-fix = Find libcuda.so.1 and make it known: a link named libcuda.so in a folder of LIBRARY_PATH, or TRITON_LIBCUDA_PATH.

libcuda-assertion-cause = Triton did not find the NVIDIA driver's library ({ $subject }).
libcuda-assertion-why = Triton asks ldconfig where libcuda.so.1 is. The folder of the driver is not in the loader's cache (Colab, Singularity, WSL), or the machine or container has no NVIDIA driver at all.
libcuda-assertion-fix = With a driver: run ldconfig on its folder, or set LD_LIBRARY_PATH or TRITON_LIBCUDA_PATH. Without one: use the CPU, or start the container with the GPU.

cannot-find-lcudart-cause = The CUDA runtime library ({ $subject }) was not found.
cannot-find-lcudart-why = The link line looks in CUDA_HOME/lib64; conda keeps the library in lib, pip packages carry only the versioned file, and some systems have only the driver.
cannot-find-lcudart-fix = Install the CUDA runtime's development files, or add the folder that holds libcudart.so.

glibcxx-not-found-cause = The C++ runtime that was loaded is too old: it lacks { $subject }.
glibcxx-not-found-why = Something was compiled by a newer GCC than the libstdc++.so.6 which the process loads ({ $detail }). Usually conda's older copy hides the system's newer one, or the other way round.
glibcxx-not-found-fix = Update the older copy (conda: libstdcxx-ng), or rebuild with a compiler that fits it. Do not overwrite one with the other.

glibc-too-old-cause = The system's C library is too old: { $subject } is wanted.
glibc-too-old-why = A binary ({ $detail }) was built on a newer distribution. The C library belongs to the distribution and cannot be replaced alone.
glibc-too-old-fix = Use a newer distribution or container image, or a release built for older systems.

cxx-standard-too-old-cause = The compiler is too old for the C++ that torch needs ({ $subject }).
cxx-standard-too-old-why = torch's headers and Inductor's code need C++17, newer releases C++20, and GCC 9 or later. The compiler is older, or the extension pins an old standard.
cxx-standard-too-old-fix = Install a newer compiler and name it in CXX and CC, or raise the standard the extension asks for.

arch-flags-or-compiler-crash-cause = The compiler does not handle the CPU's instructions, or crashed on them ({ $subject }).
arch-flags-or-compiler-crash-why = -march=native asks for all that this CPU has. A compiler or assembler older than the CPU does not know the names, and some versions crash on vectorised code.
arch-flags-or-compiler-crash-fix = Use a newer compiler with its assembler, or generate smaller vectors.

compiler-killed-oom-cause = The compiler was killed because memory ran out.
compiler-killed-oom-why = Compiling torch code takes 1 to 4 GB for each process, and ninja and Inductor start one for each core. The system, or the limit of the container, then kills the compiler; the last line of the log is only the build tool's.
compiler-killed-oom-fix = Compile with fewer processes (MAX_JOBS=1), or give more memory.

no-space-left-cause = No space is left where compiled code or temporary files are written ({ $subject }).
no-space-left-why = The compilers write to TMPDIR and to the cache folders. A full disk, a small tmpfs, a quota or exhausted inodes stop them, often without naming the path.
no-space-left-fix = Free space, or move TMPDIR and the cache folders to another disk.

noexec-tmp-cause = Compiled code may not be loaded from its folder: the file system is mounted noexec ({ $subject }).
noexec-tmp-why = The kernel was compiled, but loading it maps the file as executable, which a noexec mount forbids. Docker's tmpfs and hardened systems mount /tmp so. The file's own permission bits do not matter.
noexec-tmp-fix = Put the caches on a file system that allows execution.

cache-permission-denied-cause = The cache folder belongs to another user or may not be written: { $subject }.
cache-permission-denied-why = The folder was created by another user (often root, or a shared machine's first user), or HOME is not set and the path starts at the root. The compilers cannot write there.
cache-permission-denied-fix = Use cache folders of your own, or correct the owner.

cache-rename-denied-windows-cause = Windows refused to rename a cache folder into place ({ $subject }).
cache-rename-denied-windows-why = Triton and Inductor write into a temporary folder and rename it. Windows forbids that while another process, or a virus scanner, holds a file of it, or when the target exists from an earlier run.
cache-rename-denied-windows-fix = Close other Python processes and delete the cache; give each worker its own; exclude the folder from the scanner.

read-only-filesystem-cause = The cache or temporary folder is on a read-only file system ({ $subject }).
read-only-filesystem-why = Containers with a read-only root, Kubernetes security settings and mounted images do not allow writing. Compiled code needs a writable folder that allows execution.
read-only-filesystem-fix = Point the cache variables, and HOME, to a writable mount.

uid-without-passwd-entry-cause = The user id ({ $subject }) has no entry in /etc/passwd, so the cache folder cannot be named.
uid-without-passwd-entry-why = Inductor names its cache after the user. Containers that run under an arbitrary id (docker --user, OpenShift, Kubernetes) have no name for it. torch 2.13 and later fall back to the number; in earlier ones TORCHINDUCTOR_CACHE_DIR alone is not always enough.
uid-without-passwd-entry-fix = Set USER and LOGNAME, HOME and the cache variables, or create the user in the image.

illegal-instruction-cause = Compiled code uses instructions this CPU does not have.
illegal-instruction-why = Code is compiled for the CPU of the machine that compiled it. A cache or an AOTInductor library from a newer machine, or a virtual machine that hides features, ends in an illegal instruction.
illegal-instruction-fix = Delete the cached code and compile here, or compile for the oldest CPU in use.

precompiled-header-cause = A precompiled header no longer fits and was refused.
precompiled-header-why = Inductor precompiles torch's headers. When a header's time stamp or the compiler's version or flags change, the compiler refuses the old file; Clang and GCC compare more than the content.
precompiled-header-fix = Delete the precompiled headers; they are made anew.

python-version-unsupported-cause = This torch does not support Python { $subject } in torch.compile.
python-version-unsupported-why = Each torch release supports the Pythons known when it was made; Dynamo reads bytecode, which changes with each Python. For Python { $python } the first torch with torch.compile is { $torch } (checked { $checked }).
python-version-unsupported-fix = Upgrade torch; { $torch } or later supports Python { $python }. Change Python only if torch cannot be upgraded.

triton-missing-cause = Triton is not installed in the environment that runs torch ({ $subject }).
triton-missing-why = Inductor compiles GPU kernels with Triton. The official Triton has wheels for Linux only; on Windows it is the package triton-windows. A bare pip may also have installed it for another Python.
triton-missing-fix = Install it with the same interpreter: python -m pip.

triton-torch-version-mismatch-cause = The installed Triton does not fit this torch ({ $subject }).
triton-torch-version-mismatch-why = Inductor uses Triton's internals, so each torch needs one version of Triton; another one, often a development build or an upgrade by another package, lacks what torch imports.
triton-torch-version-mismatch-fix = Install the version of Triton that torch's own metadata names.

ptxas-too-old-cause = The CUDA assembler (ptxas) is older than the GPU or the code ({ $subject }).
ptxas-too-old-why = Triton bundles a ptxas, and it knows only the GPUs of its time. A newer GPU, or a newer version of the intermediate code, is refused.
ptxas-too-old-fix = Upgrade torch and Triton, or set TRITON_PTXAS_PATH to the ptxas of a newer CUDA toolkit.

undefined-symbol-abi-cause = A compiled extension was built for another torch: { $subject } is not in the installed one.
undefined-symbol-abi-why = torch's C++ interface changes between releases and between builds. An extension that was compiled earlier ({ $detail }), or a wheel for another torch, asks for symbols that are no longer there.
undefined-symbol-abi-fix = Delete or rebuild the extension, or install the version made for this torch.

libc-headers-missing-cause = Headers or start files of the C or C++ library are missing ({ $subject }).
libc-headers-missing-why = The compiler is there, but the development files of the system library are not (libc6-dev, libstdc++-dev), or a conda compiler looks only in its own sysroot, which lacks the file.
libc-headers-missing-fix = Install the development files of the C and C++ library; with conda's compiler, the missing one from conda-forge (crypt.h: libxcrypt).

ninja-missing-cause = The build tool ninja is not installed, or not on PATH.
ninja-missing-why = torch.utils.cpp_extension builds with ninja. When the environment is not activated, the program of an installed package is not found either.
ninja-missing-fix = Install ninja into the environment, and have its bin folder on PATH.

cuda-home-not-set-cause = No CUDA toolkit was found (nvcc, { $subject }).
cuda-home-not-set-why = CUDA extensions are compiled with nvcc. torch's wheels bring the CUDA libraries, not the compiler; a driver is not a toolkit.
cuda-home-not-set-fix = Install the toolkit of the version torch.version.cuda names, and set CUDA_HOME.

cuda-version-mismatch-cause = The CUDA toolkit ({ $subject }) is not the one torch was built with ({ $detail }).
cuda-version-mismatch-why = Extensions must be compiled with the same major version of CUDA as torch. The first nvcc on PATH, or CUDA_HOME, is another one.
cuda-version-mismatch-fix = Point CUDA_HOME and PATH to a matching toolkit, or install a torch built for the toolkit you have. Removing the check is unsafe.

nvcc-rejects-gcc-cause = nvcc does not accept this host compiler (it accepts up to version { $subject }).
nvcc-rejects-gcc-why = Each CUDA release supports host compilers up to a certain version; distributions bring newer ones.
nvcc-rejects-gcc-fix = Install an older gcc beside the new one and name it, or use a newer CUDA toolkit.

conda-compiler-clash-cause = The conda environment's compiler or linker clashes with libraries from outside ({ $subject }).
conda-compiler-clash-why = conda's compilers have their own, older C library and look only inside the environment. torch's wheels, the driver's library and system libraries come from outside and want a newer one.
conda-compiler-clash-fix = Build with the system's compiler, or take torch, compiler and sysroot all from conda-forge.

path-with-spaces-cause = A path with a space was split in the compiler command ({ $subject }).
path-with-spaces-why = A cache folder, environment or user folder has a space in its name, and the command was put together without quotes. The compiler takes the two halves for two files.
path-with-spaces-fix = Use a folder without spaces for the cache, and for the environment; newer releases quote more of the paths.

path-too-long-windows-cause = A cache path is longer than Windows allows (260 characters; here { $subject }).
path-too-long-windows-why = Kernels are named after the operations they fuse, below folders named by hashes, below your temporary folder. The file seems "not found" because its name is too long.
path-too-long-windows-fix = Use a very short cache folder, or allow long paths.

unicode-decode-compiler-output-cause = The compiler's output could not be decoded as { $subject }.
unicode-decode-compiler-output-why = A localised compiler prints in the system's code page, and torch read it as UTF-8. The compilation itself may be fine.
unicode-decode-compiler-output-fix = Make the compiler print English, or upgrade torch, which replaces such bytes.

compile-subprocess-died-cause = A process that compiles kernels died.
compile-subprocess-died-why = Inductor compiles in worker processes. One ended by a crash, a lack of memory or a signal, or passed on an error; the message of the parent hides the reason.
compile-subprocess-died-fix = Set TORCHINDUCTOR_COMPILE_THREADS=1 to see the real error, and look for memory limits.

cuda-h-missing-cause = The headers of CUDA are missing ({ $subject }).
cuda-h-missing-why = Code that talks to CUDA includes its headers. Old Triton releases, distribution packages of Triton and extension builds take them from CUDA_HOME, where no toolkit or only its runtime is installed.
cuda-h-missing-fix = Install the toolkit's development files and set CUDA_HOME; newer Triton wheels bring cuda.h.

stale-build-lock-hang-cause = An extension build waits for a lock that a killed build left behind ({ $subject }).
stale-build-lock-hang-why = torch.utils.cpp_extension marks a running build with a file named lock. A build that was killed never removes it, and every later one waits for ever, without a message.
stale-build-lock-hang-fix = Make sure that no build runs, delete the lock, and start again.

setuptools-missing-cause = The package { $subject } is missing: setuptools is not installed.
setuptools-missing-why = Triton and torch.utils.cpp_extension import setuptools. Environments made by uv, or with Python 3.12 and later, do not contain it, and distutils left the standard library then.
setuptools-missing-fix = Install setuptools into the environment.

ldconfig-missing-cause = Triton needs the program ldconfig, which is not at { $subject }.
ldconfig-missing-why = Triton runs /sbin/ldconfig to find the driver's library. NixOS, Alpine and very small images do not have it there.
ldconfig-missing-fix = Provide it, or tell Triton the folder of libcuda with TRITON_LIBCUDA_PATH.

half-installed-toolchain-cause = The compiler is only half installed: it cannot start { $subject }.
half-installed-toolchain-why = gcc is a driver; the C++ compiler (cc1plus), the assembler (as) and the linker (ld) are programs of other packages. CXX=gcc without g++ installed, or images without binutils, lack one.
half-installed-toolchain-fix = Install the complete toolchain: g++ and binutils.

openssl-program-missing-cause = Inductor runs the program openssl, which is not installed.
openssl-program-missing-why = It hashes the precompiled header with it. The library alone, which Python has, is not enough; minimal images lack the program.
openssl-program-missing-fix = Install the openssl package.

network-filesystem-cache-cause = The compile cache is on a network file system that several processes change at once ({ $subject }).
network-filesystem-cache-why = Renaming and loading shared objects on NFS fails with stale handles, or busy files, when ranks or jobs share one cache.
network-filesystem-cache-fix = Keep the caches on a local disk, one for each node or rank.

gxx-spawn-bad-address-cause = The system could not start the compiler { $subject }: "Bad address".
gxx-spawn-bad-address-why = Starting a process failed inside the system call. Damaged memory in the process, an exotic kernel or sandbox, or a broken environment block cause it; the compiler itself never ran.
gxx-spawn-bad-address-fix = Start the program again; if it fails again, run the compiler by hand in the same environment, look for sandboxes and limits, and re-install it if it fails there as well.

nvcc-not-executable-wsl-cause = The program { $subject } was found but may not be executed.
nvcc-not-executable-wsl-why = torch asks nvcc for its version, only to write a comment. In WSL, PATH contains Windows folders whose files Linux may not run, and torch before the fix catches only a missing file.
nvcc-not-executable-wsl-fix = Remove that folder from PATH or correct the rights; a newer torch ignores the error.

nvcc-too-old-for-gpu-cause = nvcc is older than the GPU it is to compile for ({ $subject }).
nvcc-too-old-for-gpu-why = Each CUDA toolkit knows the GPUs of its time. The extension asks for the architecture of the GPU in this machine, or of TORCH_CUDA_ARCH_LIST, and the nvcc that was found first does not know it. torch's own CUDA is another one and may be new enough.
nvcc-too-old-for-gpu-fix = Install the CUDA toolkit of the version torch.version.cuda names, and point CUDA_HOME and PATH to it.

torch-missing-in-build-cause = The package is built in an isolated environment that has no torch.
torch-missing-in-build-why = pip and uv build a package in a fresh environment that holds only what the package declares. Its setup.py imports torch without declaring it; that torch is installed in your environment does not help.
torch-missing-in-build-fix = Switch build isolation off, with torch and the build tools installed before.

python-library-missing-cause = The linker did not find Python's own library ({ $subject }).
python-library-missing-why = On Windows an extension is linked with python3xx.lib, which the embeddable Python and some virtual environments lack. On Linux a command that asks for -lpython3.x needs the development package, which brings the library's link name.
python-library-missing-fix = Provide the library of exactly this Python version.

xpu-toolchain-missing-cause = A part of Intel's GPU stack was not found ({ $subject }).
xpu-toolchain-missing-why = Triton's backend for Intel GPUs compiles a helper against Level Zero and SYCL. The driver brings the libraries, not the headers, and not always ocloc, which makes machine code of kernels.
xpu-toolchain-missing-fix = Install the Level Zero development files and the oneAPI compiler, and load their environment.

rocm-toolchain-missing-cause = A part of the ROCm toolkit was not found ({ $subject }).
rocm-toolchain-missing-why = For AMD GPUs, Triton and extensions use HIP's headers, its library and ROCm's linker. torch's ROCm wheels bring the libraries to run, not everything to compile, and look in /opt/rocm unless told otherwise.
rocm-toolchain-missing-fix = Install the ROCm development packages of the version torch.version.hip names, or name the folder where they are.
