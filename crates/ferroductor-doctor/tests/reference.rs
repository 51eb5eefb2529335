//! The reference case, complete from `explain` alone, in all four languages.

use ferroductor_doctor::diagnosis::Report;
use ferroductor_doctor::explain::{self, Options};
use ferroductor_doctor::i18n::{Catalog, Language};
use ferroductor_doctor::platform::SystemGuess;
use ferroductor_doctor::render::{Format, Style, render};
use std::path::Path;

fn reference(language: Language, system: Option<&str>) -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/logs/02-python-h-inductor-cpp__reference.log");
    let log = std::fs::read(path).expect("the reference log");
    let system = system.map(|words| {
        let mut guess = SystemGuess::default();
        guess.apply(words).expect("a known system");
        guess
    });
    explain::explain(
        &log[..],
        &Options {
            language,
            system,
            machine: None,
        },
    )
    .expect("reading from memory")
}

/// What the answer must name, whatever the language.
const MUST_NAME: &[&str] = &[
    "Python 3.13",
    "python3.13-dev",
    "python3.13-devel",
    "python@3.13",
    "conda install -y -c conda-forge python=3.13",
    "deadsnakes",
    "pyenv install 3.13",
    "RUN apt-get update",
    "CPATH",
    "Python.h",
    "TorchInductor",
    "InductorError",
    "CppCompileError",
    "TORCHDYNAMO_VERBOSE=1",
    "TORCH_LOGS=\"+dynamo\"",
    "backend=\"ferroductor\"",
    "/usr/include/python3.13",
    "/home/ana/.local/lib/python3.13/site-packages/torch",
    "-fopenmp",
    "OpenMP",
    "-O3",
    "-mavx2",
    "-ltorch",
    "-shared",
    "-std=c++17",
    "sysconfig",
    "Debian",
    "Ubuntu",
    "Fedora",
    "macOS",
    "cxyve26btthvhcuhmj6fjdn6e6op2ypybj7jmfcjx275gxkffhg5.cpp:94:10: fatal error: Python.h: No such file or directory",
];

#[test]
fn it_is_complete_in_every_language() {
    for language in Language::ALL {
        let report = reference(*language, None);
        let catalog = Catalog::new(*language);
        for format in [Format::Human, Format::Markdown, Format::Json] {
            let text = render(
                &report,
                format,
                &catalog,
                Style {
                    width: 5000,
                    colour: false,
                },
            );
            let text = text.replace("\\\"", "\"");
            for name in MUST_NAME {
                assert!(
                    text.contains(name),
                    "{language:?}, {format:?}: lacks {name}\n{text}"
                );
            }
        }
        for heading in [
            "ui-root-cause",
            "ui-evidence",
            "ui-attempted",
            "ui-command",
            "ui-why",
            "ui-fix",
            "ui-without",
            "ui-verify",
        ] {
            let text = render(&report, Format::Human, &catalog, Style::default());
            assert!(
                text.contains(&catalog.text(heading)),
                "{language:?}: lacks {heading}"
            );
        }
    }
}

#[test]
fn the_order_is_cause_evidence_attempt_command_reason_fix_way_round_check() {
    let catalog = Catalog::new(Language::English);
    let text = render(
        &reference(Language::English, None),
        Format::Human,
        &catalog,
        Style::default(),
    );
    let positions: Vec<usize> = [
        "Root cause",
        "\nEvidence",
        "\nWhat was",
        "\nThe failing",
        "\nWhy it",
        "\nFix",
        "\nIf the fix",
        "\nHow to",
    ]
    .iter()
    .map(|h| text.find(h).unwrap_or_else(|| panic!("lacks {h}")))
    .collect();
    assert!(positions.is_sorted(), "{positions:?}");
}

#[test]
fn a_stated_system_gets_its_own_fix_only() {
    let cases = [
        (
            "fedora",
            "dnf install -y python3.13-devel",
            ["apt-get install", "brew install", "apk add"],
        ),
        (
            "debian:13",
            "apt-get install -y --no-install-recommends python3.13-dev",
            ["dnf install", "brew install", "deadsnakes"],
        ),
        (
            "alpine",
            "apk add python3-dev",
            ["dnf install", "brew install", "zypper"],
        ),
        (
            "opensuse",
            "zypper --non-interactive install python313-devel",
            ["dnf install", "brew install", "apk add"],
        ),
        (
            "macos",
            "brew install python@3.13",
            ["dnf install", "apt-get install", "apk add"],
        ),
        (
            "ubuntu:22.04",
            "ppa:deadsnakes/ppa",
            ["dnf install", "brew install", "apk add"],
        ),
        (
            "ubuntu,pyenv",
            "pyenv install --force 3.13",
            ["dnf install", "brew install", "apk add"],
        ),
        (
            "conda",
            "conda install -y --force-reinstall -c conda-forge python=3.13",
            ["dnf install", "brew install", "zypper"],
        ),
    ];
    for (system, wanted, unwanted) in cases {
        let report = reference(Language::English, Some(system));
        let commands: Vec<String> = report.findings[0]
            .fixes
            .iter()
            .flat_map(|f| f.commands.clone())
            .collect();
        let text = commands.join("\n");
        assert!(text.contains(wanted), "{system}: {text}");
        for other in unwanted {
            assert!(!text.contains(other), "{system} is offered {other}: {text}");
        }
    }
}

#[test]
fn json_has_the_documented_fields() {
    let report = reference(Language::English, None);
    let text = render(
        &report,
        Format::Json,
        &Catalog::new(Language::English),
        Style::default(),
    );
    let json: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
    assert_eq!(json["schema"], "ferroductor-doctor/1");
    assert_eq!(json["outcome"], "findings");
    let finding = &json["findings"][0];
    assert_eq!(finding["id"], "python-h-inductor-cpp");
    assert_eq!(finding["confidence"], "high");
    assert_eq!(finding["role"], "root");
    assert_eq!(finding["evidence"][0]["line"], 18);
    assert_eq!(finding["actor"]["id"], "actor-inductor-cpp");
    assert!(finding["fixes"][0]["commands"].is_array());
    assert_eq!(json["facts"]["python"], "3.13");
}

#[test]
fn github_annotations_are_single_lines() {
    let text = render(
        &reference(Language::English, None),
        Format::Github,
        &Catalog::new(Language::English),
        Style::default(),
    );
    assert!(text.lines().all(|l| l.starts_with("::")), "{text}");
    assert!(text.starts_with("::error title=python-h-inductor-cpp::"));
}

/// What the answer must say, clause by clause: a name for the clause, and for
/// each language words of which all must stand in one text of the answer.
const CLAUSES: &[(&str, [&[&str]; 4])] = &[
    (
        "the headers of exactly this version are missing, though the interpreter is there",
        [
            &["headers of exactly Python 3.13 are missing", "interpreter"],
            &[
                "fichiers d’en-tête de Python 3.13 (exactement cette version) manquent",
                "interpréteur",
            ],
            &[
                "Faltan los archivos de cabecera de Python 3.13, de esa versión exacta",
                "intérprete",
            ],
            &["缺少 Python 3.13 的头文件", "必须完全一致", "解释器"],
        ],
    ),
    (
        "why: Debian-like systems, containers, virtual environments, minimal installs",
        [
            &["Debian", "containers", "virtual environment", "minimal"],
            &[
                "Debian",
                "conteneurs",
                "environnements virtuels",
                "minimales",
            ],
            &["Debian", "contenedores", "entornos virtuales", "mínimas"],
            &["Debian", "容器", "虚拟环境", "最小化安装"],
        ],
    ),
    (
        "what Inductor wanted with Python's C API",
        [
            &["Inductor", "extension module", "C API"],
            &["Inductor", "module d’extension", "API C"],
            &["Inductor", "módulo de extensión", "API de C"],
            &["Inductor", "扩展模块", "C API"],
        ],
    ),
    (
        "where the compiler looked",
        [
            &["Where the compiler looked", "/usr/include/python3.13"],
            &["Où le compilateur a cherché", "/usr/include/python3.13"],
            &["Dónde buscó el compilador", "/usr/include/python3.13"],
            &["编译器查找过的位置", "/usr/include/python3.13"],
        ],
    ),
    (
        "Python's version, torch's place and OpenMP as read from the command",
        [
            &[
                "Read from the command",
                "Python 3.13",
                "/home/ana/.local/lib/python3.13/site-packages/torch",
                "OpenMP is switched on",
            ],
            &[
                "Lu dans la commande",
                "Python 3.13",
                "/home/ana/.local/lib/python3.13/site-packages/torch",
                "OpenMP est activé",
            ],
            &[
                "Leído del comando",
                "Python 3.13",
                "/home/ana/.local/lib/python3.13/site-packages/torch",
                "OpenMP está activado",
            ],
            &[
                "从命令中读出",
                "Python 3.13",
                "/home/ana/.local/lib/python3.13/site-packages/torch",
                "OpenMP 已启用",
            ],
        ],
    ),
    (
        "what InductorError and CppCompileError are",
        [
            &[
                "InductorError is the wrapper",
                "CppCompileError",
                "compiler was started",
            ],
            &[
                "InductorError est l’exception",
                "CppCompileError",
                "compilateur C++ a été lancé",
            ],
            &[
                "InductorError es la envoltura",
                "CppCompileError",
                "el compilador de C++ se inició",
            ],
            &["InductorError 是", "CppCompileError", "编译器已启动"],
        ],
    ),
    (
        "when the verbose variables help, and that here they do not",
        [
            &[
                "TORCHDYNAMO_VERBOSE=1",
                "TORCH_LOGS=\"+dynamo\"",
                "graph breaks",
                "here they add nothing",
            ],
            &[
                "TORCHDYNAMO_VERBOSE=1",
                "TORCH_LOGS=\"+dynamo\"",
                "ruptures de graphe",
                "ici ils n’apportent rien",
            ],
            &[
                "TORCHDYNAMO_VERBOSE=1",
                "TORCH_LOGS=\"+dynamo\"",
                "rupturas de grafo",
                "aquí no aportan nada",
            ],
            &[
                "TORCHDYNAMO_VERBOSE=1",
                "TORCH_LOGS=\"+dynamo\"",
                "图中断",
                "在这里没有帮助",
            ],
        ],
    ),
    (
        "where the archive does not carry it: deadsnakes",
        [
            &["does not carry Python 3.13", "deadsnakes"],
            &["n’ont pas Python 3.13", "deadsnakes"],
            &["no tienen Python 3.13", "deadsnakes"],
            &["没有 Python 3.13", "deadsnakes"],
        ],
    ),
    (
        "or a build from source",
        [
            &["build it from source"],
            &["construisez-le depuis les sources"],
            &["compílelo desde el código fuente"],
            &["从源码构建"],
        ],
    ),
    (
        "CPATH where the headers are elsewhere",
        [
            &["headers of exactly Python 3.13 are elsewhere"],
            &["sont ailleurs sur cette machine"],
            &["en otro lugar de esta máquina"],
            &["这台机器别处"],
        ],
    ),
    (
        "how to check that Python.h is now there",
        [
            &["Python.h of exactly Python 3.13 is where"],
            &["Python.h de Python 3.13 (exactement cette version) est là"],
            &["Python.h de Python 3.13"],
            &["Python.h"],
        ],
    ),
    (
        "when re-installing or upgrading torch is right, and when not",
        [
            &[
                "Re-installing or upgrading torch",
                "another version",
                "does not support Python 3.13",
                "not repaired by it",
            ],
            &[
                "Réinstaller ou mettre à jour torch",
                "autre version",
                "ne prend pas en charge Python 3.13",
                "n’est pas réparé",
            ],
            &[
                "Reinstalar o actualizar torch",
                "otra versión",
                "no admite Python 3.13",
                "no se arregla así",
            ],
            &[
                "重装或升级 torch",
                "以外的版本",
                "不支持 Python 3.13",
                "不能靠它修复",
            ],
        ],
    ),
    (
        "where to look if it persists",
        [
            &["If it persists", "sysconfig"],
            &["Si cela persiste", "sysconfig"],
            &["Si persiste", "sysconfig"],
            &["如果问题依旧", "sysconfig"],
        ],
    ),
    (
        "the same model runs at once with Ferroductor",
        [
            &["same model runs at once with Ferroductor"],
            &["le même modèle s’exécute tout de suite avec Ferroductor"],
            &["el mismo modelo", "Ferroductor"],
            &["同一个模型", "Ferroductor"],
        ],
    ),
    (
        "what was being attempted, and by whom",
        [
            &["TorchInductor", "was compiling a generated C++ kernel"],
            &["TorchInductor", "compilait un noyau C++ généré"],
            &["TorchInductor", "compilaba un kernel de C++ generado"],
            &["TorchInductor", "编译一个生成的 C++ 内核"],
        ],
    ),
];

/// Every text of the JSON answer, one per entry.
fn texts(value: &serde_json::Value, all: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => all.push(text.replace('\u{a0}', " ")),
        serde_json::Value::Array(items) => items.iter().for_each(|v| texts(v, all)),
        serde_json::Value::Object(members) => members.values().for_each(|v| texts(v, all)),
        _ => {}
    }
}

#[test]
fn every_clause_is_said_in_every_language() {
    for (index, language) in Language::ALL.iter().enumerate() {
        let report = reference(*language, None);
        let json = serde_json::to_value(&report).expect("plain data");
        let mut all = Vec::new();
        texts(&json, &mut all);
        for (clause, words) in CLAUSES {
            let said = all
                .iter()
                .any(|text| words[index].iter().all(|word| text.contains(word)));
            assert!(
                said,
                "{language:?} does not say: {clause}\n{}",
                all.join("\n")
            );
        }
        let flags = &report.findings[0]
            .command
            .as_ref()
            .expect("the command")
            .flags;
        assert!(flags.len() > 20 && flags.iter().all(|f| !f.meaning.is_empty()));
        let unexplained = flags.iter().filter(|f| f.role == "other").count();
        assert_eq!(unexplained, 0, "{flags:?}");
    }
}

#[test]
fn popular_advice_that_misleads_is_answered_in_every_language() {
    let advice = "RuntimeError: CppCompileError: C++ compile error\n\
        Somebody told me to pip install python-dev, or\n\
        sudo ln -s /usr/include/python3.10 /usr/include/python3.13, or\n\
        torch._dynamo.config.suppress_errors = True, or\n\
        export TORCH_COMPILE_DISABLE=1\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/logs/02-python-h-inductor-cpp__reference.log");
    let log = std::fs::read_to_string(path).expect("the reference log") + advice;
    for language in Language::ALL {
        let options = Options {
            language: *language,
            system: None,
            machine: None,
        };
        let report = explain::explain(log.as_bytes(), &options).expect("reading from memory");
        let ids: Vec<&str> = report.findings[0]
            .advice
            .iter()
            .map(|n| n.id.as_str())
            .collect();
        for wanted in [
            "advice-pip-python-dev",
            "advice-foreign-headers",
            "advice-suppress-errors",
            "advice-disable-compile",
        ] {
            assert!(ids.contains(&wanted), "{language:?}: {ids:?}");
        }
        assert!(report.findings[0].advice.iter().all(|n| n.text.len() > 40));
    }
}
