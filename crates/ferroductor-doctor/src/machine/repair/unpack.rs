//! Packages unpacked into the user's home, where nothing may be installed.
//!
//! What must hold: everything lies below one folder that the plan names; apt
//! fetches and checks the packages as for an installation, with lists and cache
//! of its own; the unpacked compiler runs by a short script that gives it its
//! own libraries and headers, so that no other program sees them.

use super::Action;
use crate::machine::folders;
use crate::packages::{Need, is_part_of_compiler};
use crate::platform::{Family, SystemGuess};
use ferroductor_toolchain::System;
use ferroductor_toolchain::system::quote;
use std::path::{Path, PathBuf};

/// Whether this system can fetch and unpack what is needed.
pub fn is_possible(system: &dyn System, family: Family, need: Need) -> bool {
    let debian = matches!(family, Family::Debian | Family::Ubuntu);
    let programs = ["apt-get", "dpkg", "sh"];
    debian
        && (need == Need::PythonHeaders || is_part_of_compiler(need))
        && programs.iter().all(|p| system.which(p).is_some())
        && base(system).is_some()
}

/// What is asked for; apt adds everything these need.
const COMPILER: &str = "g++ gcc libc6-dev";

/// The folder that holds everything.
fn base(system: &dyn System) -> Option<PathBuf> {
    let set = |name: &str| system.env(name).filter(|v| !v.is_empty());
    let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|h| h + "/.local/share"));
    let suits =
        |dir: &PathBuf| folders::is_writable(system, dir) && !dir.to_string_lossy().contains(' ');
    let data = data.map(PathBuf::from).filter(suits);
    let data = data.or_else(|| folders::find_usable(system))?;
    Some(data.join("ferroductor").join("toolchain"))
}

/// The steps, in order.
pub fn actions(system: &dyn System, guess: &SystemGuess, needs: &[Need]) -> Vec<Action> {
    let Some(base) = base(system) else {
        return Vec::new();
    };
    let unpacking = Unpacking {
        base: base.to_string_lossy().into_owned(),
        triplet: format!("{}-linux-gnu", system.arch()),
        own_lists: !has_lists(system),
    };
    let mut actions = unpacking.prepare();
    if needs.iter().any(|n| is_part_of_compiler(*n)) {
        actions.extend(unpacking.compiler(system));
    }
    if let (true, Some(python)) = (needs.contains(&Need::PythonHeaders), &guess.python) {
        actions.extend(unpacking.headers(system, python));
    }
    actions
}

/// Images often delete the lists of packages after use.
fn has_lists(system: &dyn System) -> bool {
    let lists = system.list(Path::new("/var/lib/apt/lists"));
    lists
        .unwrap_or_default()
        .iter()
        .any(|p| p.to_string_lossy().contains("_Packages"))
}

struct Unpacking {
    base: String,
    triplet: String,
    own_lists: bool,
}

fn shell(script: String) -> Action {
    Action::Run(vec!["sh".to_owned(), "-c".to_owned(), script])
}

impl Unpacking {
    /// apt with folders that this user may write to.
    fn apt(&self) -> String {
        let base = &self.base;
        let lists = if self.own_lists {
            format!(" -o Dir::State::lists={base}/lists")
        } else {
            String::new()
        };
        format!("apt-get -o Debug::NoLocking=1 -o Dir::Cache={base}/cache{lists}")
    }

    fn prepare(&self) -> Vec<Action> {
        let base = Path::new(&self.base);
        let mut actions = vec![
            Action::CreateFolder(base.join("cache/archives/partial")),
            Action::CreateFolder(base.join("headers")),
        ];
        if self.own_lists {
            actions.push(Action::CreateFolder(base.join("lists/partial")));
            let line = format!("{} update", self.apt());
            actions.push(Action::Run(line.split(' ').map(str::to_owned).collect()));
        }
        actions
    }

    fn compiler(&self, system: &dyn System) -> Vec<Action> {
        let base = &self.base;
        // As if nothing were installed: the compiler needs its files in one tree.
        let fetch = format!(
            "{} -o Dir::State::status=/dev/null -y --no-install-recommends --download-only install {COMPILER}",
            self.apt()
        );
        let mut actions = vec![
            Action::Run(fetch.split(' ').map(str::to_owned).collect()),
            Action::CreateFolder(Path::new(base).join("bin")),
            shell(self.unpack_script()),
        ];
        for program in ["gcc", "g++"] {
            let path = Path::new(base).join("bin").join(program);
            actions.push(Action::WriteProgram(path, self.wrapper(program)));
        }
        let path = system.env("PATH").unwrap_or_default();
        actions.push(Action::SetVariable(
            "PATH".to_owned(),
            format!("{base}/bin:{path}"),
        ));
        actions
    }

    /// The C library comes last: the compiler's own programs must keep to the system's.
    fn unpack_script(&self) -> String {
        let base = quote(&self.base);
        let triplet = &self.triplet;
        format!(
            "set -e; cd {base}; mkdir -p root programs run; \
             for p in cache/archives/*.deb; do case $p in */libc6_*) ;; *) dpkg -x $p root ;; esac; done; \
             ln -sf {base}/root/usr/lib/{triplet}/*.so.* programs/; \
             ln -sf {base}/root/usr/lib/{triplet}/libgomp.so.1 run/; \
             dpkg -x cache/archives/libc6_*.deb root; \
             printf '*link:\\n+ -rpath %s\\n\\n' {base}/run > specs; \
             ln -sf gcc bin/cc; ln -sf g++ bin/c++; rm -r cache"
        )
    }

    /// What is linked finds the OpenMP runtime by a specification, because an option
    /// for the linker would make the compiler link where it only translates a header.
    fn wrapper(&self, program: &str) -> String {
        let base = quote(&self.base);
        let triplet = &self.triplet;
        format!(
            "#!/bin/sh\n\
             # The compiler that was unpacked here, with its own libraries and headers.\n\
             LD_LIBRARY_PATH={base}/programs${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} \\\n\
             exec {base}/root/usr/bin/{program} --sysroot={base}/root -B{base}/root/usr/bin \\\n\
             -idirafter /usr/include -L/usr/lib/{triplet} -specs={base}/specs \"$@\"\n"
        )
    }

    /// The headers of Python alone; a tree of its own, because a compiler that is
    /// shown other headers of the C library finds its own no more.
    fn headers(&self, system: &dyn System, python: &str) -> Vec<Action> {
        let base = quote(&self.base);
        let script = format!(
            "set -e; cd {base}/headers; {} download libpython{python}-dev; \
             for p in *.deb; do dpkg -x $p .; done; rm *.deb",
            self.apt()
        );
        let include = format!("{}/headers/usr/include", self.base);
        let own = format!("{include}/python{python}:{include}");
        let before = system.env("CPATH").filter(|v| !v.is_empty());
        let value = before.map_or(own.clone(), |b| format!("{own}:{b}"));
        vec![
            shell(script),
            Action::SetVariable("CPATH".to_owned(), value),
        ]
    }
}
