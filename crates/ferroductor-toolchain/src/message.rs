//! What compilers, linkers, loaders and the operating system print, by meaning.
//!
//! What must hold: a row is about the meaning of a message, never about who
//! asked for the compilation; messages are matched when cut at either end as
//! long as their telling part is left; the table is English, and what is
//! printed in other languages is put back into English first ([`localised`]).

use crate::localised;
use crate::pattern::{Pattern, PatternMatch, Scanner};
use std::sync::LazyLock;

/// The meaning of one line of toolchain output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// A header was not found; captures `header`.
    HeaderMissing,
    /// MSVC has no include path at all.
    NoIncludePath,
    /// A precompiled header was refused.
    PrecompiledHeaderRefused,
    /// The linker did not find a library; captures `lib`.
    LibraryMissing,
    /// The linker skipped a library of another architecture; captures `lib`.
    LibraryIncompatible,
    /// The linker did not find a library inside its sysroot; captures `lib`.
    LibraryOutsideSysroot,
    /// The loader did not find a shared object; captures `lib`.
    SharedObjectMissing,
    /// A runtime library lacks a symbol version; captures `version`, maybe `lib`, `by`.
    SymbolVersionMissing,
    /// A loaded object needs a symbol nobody has; captures `symbol`, maybe `object`.
    UndefinedSymbol,
    /// The linker did not find a symbol; captures `symbol`.
    UndefinedReference,
    /// A shared object could not be mapped executable; captures `path`.
    MapSegmentFailed,
    /// A file or program does not exist; captures `path`.
    FileMissing,
    /// A shell or build tool did not find a program; captures `program`.
    ProgramMissing,
    /// A compiler driver could not start one of its parts; captures `tool`.
    CannotExecuteTool,
    /// The system killed a compiler, or it ran out of memory.
    CompilerKilled,
    /// The compiler crashed.
    InternalCompilerError,
    /// The compiler or assembler does not know an instruction set; maybe captures `flag`.
    UnknownArchitecture,
    /// The compiler does not know a language standard; maybe captures `flag`.
    UnsupportedStandard,
    /// A header refuses the compiler or the standard it was given.
    CompilerTooOld,
    /// Syntax of a later standard was not understood.
    NewSyntaxRejected,
    /// The compiler has no OpenMP.
    OpenMpUnsupported,
    /// Two OpenMP runtimes met in one process; captures `lib`.
    OpenMpLoadedTwice,
    NoSpace,
    /// Captures `path` where the message names one.
    ReadOnly,
    /// Captures `path` where the message names one.
    PermissionDenied,
    /// Windows refused access or a rename; captures `path`.
    WindowsAccessDenied,
    StaleHandle,
    DeviceBusy,
    BadAddress,
    IllegalInstruction,
    /// The driver took a part of a path for the output file.
    SameInputOutput,
    /// The driver did not find an input file; captures `path`.
    DriverInputMissing,
    /// A path is longer than the system allows.
    PathTooLong,
    /// Output could not be decoded.
    UndecodableOutput,
}

/// All meanings a line has; usually none or one.
pub fn classify_line(line: &str) -> Vec<PatternMatch<Message>> {
    let mut found = SCANNER.scan(line);
    let Some(english) = localised::english(line) else {
        return found;
    };
    for mut translated in SCANNER.scan(&english) {
        if found.iter().all(|m| m.id != translated.id) {
            // A position in the translation means nothing in the line itself.
            (translated.start, translated.end) = (0, line.len());
            found.push(translated);
        }
    }
    found
}

/// Whether a line holds a word that a message could be built around; used to
/// try again with a line that was wrapped in the middle of a message.
pub fn may_hold_message(line: &str) -> bool {
    SCANNER.has_anchor(line) || localised::holds_phrase(line)
}

static SCANNER: LazyLock<Scanner<Message>> = LazyLock::new(|| Scanner::new(TABLE));

/// The table, public so that its test and the documentation can list it.
pub static TABLE: &[Pattern<Message>] = &[
    Pattern {
        id: Message::HeaderMissing,
        anchors: &["fatal error", "error:", "file not found", "no such file"],
        regex: r#"(?x)(?:
            (?:fatal\ error|(?:^|\s)error)\s*[:：]\s*
            ['‘“"«]?\s*(?P<header>[\w./+\-\\]+?\.(?:h|hh|hpp|hxx|cuh|inc)|[a-z_]{3,24})['’”"»]?
            \s*(?::\s*No\ such|\ file\ not\ found)
          )"#,
        samples: &[
            "a.cpp:35:10: fatal error: Python.h: No such file or directory",
            "main.cpp:1:10: fatal error: 'omp.h' file not found",
            "x.cpp:5:10: fatal error: algorithm: No such file or directory",
            "cuda_utils.c:7:20: error: cuda.h: No such file or directory",
        ],
        near_misses: &[
            "g++: fatal error: no input files",
            "FileNotFoundError: [Errno 2] No such file or directory: 'model.safetensors'",
            "g++: fatal error: Killed signal terminated program cc1plus",
        ],
    },
    // The same message cut on either side of its telling part.
    Pattern {
        id: Message::HeaderMissing,
        anchors: &["fatal error: ", "no such file", ".h' file not found"],
        regex: r#"(?x)(?:
            fatal\ error\s?:\s*['‘]?(?P<header>[\w./+\-]+\.(?:h|hh|hpp|cuh))['’]?(?:\s*:?\s*(?:N(?:o(?:\ s\w*)?)?)?|\s+(?:f\w{0,3}))?(?:\.{3}|…)?\s*$
          )"#,
        samples: &[
            "t.cpp:94:10: fatal error: Python.h",
            "t.cpp:94:10: fatal error: Python.h: No s",
            "t.cpp:94:10: fatal error: 'omp.h' fi",
        ],
        near_misses: &["fatal error: Python.h is bad", "note: include Python.h"],
    },
    Pattern {
        id: Message::HeaderMissing,
        anchors: &[".h: no such file", ".h' file not found"],
        regex: r#"^[^'"]*?['‘]?(?P<header>[\w./+\-]+\.h)(?:\s?:\s*No such file|['’] file not found)"#,
        samples: &[
            "r: Python.h: No such file or directory",
            "or: 'omp.h' file not found",
        ],
        near_misses: &["cp: cannot stat 'Python.h': No such file or directory"],
    },
    Pattern {
        id: Message::HeaderMissing,
        anchors: &["C1083"],
        regex: r#"C1083\b.{0,80}?['"“‘«”](?P<header>[\w./+\-\\]+?\.(?:h|hpp|hxx|cuh)|[a-z_]{3,24})['"”’»“]"#,
        samples: &[
            "x.cpp(3): fatal error C1083: Cannot open include file: 'omp.h': No such file or directory",
            "c:/t/x.h(5): fatal error C1083: 无法打开包括文件: “algorithm”: No such file or directory",
            "main.c(1): fatal error C1083: Impossible d'ouvrir le fichier include : 'stddef.h'",
        ],
        near_misses: &[
            "fatal error C1083: Cannot open compiler generated file: 'main.obj': Permission denied",
        ],
    },
    // Without quotation marks, as in MSVC's Russian and Polish.
    Pattern {
        id: Message::HeaderMissing,
        anchors: &["C1083"],
        regex: r"C1083\b[^'\x22]{0,80}?[:：]\s*(?P<header>[\w./+\-\\]+?\.(?:h|hpp|hxx|cuh)|[a-z_]{3,24})\s*[:：]\s*No such file",
        samples: &[
            "x.cpp(3): fatal error C1083: Не удается открыть файл включение: array: No such file or directory",
        ],
        near_misses: &["x.cpp(3): fatal error C1083: array is not a file"],
    },
    // The Tiny C Compiler, which Triton for Windows brings.
    Pattern {
        id: Message::HeaderMissing,
        anchors: &["include file '"],
        regex: r"error: include file '(?P<header>[\w./+\-]+)' not found",
        samples: &["cuda_utils.c:14: error: include file 'Python.h' not found"],
        near_misses: &["the include file 'x.h' was changed"],
    },
    Pattern {
        id: Message::NoIncludePath,
        anchors: &["C1034", "no include path set"],
        regex: r"\bC1034\b|no include path set",
        samples: &["main.c(1): fatal error C1034: stddef.h: no include path set"],
        near_misses: &["note: include path is empty"],
    },
    Pattern {
        id: Message::PrecompiledHeaderRefused,
        anchors: &["precompiled", ".gch", ".pch", "PCH file", "AST file"],
        regex: r"(?i)modified since the precompiled (?:header|file)|(?:\.gch|\.pch)\S*: (?:not used because|created (?:by|with)|not for)|(?:PCH|AST) file .{0,200}(?:out of date|built (?:from|by)|different|malformed|cannot be loaded)|PCH file was compiled|(?:precompiled|PCH)\S*(?: \S+){0,3} was (?:disabled|compiled with) .{0,40}(?:file|but)|please rebuild precompiled header|is pie differs in PCH file|not a valid precompiled|precompiled_headers/\S+: (?:error|not used|No such)",
        samples: &[
            "fatal error: file '/usr/include/x.h' has been modified since the precompiled header '/tmp/a.gch' was built: mtime changed",
            "cc1plus: error: one or more PCH files were found, but they were invalid\nx.h.gch: not used because `__OPTIMIZE__' is defined",
            "note: please rebuild precompiled header '/tmp/torchinductor_me/precompiled_headers/c.h.pch'",
        ],
        near_misses: &[
            "-include /tmp/torchinductor_user/precompiled_headers/c6rd.h -I/usr/include",
        ],
    },
    Pattern {
        id: Message::PrecompiledHeaderRefused,
        anchors: &["PCH files were found"],
        regex: r"PCH files were found, but they were invalid",
        samples: &["cc1plus: error: one or more PCH files were found, but they were invalid"],
        near_misses: &["2 PCH files were found"],
    },
    Pattern {
        id: Message::LibraryMissing,
        anchors: &[
            "cannot find",
            "can't find",
            "unable to find library",
            "library not found",
        ],
        regex: r#"(?:cannot find|can't find|unable to find library|library not found for|library not found:)\s*:?\s*(?:-l\s?:?(?P<lib>[\w.+\-]+)|(?P<object>[SgM]?crt\w*\.o)\b)"#,
        samples: &[
            "/usr/bin/ld: cannot find -ltorch_python: No such file or directory",
            "/usr/bin/ld: cannot find -l:libcuda.so.1: No such file or directory",
            "ld: library not found for -lomp",
            "ld.lld: error: unable to find library -lgomp",
            "/usr/bin/ld: cannot find crti.o: No such file or directory",
            "/usr/bin/ld: cannot find -lm",
        ],
        near_misses: &[
            "RuntimeError: cannot find checkpoint",
            "cannot find large model",
        ],
    },
    Pattern {
        id: Message::LibraryMissing,
        anchors: &["library '"],
        regex: r"\b(?:ld|tcc): (?:error: )?library '(?P<lib>[\w+.\-]+)' not found",
        samples: &[
            "ld: library 'omp' not found",
            "tcc: error: library 'cuda' not found",
        ],
        near_misses: &["python: library 'omp' not found"],
    },
    Pattern {
        id: Message::LibraryMissing,
        anchors: &["mold: fatal", "mold: error"],
        regex: r"\bmold: (?:fatal|error): (?:library not found|cannot open): (?P<lib>[\w.+\-]+)\s*$",
        samples: &["mold: fatal: library not found: cuda"],
        near_misses: &["mold: fatal: unknown command line option: -q"],
    },
    Pattern {
        id: Message::LibraryMissing,
        anchors: &["LNK1104", "LNK1181"],
        regex: r#"LNK1(?:104|181)\b.{0,80}?['"“‘«”](?P<lib>[^'"”’»“]+?\.(?:lib|obj))['"”’»“]"#,
        samples: &[
            "LINK : fatal error LNK1104: cannot open file 'MSVCRT.lib'",
            "LINK : fatal error LNK1181: cannot open input file 'torch_cpu.lib'",
        ],
        near_misses: &["LINK : fatal error LNK1120: 1 unresolved externals"],
    },
    Pattern {
        id: Message::LibraryMissing,
        anchors: &[".spec"],
        regex: r"cannot read spec file ['‘`]?(?P<lib>lib[a-z]+)\.spec",
        samples: &[
            "g++: fatal error: cannot read spec file 'libgomp.spec': No such file or directory",
        ],
        near_misses: &["cannot read pod.spec"],
    },
    Pattern {
        id: Message::LibraryIncompatible,
        anchors: &["skipping incompatible"],
        regex: r"skipping incompatible (?P<lib>\S+) when searching",
        samples: &[
            "/usr/bin/ld: skipping incompatible /usr/lib32/libcuda.so when searching for -lcuda",
        ],
        near_misses: &["skipping incompatible wheel"],
    },
    Pattern {
        id: Message::LibraryOutsideSysroot,
        anchors: &["cannot find /lib", "cannot find /usr", "inside /"],
        regex: r"cannot find (?P<lib>/(?:usr/)?lib\S+?\.so[\w.]*)(?: inside /\S+)?",
        samples: &[
            "/opt/conda/bin/ld: cannot find /lib64/libpthread.so.0 inside /opt/conda/x86_64-conda-linux-gnu/sysroot",
        ],
        near_misses: &["cannot find -lpthread"],
    },
    Pattern {
        id: Message::SharedObjectMissing,
        anchors: &["cannot open shared object file", "library not loaded"],
        regex: r"(?:(?P<lib>[\w.+\-]+\.so[\w.]*)\s?:\s*cannot open shared object file|Library not loaded: (?P<path>\S+))",
        samples: &[
            "OSError: libgomp.so.1: cannot open shared object file: No such file or directory",
            "ImportError: dlopen(x.so, 2): Library not loaded: @rpath/libomp.dylib",
        ],
        near_misses: &["cannot open shared memory"],
    },
    Pattern {
        id: Message::SymbolVersionMissing,
        anchors: &["GLIBC", "CXXABI", "GOMP_"],
        regex: r#"(?:(?P<lib>[\w./+~*\-]*lib[\w+]+\.so[\w.]*)\s?[:：]\s*)?version [`'‘"]?(?P<version>(?:GLIBCXX|GLIBC|CXXABI|GOMP)_[\d.]+)['’"`]? not found(?: \(required by (?P<by>[^)\s]+))?"#,
        samples: &[
            "ImportError: /opt/conda/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by /root/.cache/torch_extensions/x.so)",
        ],
        near_misses: &["strings libstdc++.so.6 | grep GLIBCXX_3.4.30"],
    },
    Pattern {
        id: Message::UndefinedSymbol,
        anchors: &["undefined symbol", "symbol not found"],
        regex: r"(?:(?P<object>\S+\.(?:so|pyd|dylib)[\w.]*)\s?:\s*)?(?:undefined symbol: |[Ss]ymbol not found(?: in flat namespace)?[: ]*'?)(?P<symbol>[\w$@.]+)",
        samples: &[
            "ImportError: /tmp/x/fused.so: undefined symbol: _ZN3c105ErrorC2ENS_14SourceLocationESs",
        ],
        near_misses: &["undefined symbols for architecture arm64:"],
    },
    Pattern {
        id: Message::UndefinedReference,
        anchors: &["undefined reference"],
        regex: r#"undefined reference to [`'‘"]\s?(?P<symbol>[^'’"]{1,200})"#,
        samples: &["libgomp-52f2.so.1: undefined reference to `clock_gettime@GLIBC_2.17'"],
        near_misses: &["undefined reference in your bibliography"],
    },
    Pattern {
        id: Message::MapSegmentFailed,
        anchors: &["failed to map segment"],
        regex: r"(?:(?P<path>\S+\.(?:so|pyd)[\w.]*)\s?:\s*)?failed to map segment",
        samples: &[
            "OSError: /tmp/torchinductor_u/ai/c.main.so: failed to map segment from shared object",
        ],
        near_misses: &["failed to map memory segment of 3 GB"],
    },
    Pattern {
        id: Message::FileMissing,
        anchors: &["[Errno 2]", "FileNotFoundError", "[WinError 3]", "ENOENT"],
        regex: r#"(?:\[Errno 2\]|FileNotFoundError|\[WinError 3\]|ENOENT).{0,80}?[:：]\s*['"](?P<path>[^'"]+)['"]?"#,
        samples: &["FileNotFoundError: [Errno 2] No such file or directory: '/sbin/ldconfig'"],
        near_misses: &["FileNotFoundError: weights missing"],
    },
    Pattern {
        id: Message::FileMissing,
        anchors: &["[WinError 2]"],
        regex: r"\[WinError 2\]",
        samples: &["FileNotFoundError: [WinError 2] The system cannot find the file specified"],
        near_misses: &["[WinError 5] Access is denied"],
    },
    Pattern {
        id: Message::ProgramMissing,
        anchors: &[
            "not found",
            "command failed",
            "unable to execute",
            "failed: no such",
            "is not recognized",
            "could be found",
            "no acceptable c",
            "the cmake_c",
            "not set, after enablelanguage",
            "lnk1158",
            "unknown compiler(s)",
            "find compiler",
            "['which', '",
            "make: ",
            "make[",
        ],
        regex: r#"(?x)(?:
            (?:^|[\s:])(?P<program>[\w./+\-]+)\s?:\s(?:command\ )?not\ found\.?\s*$
          | command\ not\ found:\ (?P<name>[\w./+\-]+)
          | unable\ to\ execute\ '(?P<tool>[^']+)'
          | \bmake(?:\[\d+\])?:\ (?P<by>[\w./+\-]+):\ No\ such\ file\ or\ directory\s*$
          | error:\ command\ '(?P<path>[^']+)'\ failed:\ No\ such
          | '(?P<module>[\w.+\-]+)'\ is\ not\ recognized\ as\ an
          | (?P<target>CMAKE_(?:C|CXX|CUDA)_COMPILER)\ could\ be\ found
          | \bThe\ (?P<header>CMAKE_(?:C|CXX|CUDA)_COMPILER):\s*$
          | (?P<object>CMAKE_CUDA_COMPILER)\ not\ set,\ after
          | LNK1158\b.{0,60}?['"“«](?P<symbol>\w+\.exe)
          | no\ acceptable\ (?P<found>C(?:\+\+)?)\ compiler
          | Unknown\ compiler\(s\):\ \[\['(?P<wanted>[\w.+\-]+)'
          | (?:[Cc]ould\ not|[Cc]annot)\ find\ compiler\ ["'](?P<limit>[\w.+\-]+)["']\ in\ PATH
          | \['which',\ '(?P<asked>[\w.+\-]+)'\]'?\ returned\ non-zero
        )"#,
        samples: &[
            "/bin/sh: 1: g++: not found",
            "make[1]: g++: No such file or directory",
            "bash: line 1: gcc: command not found",
            "error: command 'x86_64-linux-gnu-g++' failed: No such file or directory",
            "unable to execute 'gcc': No such file or directory",
            "'cl' is not recognized as an internal or external command,",
            "  No CMAKE_CXX_COMPILER could be found.",
            "  The CMAKE_CUDA_COMPILER:",
            "CMake Error: CMAKE_CUDA_COMPILER not set, after EnableLanguage",
            "LINK : fatal error LNK1158: cannot run 'rc.exe'",
            "ccache: error: Could not find compiler \"c++\" in PATH",
            "mes/meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]",
            "subprocess.CalledProcessError: Command '['which', 'c++']' returned non-zero exit status 1.",
        ],
        near_misses: &[
            "error: command 'gcc' failed with exit status 1",
            "CMake Error: CMAKE_CXX_COMPILER not set, after EnableLanguage",
            "pytest: 3 tests not found here",
        ],
    },
    Pattern {
        id: Message::CannotExecuteTool,
        anchors: &[
            "cannot execute",
            "trying to exec",
            "cannot exec",
            "doesn't exist",
            "cannot find 'ld",
            "cannot find ?ld",
            "cannot find ‘ld",
            "invalid linker name",
        ],
        regex: r#"(?x)(?:
            (?:cannot\ execute|error\ trying\ to\ exec|cannot\ exec)\s*[:`'‘“"?]*\s?(?P<tool>cc1plus|cc1|cc1obj|lto1|as|ld|collect2|lto-wrapper|cpp)\b['’”"?]?
          | Executable\ "(?P<program>[\w.\-]+)"\ doesn't\ exist
          | cannot\ find\ ['‘`?]?(?P<name>ld(?:\.\w+)?)['’?]?\s*$
          | invalid\ linker\ name\ in\ argument\ '-fuse-ld=(?P<module>\w+)
        )"#,
        samples: &[
            "gcc: fatal error: cannot execute ‘cc1plus’: execvp: No such file or directory",
            "gcc: error trying to exec 'as': execvp: No such file or directory",
            "collect2: fatal error: cannot find 'ld'",
            "clang: error: unable to execute command: Executable \"ld\" doesn't exist!",
        ],
        near_misses: &[
            "cannot execute binary file: Exec format error",
            "cannot find ld-linux in image",
        ],
    },
    Pattern {
        id: Message::CompilerKilled,
        anchors: &[
            "killed",
            "virtual memory exhausted",
            "out of memory allocating",
            "C1060",
            "C1002",
            "died due to signal 9",
            "out of memory",
            "memory exhausted",
        ],
        regex: r"(?x)(?:
            Killed\ (?:signal\ terminated\ program|\(program)\ ?\w*
          | (?:internal\ compiler\ error|unable\ to\ execute\ command):\ Killed
          | virtual\ memory\ exhausted
          | (?:cc1plus|cc1|ld|as|collect2|lto1|cicc|ptxas|nvlink|cudafe\+\+)\s?:\ (?:.{0,40}\ )?(?:out\ of\ memory|memory\ exhausted)
          | \bC1060\b | \bC1002\b
          | '?(?:cicc|ptxas|cudafe\+\+|cc1plus|ld)'?\ died\ due\ to\ signal\ 9
          | (?i:killed\ process)\ \d+,?\ \((?:cc1plus|cc1|cicc|ptxas|ld|clang|g\+\+|nvcc)
          | (?:ld|collect2).{0,20}terminated\ with\ signal\ 9
          | (?:^|\s)(?:g\+\+|c\+\+|gcc|cc|nvcc|clang\+*|ninja).{0,60}\bKilled\s*$
        )",
        samples: &[
            "g++: fatal error: Killed signal terminated program cc1plus",
            "c++: internal compiler error: Killed (program cc1plus)",
            "cc1plus: out of memory allocating 65536 bytes after a total of 1 bytes",
            "nvcc error   : 'cicc' died due to signal 9 (Kill signal)",
            "[12.3] Out of memory: Killed process 4242 (cc1plus) total-vm:1kB",
            "collect2: fatal error: ld terminated with signal 9 [Killed]",
        ],
        near_misses: &[
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
            "Killed",
            "Out of memory: Killed process 4242 (python3)",
        ],
    },
    Pattern {
        id: Message::InternalCompilerError,
        anchors: &[
            "internal compiler error",
            "please submit a bug report",
            "C1001",
            "died due to signal 11",
            "frontend command failed",
        ],
        regex: r"(?:internal compiler error: (?:[^K]|K[^i])|internal compiler error:?\s*$|PLEASE submit a bug report to|\bC1001\b|'(?:cicc|ptxas|cudafe\+\+)' died due to signal 11|frontend command failed)",
        samples: &[
            "x.cpp:9:1: internal compiler error: in related_int_vector_mode, at stor-layout.cc:581",
            "PLEASE submit a bug report to https://github.com/llvm/llvm-project/issues/",
        ],
        near_misses: &["c++: internal compiler error: Killed (program cc1plus)"],
    },
    Pattern {
        id: Message::UnknownArchitecture,
        anchors: &[
            "-march",
            "-mcpu",
            "-mtune",
            "no such instruction",
            "unsupported instruction",
            "unrecognized command",
            "unknown argument",
            "target specific option mismatch",
            "feature modifier",
            "unsupported option '-m",
            "requires target feature",
            "unknown target cpu",
            "selected processor does not support",
        ],
        regex: r#"(?x)(?:
            (?:bad\ value|unknown\ value)\ .{1,60}\ for\ ['‘`]?(?P<flag>-m(?:arch|cpu|tune)=?)
          | (?:unrecognized|unknown|unsupported)\ (?:command[\ \-]line\ )?(?:option|argument)s?\s?:?\s*['‘“"`]?(?P<name>-m[a-z0-9.=+\-]+)
          | does\ not\ support\ ['‘]?(?P<tool>-m(?:arch|cpu)=\S+?)['’]
          | error:\ unknown\ target\ CPU\ '(?P<arch>[\w.\-]+)'
          | invalid\ feature\ modifier
          | Error:\ no\ such\ instruction | no\ such\ instruction:\ [`'‘]
          | selected\ processor\ does\ not\ support
          | target\ specific\ option\ mismatch
          | requires\ target\ feature
        )"#,
        samples: &[
            "cc1plus: error: bad value ('sapphirerapids') for '-march=' switch",
            "g++: error: unrecognized command line option '-mamx-tile'",
            "/tmp/cc.s:275: Error: no such instruction: `vpdpbusd %ymm0,%ymm1,%ymm2'",
            "clang: error: the clang compiler does not support '-march=native'",
            "cc1plus: error: invalid feature modifier in '-march=armv9-a+sme'",
            "error: unknown target CPU 'znver5'",
        ],
        near_misses: &[
            "g++ x.cpp -march=native -O3",
            "unrecognized command line option '-std=c++20'",
        ],
    },
    Pattern {
        id: Message::UnsupportedStandard,
        anchors: &["-std=", "/std:", "std=c++", "for option 'std'"],
        regex: r#"(?:(?:unrecognized|unknown|unsupported)\b.{0,40}?['‘“"`]?(?P<flag>[-/]std[=:](?:c|gnu)\+\+\w+)|D9002.{0,60}(?P<tool>/std:c\+\+\w+)|invalid value '(?:c|gnu)\+\+\w+' in '-std|[Vv]alue '(?P<name>c\+\+\w+)' is not defined for option 'std')"#,
        samples: &[
            "cc1plus: error: unrecognized command line option \"-std=c++17\"",
            "error: invalid value 'c++20' in '-std=c++20'",
            "g++: error: unrecognized command-line option ‘-std=c++20’; did you mean ‘-std=c++2a’?",
            "nvcc fatal   : Value 'c++20' is not defined for option 'std'",
        ],
        near_misses: &[
            "g++ -Wall -std=c++20 -shared",
            "error: invalid argument '-std=c++17' not allowed with 'C'",
        ],
    },
    Pattern {
        id: Message::CompilerTooOld,
        anchors: &[
            "compatible compiler is required",
            "to compile pytorch",
            "too old version of gcc",
            "minimum required version",
            "requires at least gcc",
            "to compile aten",
            "to use pytorch",
            "require c++",
        ],
        regex: r"(?i)C\+\+(?:14|17|20|23) or later compatible compiler is required|you need C\+\+(?:14|17|20|23) to compile|too old version of (?:GCC|clang)|installed version of \S+ \((?P<found>[\w.]+)\) is less than the minimum required|requires at least gcc|pytorch requires? C\+\+(?:17|20)",
        samples: &[
            "all.h:4:2: error: #error C++17 or later compatible compiler is required to use PyTorch.",
            "#error \"You're trying to build PyTorch with a too old version of GCC. We need GCC 9 or later.\"",
        ],
        near_misses: &["RuntimeError: minimum required version of numpy is 1.20"],
    },
    Pattern {
        id: Message::NewSyntaxRejected,
        anchors: &[
            "expected identifier before",
            "[[unlikely]]",
            "does not name a template type",
            "in namespace",
            "has not been declared",
            "is not a member of",
            "is not a class template",
            "expected '[' token",
        ],
        regex: r"expected identifier before ['‘]\[['’] token|['‘]optional['’] in namespace ['‘]std['’]|['‘](?:is_same_v|optional|string_view|variant|void_t|is_convertible_v|enable_if_t|invoke_result_t|filesystem)['’] is not a (?:member|class)[^\n]{0,20}['‘]?std",
        samples: &[
            "x.cpp:59:10: error: expected identifier before ‘[’ token",
            "copy.h:43:8: error: ‘optional’ in namespace ‘std’ does not name a template type",
        ],
        near_misses: &["error: 'foo' is not a member of 'mylib'"],
    },
    Pattern {
        id: Message::OpenMpUnsupported,
        anchors: &["-fopenmp"],
        regex: r"(?:unsupported option|unrecognized command[ -]line option|unknown argument:?) ['‘]-fopenmp",
        samples: &["clang: error: unsupported option '-fopenmp'"],
        near_misses: &["g++ x.cpp -fopenmp -o x"],
    },
    Pattern {
        id: Message::OpenMpLoadedTwice,
        anchors: &["OMP: Error #15", "already initialized"],
        regex: r"(?:OMP: )?Error #15:? Initializing (?P<lib>\S+?),|Initializing (?P<name>lib\S*omp\S*), but found \S+ already initialized",
        samples: &[
            "OMP: Error #15: Initializing libomp.dylib, but found libomp.dylib already initialized.",
        ],
        near_misses: &["logging was already initialized."],
    },
    Pattern {
        id: Message::NoSpace,
        anchors: &[
            "no space left",
            "[errno 28]",
            "disk quota exceeded",
            "[errno 122]",
            "winerror 112",
        ],
        regex: r#"(?i)(?:\[Errno (?:28|122)\]|No space left on device|Disk quota exceeded|WinError 112)(?:[^'"]{0,40}['"](?P<path>[^'"]+)['"])?"#,
        samples: &[
            "OSError: [Errno 28] No space left on device",
            "x.cpp: fatal error: error writing to /tmp/ccX.s: No space left on device",
        ],
        near_misses: &["There is no space between the words"],
    },
    Pattern {
        id: Message::ReadOnly,
        anchors: &["read-only file system", "[errno 30]"],
        regex: r#"(?i)(?:\[Errno 30\]|Read-only file system)(?:[^'"]{0,60}['"](?P<path>[^'"]+)['"])?"#,
        samples: &["OSError: [Errno 30] Read-only file system: '/root/.triton'"],
        near_misses: &["the attribute is read-only"],
    },
    Pattern {
        id: Message::PermissionDenied,
        anchors: &["permission denied", "[errno 13]", "operation not permitted"],
        regex: r#"(?i)(?:(?P<program>/\S+?)\s?: )?(?:\[Errno 13\] Permission denied|PermissionError|Permission denied|\[Errno 1\] Operation not permitted)(?:[^'"]{0,40}['"](?P<path>[^'"]+)['"])?"#,
        samples: &[
            "PermissionError: [Errno 13] Permission denied: '/home/u/.triton/cache'",
            "/usr/bin/ld: cannot open output file /opt/x.so: Permission denied",
        ],
        near_misses: &["you need permission to open the model"],
    },
    Pattern {
        id: Message::WindowsAccessDenied,
        anchors: &["[WinError 5]", "[WinError 32]", "[WinError 183]"],
        regex: r#"\[WinError (?:5|32|183)\][^'"]{0,200}(?:['"](?P<path>[^'"]+)['"](?:\s*->\s*['"](?P<target>[^'"]+))?)?"#,
        samples: &[
            r"PermissionError: [WinError 5] Access is denied: 'C:\\Users\\u\\AppData\\Local\\Temp\\torchinductor_u\\triton\\0\\tmp.pid' -> 'C:\\Users\\u\\x'",
        ],
        near_misses: &["[WinError 2] The system cannot find the file specified"],
    },
    Pattern {
        id: Message::StaleHandle,
        anchors: &["stale file handle", "stale nfs", "[errno 116]"],
        regex: r#"(?i)(?:(?P<path>/\S+?)\s?: .{0,40})?(?:Stale (?:NFS )?file handle|\[Errno 116\])"#,
        samples: &[
            "ImportError: /root/.triton/cache/X/cuda_utils.so: cannot read file data: Stale file handle",
        ],
        near_misses: &["stale file in the cache"],
    },
    Pattern {
        id: Message::DeviceBusy,
        anchors: &["device or resource busy", "[errno 16]"],
        regex: r#"(?i)(?:Device or resource busy|\[Errno 16\])(?:[^'"]{0,20}['"](?P<path>[^'"]+)['"])?"#,
        samples: &[
            "OSError: [Errno 16] Device or resource busy: '/root/.triton/cache/X/.nfs0001' -> '/root/.triton/cache/X/a.so'",
        ],
        near_misses: &["CUDA-capable device(s) is/are busy or unavailable"],
    },
    Pattern {
        id: Message::BadAddress,
        anchors: &["[errno 14]", "bad address"],
        regex: r#"(?:\[Errno 14\] )?Bad address(?:: ['"](?P<path>[^'"]+)['"])?"#,
        samples: &["OSError: [Errno 14] Bad address: 'g++'"],
        near_misses: &["BadAddressError: e-mail rejected"],
    },
    Pattern {
        id: Message::IllegalInstruction,
        anchors: &[
            "illegal instruction",
            "SIGILL",
            "ILL_ILLOPN",
            "signal 4",
            "exitcode: -4",
            "exitcode  : -4",
            "0xc000001d",
            "illegal hardware instruction",
            "invalid opcode",
        ],
        regex: r"(?i)Illegal (?:hardware )?instruction|trap invalid opcode|\bSIGILL\b|ILL_ILLOPN|exitcode\s*: -4\b|0xC000001D|(?:died with|killed by) signal 4\b",
        samples: &[
            "Illegal instruction (core dumped)",
            "exitcode  : -4 (pid: 3123)",
        ],
        near_misses: &["CUDA error: an illegal memory access was encountered"],
    },
    Pattern {
        id: Message::SameInputOutput,
        anchors: &["same as output file"],
        regex: r"input file ['‘“](?P<path>[^'’”]+)['’”] is the same as output file",
        samples: &["g++: fatal error: input file ‘/home/user/app/my’ is the same as output file"],
        near_misses: &["the input file is the same as output of step 2"],
    },
    Pattern {
        id: Message::DriverInputMissing,
        anchors: &["no such file or directory", "linker input file"],
        regex: r#"(?:^|[\s/])(?:[\w.\-]+-)?(?:g\+\+|gcc|c\+\+|cc|clang\+\+|clang|icpx)(?:-\d+)?\s?: (?:fatal )?(?:error|warning)\s?: (?:no such file or directory: ['"](?P<name>[^'"]+)['"]|(?P<path>[^:'"]+?)\s?: (?:No such file or directory|linker input file))"#,
        samples: &[
            "g++: error: Support/app/x.cpp: No such file or directory",
            "clang: error: no such file or directory: 'projects/cache/x.cpp'",
        ],
        near_misses: &["x.cpp:1:10: fatal error: Python.h: No such file or directory"],
    },
    Pattern {
        id: Message::PathTooLong,
        anchors: &[
            "WinError 206",
            "file name too long",
            "path too long",
            "LongPathsEnabled",
            "filename or extension is too long",
            "MAX_PATH",
        ],
        regex: r"(?i)WinError 206|filename or extension is too long|(?:path|file ?name) (?:is )?too long|LongPathsEnabled|longer than MAX_PATH",
        samples: &[
            "FileNotFoundError: [WinError 206] The filename or extension is too long: 'C:\\\\x'",
        ],
        near_misses: &["sequence length is longer than the specified maximum"],
    },
    Pattern {
        id: Message::UndecodableOutput,
        anchors: &["UnicodeDecodeError"],
        regex: r"UnicodeDecodeError: '(?P<name>[\w\-]+)' codec can't decode",
        samples: &[
            "UnicodeDecodeError: 'utf-8' codec can't decode byte 0x8e in position 0: invalid start byte",
        ],
        near_misses: &["UnicodeEncodeError: 'charmap' codec can't encode character"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_matches_its_samples_and_not_its_near_misses() {
        assert_eq!(crate::pattern::check_table(TABLE), Vec::<String>::new());
    }

    /// The table is English; other languages come by way of [`localised`].
    #[test]
    fn translated_messages_mean_the_same() {
        let lines = [
            (
                Message::HeaderMissing,
                "x.cpp:5:10: 致命错误：Python.h：没有那个文件或目录",
            ),
            (
                Message::HeaderMissing,
                "x.cpp:5:10: erreur fatale : Python.h : Aucun fichier ou dossier de ce type",
            ),
            (
                Message::HeaderMissing,
                "x.cpp:5:10: error fatal: Python.h: No existe el archivo o el directorio",
            ),
            (
                Message::LibraryMissing,
                "/usr/bin/ld: 找不到 -lcudart: 没有那个文件或目录",
            ),
            (
                Message::LibraryMissing,
                "/usr/bin/ld: ne peut trouver -lcuda : Aucun fichier ou dossier de ce type",
            ),
            (
                Message::CannotExecuteTool,
                "gcc: фатальная ошибка: не удалось выполнить «cc1plus»: execvp: Нет такого файла или каталога",
            ),
            (
                Message::CannotExecuteTool,
                "gcc: erreur fatale: ne peut exécuter « cc1plus »: execvp: Aucun fichier ou dossier de ce type",
            ),
            (
                Message::ProgramMissing,
                "make[1]: g++: Нет такого файла или каталога",
            ),
            (
                Message::UnknownArchitecture,
                "g++: 错误：无法识别的命令行选项“-mamx-tile”",
            ),
            (
                Message::UnsupportedStandard,
                "g++: error: 无法识别的命令行选项‘-std=c++20’",
            ),
            (
                Message::SharedObjectMissing,
                "ImportError: libgomp.so.1: 无法打开共享对象文件: 没有那个文件或目录",
            ),
            (
                Message::UndefinedReference,
                "x.o：对‘clock_gettime@GLIBC_2.17’未定义的引用",
            ),
            (
                Message::NoSpace,
                "as: /tmp/a.o: Aucun espace disponible sur le périphérique",
            ),
            (Message::ReadOnly, "mkdir: 无法创建目录: 只读文件系统"),
            (Message::PermissionDenied, "bash: ./a: Permiso denegado"),
        ];
        for (meaning, line) in lines {
            let found = classify_line(line);
            assert!(found.iter().any(|m| m.id == meaning), "{line}: {found:?}");
        }
    }

    #[test]
    fn the_table_leaves_other_languages_to_the_translation() {
        let foreign = |text: &str| {
            let letter = |c: char| c.is_alphabetic() && !c.is_ascii();
            text.chars().any(letter)
        };
        for pattern in TABLE {
            assert!(
                !pattern.anchors.iter().any(|a| foreign(a)),
                "{:?}",
                pattern.anchors
            );
            assert!(!foreign(pattern.regex), "{}", pattern.regex);
        }
    }

    #[test]
    fn captures_name_the_header_and_the_library() {
        let found = classify_line("a.cpp:1:10: fatal error: Python.h: No such file or directory");
        assert_eq!(found[0].get("header"), Some("Python.h"));
        let found =
            classify_line("/usr/bin/ld: cannot find -l:libcuda.so.1: No such file or directory");
        assert_eq!(found[0].get("lib"), Some("libcuda.so.1"));
    }
}
