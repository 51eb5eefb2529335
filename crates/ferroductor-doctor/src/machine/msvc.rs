//! Microsoft's compiler where it is installed but not set up.
//!
//! What must hold: only a place that Visual Studio's own installer names, and
//! whose setup script is there, counts as an installation.

use ferroductor_toolchain::{Command, Platform, System};
use std::path::Path;
use std::time::Duration;

/// The script that sets the compiler up in a console, of the newest installation
/// with the C++ tools.
pub fn setup_script(system: &dyn System) -> Option<String> {
    if system.platform() != Platform::Windows {
        return None;
    }
    let arm = system.arch() == "aarch64";
    let (component, script) = match arm {
        true => (
            "Microsoft.VisualStudio.Component.VC.Tools.ARM64",
            "vcvarsarm64.bat",
        ),
        false => (
            "Microsoft.VisualStudio.Component.VC.Tools.x86.x64",
            "vcvars64.bat",
        ),
    };
    let words = [
        "-latest",
        "-prerelease",
        "-products",
        "*",
        "-requires",
        component,
        "-property",
        "installationPath",
    ];
    let ask = Command::new(installer(system)?)
        .args(words)
        .time_limit(system.patience(Duration::from_secs(10)));
    let answer = system.run(&ask);
    let place = answer
        .stdout
        .lines()
        .map(str::trim)
        .find(|l| !l.is_empty())?;
    let script = format!("{place}/VC/Auxiliary/Build/{script}").replace('\\', "/");
    system
        .exists(Path::new(&script))
        .then(|| script.replace('/', "\\"))
}

/// The program that knows what Visual Studio installed.
fn installer(system: &dyn System) -> Option<String> {
    ["ProgramFiles(x86)", "ProgramFiles"]
        .iter()
        .filter_map(|name| system.env(name))
        .map(|folder| {
            let folder = folder.replace('\\', "/");
            format!("{folder}/Microsoft Visual Studio/Installer/vswhere.exe")
        })
        .find(|path| system.exists(Path::new(path)))
}
