### 每一类故障：一句原因、一段解释、一个修复办法。

python-h-triton-cause = 缺少 Python { $python } 的头文件：Triton 找到了 C 编译器，但没有找到 { $subject }。
python-h-triton-why = 在 Debian 系的系统上，解释器和头文件是两个软件包；最小化安装、容器镜像和某些环境模块只带解释器。虚拟环境没有自己的头文件，它使用创建它的那个解释器的头文件。build-essential 只带来编译器，不带 Python 的头文件。
python-h-triton-fix = 安装与运行 torch 的版本完全一致的 Python { $python } 头文件。

python-h-inductor-cpp-cause = 缺少 Python { $python } 的头文件（{ $subject }），版本必须完全一致；解释器本身是存在的。
python-h-inductor-cpp-why = Debian 和 Ubuntu 把解释器（python{ $python }）与头文件（python{ $python }-dev）分成两个包；容器、虚拟环境和最小化安装通常只有前者。虚拟环境以及 ~/.local 里的包使用其所属解释器的头文件。其他版本的头文件没有用：C API 不同。
python-h-inductor-cpp-fix = 安装版本完全一致的 Python { $python } 头文件。

python-h-cpp-extension-cause = 缺少 Python { $python } 的头文件（{ $subject }），因此无法编译任何扩展。
python-h-cpp-extension-why = 扩展模块要用 Python 的 C API 编译。Debian 系的系统把这些头文件放在单独的包里，容器和最小化安装会省略它。编译器和 torch 的头文件都已找到。
python-h-cpp-extension-fix = 安装版本完全一致的 Python { $python } 头文件，然后重新编译。

no-cxx-compiler-cause = 没有可用的 C++ 编译器（{ $subject }）。
no-cxx-compiler-why = 在 CPU 上使用 torch.compile，以及构建任何扩展，都要运行 C++ 编译器；精简镜像和最小化系统没有它，而 CXX 变量指向不存在的编译器或启动器也等于没有。GPU 训练同样需要它，因为计算图的一部分是 CPU 代码。
no-cxx-compiler-fix = 在程序实际运行的地方安装 C++ 编译器（镜像的运行阶段，而不只是构建阶段），或改正 CXX。

no-c-compiler-triton-cause = Triton 没有为它的辅助模块找到 C 编译器（{ $subject }）。
no-c-compiler-triton-why = Triton 首次使用时会编译一个与 GPU 驱动通信的小 C 文件。它依次使用 CC、PATH 中的 gcc 或 clang；精简镜像和新装的 WSL 都没有。
no-c-compiler-triton-fix = 安装 gcc，以及 Triton 接下来需要的 Python 头文件。

omp-h-linux-cause = 缺少编译器的 OpenMP 头文件或库（{ $subject }）。
omp-h-linux-why = GCC 自己的开发文件里带有 omp.h；Clang 则放在单独的包（libomp）里。没有 libomp 的 Clang，或者文件被删除、版本不一致的 GCC，都无法编译 Inductor 的并行循环。
omp-h-linux-fix = 为所用的编译器安装 OpenMP：Clang 装 libomp，GCC 装完整的 gcc 包。

omp-macos-cause = Apple 的 clang 不带 OpenMP：找不到 { $subject }。
omp-macos-why = Apple 提供的 clang 不含 omp.h 和 libomp，而 Inductor 的内核两者都需要；Homebrew 把它们装在 clang 不搜索的目录里。
omp-macos-fix = 用 Homebrew 安装 libomp，或用 conda 安装 llvm-openmp；前者还要设置 OMP_PREFIX。

libomp-loaded-twice-macos-cause = 同一进程里加载了两份 OpenMP 运行时（{ $subject }）。
libomp-loaded-twice-macos-why = torch 自带一份 OpenMP 运行时；另一个包或编译出的内核又链接了第二份。两份会各自启动线程，因此运行时终止了程序。
libomp-loaded-twice-macos-fix = 只保留一份：升级 torch，或让 torch 与其他包来自同一来源（全部 pip 或全部 conda）。

libgomp-missing-cause = 缺少 GCC 的 OpenMP 运行时（{ $subject }），或者用到的不是 torch 的那一份。
libgomp-missing-why = 用 -fopenmp 编译的代码会链接 libgomp。编译器的文件不完整，或者没有运行时包，或者环境里的旧副本屏蔽了正确的那份。
libgomp-missing-fix = 重新安装包含 libgomp 的 gcc 包以及运行时库。

msvc-cl-not-found-cause = 没有安装 Microsoft C++ 编译器（{ $subject }），或者它不在 PATH 中。
msvc-cl-not-found-why = 在 Windows 上，Inductor 和扩展构建都运行 cl.exe。Visual Studio 不会把它放进 PATH；只有开发者控制台或 vcvars64.bat 才会。没有 C++ 工作负载时它根本不存在。
msvc-cl-not-found-fix = 安装带 C++ 工作负载的 Build Tools，并从“x64 Native Tools”（x64 本机工具）命令提示符启动 Python。

msvc-environment-not-loaded-cause = cl.exe 能运行，但没有加载它的环境：找不到 { $subject }。
msvc-environment-not-loaded-why = cl.exe 通过 INCLUDE 和 LIB 找到标准头文件、omp.h 和 Windows 库，这两个变量由 vcvars64.bat 设置。只把 cl.exe 所在目录加入 PATH 是不够的；没有 C++ 工作负载或 Windows SDK 的安装也缺少这些文件。
msvc-environment-not-loaded-fix = 在启动 Python 的控制台里先运行 vcvars64.bat；如果仍然不行，再添加 C++ 工作负载和 Windows SDK。

cannot-find-ltorch-cause = 链接器没有找到 torch 自己的库（{ $subject }）。
cannot-find-ltorch-why = 命令里的库目录不含这些库：torch 已损坏或只删了一半，目录被移动，或者该版本 torch 的链接参数有已知错误。
cannot-find-ltorch-fix = 重新安装 torch；如果是 Windows 上 2.7 之前的 torch，或者命令里没有指向 torch 的 -L，请升级。

cannot-find-lcuda-cause = 链接器没有找到 NVIDIA 驱动的库（{ $subject }）。
cannot-find-lcuda-why = 驱动安装的是 libcuda.so.1；链接器在它的搜索路径里找 libcuda.so。用 .run 文件安装之后、在 WSL 里、在容器里，以及只有 32 位副本时，这个名字都不在它搜索的位置。
cannot-find-lcuda-fix = 找到 libcuda.so.1 并让链接器看到：在 LIBRARY_PATH 的某个目录里建立名为 libcuda.so 的链接，或设置 TRITON_LIBCUDA_PATH。

libcuda-assertion-cause = Triton 没有找到 NVIDIA 驱动的库（{ $subject }）。
libcuda-assertion-why = Triton 向 ldconfig 询问 libcuda.so.1 的位置。驱动所在目录不在加载器缓存里（Colab、Singularity、WSL），或者这台机器、这个容器根本没有 NVIDIA 驱动。
libcuda-assertion-fix = 有驱动：对其目录运行 ldconfig，或设置 LD_LIBRARY_PATH 或 TRITON_LIBCUDA_PATH。没有驱动：使用 CPU，或带 GPU 启动容器。

cannot-find-lcudart-cause = 找不到 CUDA 运行时库（{ $subject }）。
cannot-find-lcudart-why = 链接参数指向 CUDA_HOME/lib64；conda 把库放在 lib，pip 包只有带版本号的文件，而有些系统只有驱动。
cannot-find-lcudart-fix = 安装 CUDA 运行时的开发文件，或加入 libcudart.so 所在的目录。

glibcxx-not-found-cause = 加载的 C++ 运行时太旧：缺少 { $subject }。
glibcxx-not-found-why = 有东西是用比进程所加载的 libstdc++.so.6（{ $detail }）更新的 GCC 编译的。通常是 conda 的旧副本屏蔽了系统的新副本，或者反过来。
glibcxx-not-found-fix = 更新较旧的那份（conda：libstdcxx-ng），或用与之相配的编译器重新编译。不要用一份覆盖另一份。

glibc-too-old-cause = 系统的 C 库太旧：需要 { $subject }。
glibc-too-old-why = 某个二进制文件（{ $detail }）是在更新的发行版上构建的。C 库属于发行版，不能单独更换。
glibc-too-old-fix = 使用更新的发行版或容器镜像，或者使用为旧系统构建的版本。

cxx-standard-too-old-cause = 编译器太旧，不支持 torch 所需的 C++（{ $subject }）。
cxx-standard-too-old-why = torch 的头文件和 Inductor 的代码需要 C++17，较新的版本需要 C++20，以及 GCC 9 或更高。编译器更旧，或者扩展固定了旧标准。
cxx-standard-too-old-fix = 安装更新的编译器并写入 CXX 和 CC，或提高扩展要求的标准。

arch-flags-or-compiler-crash-cause = 编译器不支持 CPU 的指令，或在处理时崩溃（{ $subject }）。
arch-flags-or-compiler-crash-why = -march=native 要求用上该 CPU 的全部指令。比 CPU 更旧的编译器或汇编器不认识这些名字，某些版本还会在向量化代码上崩溃。
arch-flags-or-compiler-crash-fix = 使用更新的编译器及其汇编器，或生成更短的向量。

compiler-killed-oom-cause = 内存耗尽，编译器被系统杀死。
compiler-killed-oom-why = 编译 torch 代码时每个进程要用 1 到 4 GB 内存，而 ninja 和 Inductor 每个核心启动一个进程。系统或容器的限制于是杀死编译器；日志最后一行只是构建工具的。
compiler-killed-oom-fix = 用更少的进程编译（MAX_JOBS=1），或增加内存。

no-space-left-cause = 写入编译结果或临时文件的地方没有空间了（{ $subject }）。
no-space-left-why = 编译器写入 TMPDIR 和缓存目录。磁盘已满、tmpfs 太小、配额或 inode 用尽都会让它停下，而且常常不说明路径。
no-space-left-fix = 释放空间，或把 TMPDIR 和缓存目录移到别的磁盘。

noexec-tmp-cause = 不允许从该目录加载编译好的代码：文件系统以 noexec 挂载（{ $subject }）。
noexec-tmp-why = 内核已经编译好，但加载它需要把文件映射为可执行，noexec 挂载禁止这样做。Docker 的 tmpfs 和加固过的系统都这样挂载 /tmp。文件本身的权限位没有影响。
noexec-tmp-fix = 把缓存放到允许执行的文件系统上。

cache-permission-denied-cause = 缓存目录属于其他用户或不可写：{ $subject }。
cache-permission-denied-why = 该目录由其他用户创建（常见的是 root，或共享机器上的第一个用户），或者没有设置 HOME，路径从根目录开始。编译器无法写入。
cache-permission-denied-fix = 使用自己的缓存目录，或改正所有者。

cache-rename-denied-windows-cause = Windows 拒绝重命名缓存目录（{ $subject }）。
cache-rename-denied-windows-why = Triton 和 Inductor 先写入临时目录再重命名。只要有其他进程或杀毒软件占用其中的文件，或者目标已存在，Windows 就会拒绝。
cache-rename-denied-windows-fix = 关闭其他 Python 进程并删除缓存；给每个工作进程单独的缓存；让杀毒软件排除该目录。

read-only-filesystem-cause = 缓存目录或临时目录位于只读文件系统上（{ $subject }）。
read-only-filesystem-why = 根目录只读的容器、Kubernetes 的安全设置以及挂载的镜像都不允许写入。编译好的代码需要一个可写且可执行的目录。
read-only-filesystem-fix = 把缓存变量以及 HOME 指向可写的挂载点。

uid-without-passwd-entry-cause = 用户 id（{ $subject }）在 /etc/passwd 中没有条目，因此无法为缓存目录命名。
uid-without-passwd-entry-why = Inductor 用用户名命名缓存。以任意 id 运行的容器（docker --user、OpenShift、Kubernetes）没有对应的用户名。torch 2.13 起会改用数字；更早的版本里，只设置 TORCHINDUCTOR_CACHE_DIR 并不总是够用。
uid-without-passwd-entry-fix = 设置 USER、LOGNAME、HOME 和缓存变量，或在镜像里创建该用户。

illegal-instruction-cause = 编译好的代码使用了该 CPU 没有的指令。
illegal-instruction-why = 代码是为编译它的那台机器的 CPU 编译的。来自更新机器的缓存或 AOTInductor 库，或隐藏了部分特性的虚拟机，都会触发非法指令错误。
illegal-instruction-fix = 删除缓存的代码并在本机编译，或按在用的最旧 CPU 编译。

precompiled-header-cause = 预编译头文件已不匹配，被拒绝使用。
precompiled-header-why = Inductor 会预编译 torch 的头文件。头文件的时间戳，或编译器的版本、选项一旦改变，编译器就拒绝旧文件；Clang 和 GCC 比较的不只是内容。
precompiled-header-fix = 删除预编译头文件，它们会重新生成。

python-version-unsupported-cause = 这个 torch 的 torch.compile 不支持 Python { $subject }。
python-version-unsupported-why = 每个 torch 版本支持发布时已有的 Python；Dynamo 读取字节码，而字节码随 Python 版本变化。对 Python { $python }，torch.compile 可用的第一个 torch 是 { $torch }（核对于 { $checked }）。
python-version-unsupported-fix = 升级 torch；{ $torch } 或更高版本支持 Python { $python }。只有在 torch 无法升级时才更换 Python。

triton-missing-cause = 运行 torch 的环境里没有安装 Triton（{ $subject }）。
triton-missing-why = Inductor 用 Triton 编译 GPU 内核。官方 Triton 只有 Linux 的安装包；Windows 上的包叫 triton-windows。直接用 pip 也可能把它装到了另一个 Python 里。
triton-missing-fix = 用同一个解释器安装：python -m pip。

triton-torch-version-mismatch-cause = 安装的 Triton 与这个 torch 不匹配（{ $subject }）。
triton-torch-version-mismatch-why = Inductor 使用 Triton 的内部接口，所以每个 torch 需要特定版本的 Triton；其他版本（常常是开发版，或被别的包升级过）缺少 torch 要导入的东西。
triton-torch-version-mismatch-fix = 安装 torch 元数据里指明的 Triton 版本。

ptxas-too-old-cause = CUDA 汇编器（ptxas）比 GPU 或代码更旧（{ $subject }）。
ptxas-too-old-why = Triton 自带一个 ptxas，它只认识当时的 GPU。更新的 GPU 或更新版本的中间代码会被拒绝。
ptxas-too-old-fix = 升级 torch 和 Triton，或让 TRITON_PTXAS_PATH 指向更新的 CUDA 工具包里的 ptxas。

undefined-symbol-abi-cause = 某个编译好的扩展是为另一个 torch 构建的：当前安装的 torch 里没有 { $subject }。
undefined-symbol-abi-why = torch 的 C++ 接口随版本和构建而变。早先编译的扩展（{ $detail }），或为别的 torch 制作的安装包，会请求已不存在的符号。
undefined-symbol-abi-fix = 删除或重新构建该扩展，或安装为这个 torch 制作的版本。

libc-headers-missing-cause = 缺少 C 或 C++ 库的头文件或启动文件（{ $subject }）。
libc-headers-missing-why = 编译器在，但系统库的开发文件不在（libc6-dev、libstdc++-dev），或者 conda 的编译器只在自己的 sysroot 里查找，而那里没有这个文件。
libc-headers-missing-fix = 安装 C 和 C++ 库的开发文件；如果用 conda 的编译器，就从 conda-forge 安装缺少的那个（crypt.h：libxcrypt）。

ninja-missing-cause = 没有安装构建工具 ninja，或者它不在 PATH 中。
ninja-missing-why = torch.utils.cpp_extension 用 ninja 构建。环境没有激活时，已安装的包里的程序也找不到。
ninja-missing-fix = 在该环境里安装 ninja，并让环境的 bin 目录在 PATH 中。

cuda-home-not-set-cause = 没有找到 CUDA 工具包（nvcc，{ $subject }）。
cuda-home-not-set-why = CUDA 扩展要用 nvcc 编译。torch 的安装包只带 CUDA 库，不带编译器；驱动也不是工具包。
cuda-home-not-set-fix = 安装 torch.version.cuda 所示版本的工具包，并设置 CUDA_HOME。

cuda-version-mismatch-cause = CUDA 工具包（{ $subject }）与构建 torch 所用的版本（{ $detail }）不同。
cuda-version-mismatch-why = 扩展必须用与 torch 相同主版本的 CUDA 编译。PATH 中的第一个 nvcc 或 CUDA_HOME 是另一个版本。
cuda-version-mismatch-fix = 让 CUDA_HOME 和 PATH 指向匹配的工具包，或安装为现有工具包构建的 torch。去掉检查并不安全。

nvcc-rejects-gcc-cause = nvcc 不接受这个主机编译器（最高接受版本 { $subject }）。
nvcc-rejects-gcc-why = 每个 CUDA 版本只支持到某个版本的主机编译器；发行版带的更新。
nvcc-rejects-gcc-fix = 在新版旁边安装较旧的 gcc 并指定它，或使用更新的 CUDA 工具包。

conda-compiler-clash-cause = conda 环境的编译器或链接器与外部的库冲突（{ $subject }）。
conda-compiler-clash-why = conda 的编译器有自己较旧的 C 库，而且只在环境内部查找。torch 的安装包、驱动的库和系统库来自外部，需要更新的 C 库。
conda-compiler-clash-fix = 用系统的编译器构建，或让 torch、编译器和 sysroot 全部来自 conda-forge。

path-with-spaces-cause = 编译命令里带空格的路径被拆开了（{ $subject }）。
path-with-spaces-why = 缓存、环境或用户目录的名字里有空格，而命令拼接时没有加引号。编译器把两半当成两个文件。
path-with-spaces-fix = 缓存和环境都使用不含空格的目录；较新的版本会给更多路径加引号。

path-too-long-windows-cause = 缓存路径超过 Windows 的上限（260 个字符；这里为 { $subject }）。
path-too-long-windows-why = 内核以其融合的操作命名，位于以哈希命名的目录下，再位于临时目录下。文件看似“找不到”，其实是名字太长。
path-too-long-windows-fix = 使用很短的缓存目录，或允许长路径。

unicode-decode-compiler-output-cause = 编译器的输出无法按 { $subject } 解码。
unicode-decode-compiler-output-why = 本地化的编译器用系统代码页输出，而 torch 按 UTF-8 读取。编译本身可能没有问题。
unicode-decode-compiler-output-fix = 让编译器输出英文，或升级 torch，新版本会替换这类字节。

compile-subprocess-died-cause = 编译内核的一个进程意外终止。
compile-subprocess-died-why = Inductor 在工作进程里编译。其中一个因崩溃、内存不足或信号而结束，或者传回了错误；父进程的消息掩盖了原因。
compile-subprocess-died-fix = 设置 TORCHINDUCTOR_COMPILE_THREADS=1 以看到真正的错误，并检查内存限制。

cuda-h-missing-cause = 缺少 CUDA 的头文件（{ $subject }）。
cuda-h-missing-why = 与 CUDA 通信的代码要包含它的头文件。旧版 Triton、发行版自带的 Triton 和扩展构建都从 CUDA_HOME 取用，而那里没有工具包，或只有运行时部分。
cuda-h-missing-fix = 安装工具包的开发文件并设置 CUDA_HOME；新版 Triton 自带 cuda.h。

stale-build-lock-hang-cause = 扩展构建在等待一个被中断的构建遗留的锁（{ $subject }）。
stale-build-lock-hang-why = torch.utils.cpp_extension 用名为 lock 的文件标记正在进行的构建。被杀死的构建不会删除它，之后的每次构建都会一直等待，而且没有任何提示。
stale-build-lock-hang-fix = 确认没有构建在运行，删除锁文件，再重新开始。

setuptools-missing-cause = 缺少 { $subject }：没有安装 setuptools。
setuptools-missing-why = Triton 和 torch.utils.cpp_extension 都会导入 setuptools。uv 创建的环境，或 Python 3.12 及以后版本的环境，不带它；distutils 也从那时起离开了标准库。
setuptools-missing-fix = 在该环境里安装 setuptools。

ldconfig-missing-cause = Triton 需要程序 ldconfig，但 { $subject } 处没有它。
ldconfig-missing-why = Triton 运行 /sbin/ldconfig 来找驱动的库。NixOS、Alpine 和很小的镜像在那里没有它。
ldconfig-missing-fix = 提供该程序，或用 TRITON_LIBCUDA_PATH 告诉 Triton libcuda 所在的目录。

half-installed-toolchain-cause = 编译器只装了一半：无法启动 { $subject }。
half-installed-toolchain-why = gcc 只是驱动程序；C++ 编译器（cc1plus）、汇编器（as）和链接器（ld）是其他包里的程序。CXX=gcc 而没有装 g++，或者镜像没有 binutils，都会缺一个。
half-installed-toolchain-fix = 安装完整的工具链：g++ 和 binutils。

openssl-program-missing-cause = Inductor 要运行程序 openssl，但没有安装。
openssl-program-missing-why = 它用这个程序计算预编译头文件的哈希。只有 Python 自带的库是不够的；最小镜像没有这个程序。
openssl-program-missing-fix = 安装 openssl 包。

network-filesystem-cache-cause = 编译缓存位于网络文件系统上，多个进程同时修改它（{ $subject }）。
network-filesystem-cache-why = 多个进程或任务共用一个缓存时，在 NFS 上重命名和加载共享库会因句柄失效或文件被占用而失败。
network-filesystem-cache-fix = 把缓存放在本地磁盘上，每个节点或每个 rank 一份。

gxx-spawn-bad-address-cause = 系统无法启动编译器 { $subject }：“Bad address”。
gxx-spawn-bad-address-why = 启动进程时在系统调用里失败。原因可能是进程内存损坏、少见的内核或沙箱，或者环境变量块损坏；编译器本身从未运行。
gxx-spawn-bad-address-fix = 重新启动程序；如果仍然失败，在同样的环境里手动运行编译器，检查沙箱和限制；如果同样失败，就重新安装它。

nvcc-not-executable-wsl-cause = 找到了程序 { $subject }，但不允许执行。
nvcc-not-executable-wsl-why = torch 向 nvcc 询问版本，只是为了写一行注释。在 WSL 里，PATH 含有 Windows 的目录，其中的文件 Linux 可能无权运行，而修复之前的 torch 只容忍文件不存在。
nvcc-not-executable-wsl-fix = 从 PATH 中去掉该目录或改正权限；更新的 torch 会忽略这个错误。

nvcc-too-old-for-gpu-cause = nvcc 比要编译的目标 GPU 更旧（{ $subject }）。
nvcc-too-old-for-gpu-why = 每个版本的 CUDA 工具包只认识当时已有的 GPU。扩展要求的是本机 GPU 或 TORCH_CUDA_ARCH_LIST 指定的架构，而最先找到的 nvcc 不认识它。torch 自带的 CUDA 与它无关，可能已经足够新。
nvcc-too-old-for-gpu-fix = 安装 torch.version.cuda 所示版本的 CUDA 工具包，并让 CUDA_HOME 和 PATH 指向它。

torch-missing-in-build-cause = 该软件包在没有 torch 的隔离环境中构建。
torch-missing-in-build-why = pip 和 uv 会在全新的环境中构建软件包，其中只有软件包自己声明的依赖。它的 setup.py 导入了 torch 却没有声明；您的环境里装了 torch 也无济于事。
torch-missing-in-build-fix = 先装好 torch 和构建工具，再关闭构建隔离。

python-library-missing-cause = 链接器没有找到 Python 自己的库（{ $subject }）。
python-library-missing-why = 在 Windows 上，扩展要链接 python3xx.lib，而嵌入式 Python 和某些虚拟环境没有这个文件。在 Linux 上，带有 -lpython3.x 的命令需要开发包，库的链接名由开发包提供。
python-library-missing-fix = 提供与该 Python 版本完全一致的库。

xpu-toolchain-missing-cause = 找不到英特尔 GPU 软件栈的一部分（{ $subject }）。
xpu-toolchain-missing-why = Triton 的英特尔 GPU 后端要用 Level Zero 和 SYCL 编译一个辅助模块。驱动程序只带有库，不带头文件，也不一定带有把内核编译成机器码的 ocloc。
xpu-toolchain-missing-fix = 安装 Level Zero 的开发文件和 oneAPI 编译器，并加载它们的环境。

rocm-toolchain-missing-cause = 没有找到 ROCm 工具包的某个部分（{ $subject }）。
rocm-toolchain-missing-why = 对于 AMD GPU，Triton 和扩展要用到 HIP 的头文件、库以及 ROCm 的链接器。torch 的 ROCm wheel 只带运行所需的库，不含编译所需的全部内容；如未另行指定，则在 /opt/rocm 中查找。
rocm-toolchain-missing-fix = 安装 torch.version.hip 所示版本的 ROCm 开发包，或指明其所在目录。
