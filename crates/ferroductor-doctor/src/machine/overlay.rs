//! A machine with some variables set: the state after a repair that a running
//! process cannot give its parent.
//!
//! What must hold: everything but the variables is the machine's own.

use ferroductor_toolchain::{Command, Platform, Run, Space, Stat, System, User};
use std::io;
use std::path::{Path, PathBuf};

/// A system with variables on top of its environment.
pub struct WithVariables<'a> {
    inner: &'a dyn System,
    variables: Vec<(String, String)>,
}

impl<'a> WithVariables<'a> {
    pub fn new(inner: &'a dyn System, variables: Vec<(String, String)>) -> Self {
        Self { inner, variables }
    }
}

impl System for WithVariables<'_> {
    fn platform(&self) -> Platform {
        self.inner.platform()
    }

    fn arch(&self) -> String {
        self.inner.arch()
    }

    fn env(&self, name: &str) -> Option<String> {
        let own = self.variables.iter().rev().find(|(n, _)| n == name);
        own.map(|(_, v)| v.clone()).or_else(|| self.inner.env(name))
    }

    fn env_names(&self) -> Vec<String> {
        let mut names = self.inner.env_names();
        names.extend(self.variables.iter().map(|(n, _)| n.clone()));
        names
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.inner.read(path, limit)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.inner.stat(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.inner.list(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.inner.canonical(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.inner.space(path)
    }

    fn user(&self) -> User {
        self.inner.user()
    }

    fn run(&self, command: &Command) -> Run {
        let mut command = command.clone();
        let own = self
            .variables
            .iter()
            .map(|(n, v)| (n.clone(), Some(v.clone())));
        // What the caller sets for one command wins over the overlay.
        command.env = own.chain(command.env).collect();
        self.inner.run(&command)
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.inner.write(path, content)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(path)
    }

    fn scratch_dir(&self, parent: Option<&Path>) -> io::Result<PathBuf> {
        let temporary = self.env("TMPDIR").map(PathBuf::from);
        self.inner.scratch_dir(parent.or(temporary.as_deref()))
    }
}
