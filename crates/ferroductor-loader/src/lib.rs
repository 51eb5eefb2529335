//! Puts compiled kernels into executable memory, and tells what the CPU can run.
//!
//! A warm start takes kernels from a cache, so nothing here needs LLVM. What must hold: no memory
//! is ever writable and executable at once; an object that asks for any symbol it does not define,
//! or for a relocation we do not know, is refused.

mod cpu;
mod error;
mod image;
mod relocate;

use std::collections::HashMap;

use ferroductor_abi::KernelFn;
use memmap2::{Mmap, MmapMut};

pub use cpu::{host_target, supports};
pub use error::LoadError;

/// Would the object load on the architecture it was made for? What is not checked is whether that is
/// this machine's, and whether this CPU has the instructions: see [`supports`].
pub fn check(object: &[u8]) -> Result<(), LoadError> {
    /// Where programs usually get their memory: above the reach of 32-bit addresses.
    const SOMEWHERE: u64 = 0x7f00_0000_0000;
    let image = image::Image::parse(object)?;
    image.write(&mut vec![0; image.size()], SOMEWHERE)
}

/// The code of one object, in executable memory until dropped.
pub struct LoadedObject {
    memory: Mmap,
    /// Offsets of the global functions.
    functions: HashMap<String, usize>,
}

impl LoadedObject {
    /// Loads an ELF relocatable object made for this machine's architecture.
    pub fn load(object: &[u8]) -> Result<LoadedObject, LoadError> {
        let image = image::Image::parse(object)?;
        if Some(image.architecture()) != image::Architecture::of_host() {
            return Err(LoadError::WrongArchitecture);
        }
        let mut memory = MmapMut::map_anon(image.size().max(1)).map_err(LoadError::memory)?;
        let base = memory.as_ptr() as u64;
        image.write(&mut memory, base)?;
        let memory = memory.make_exec().map_err(LoadError::memory)?;
        image::make_visible_to_instruction_fetch(&memory);
        Ok(LoadedObject {
            memory,
            functions: image.into_functions(),
        })
    }

    /// The kernel of that symbol.
    ///
    /// The pointer is good as long as the object lives.
    pub fn get(&self, symbol: &str) -> Option<KernelFn> {
        let offset = *self.functions.get(symbol)?;
        let address = self.memory.get(offset..)?.as_ptr();
        // SAFETY: the symbol is a function that lies in this executable mapping. That its type is
        // `KernelFn` is what the compiler of the object promises of all its global functions;
        // calling it is unsafe in turn.
        Some(unsafe { std::mem::transmute::<*const u8, KernelFn>(address) })
    }

    /// The names of all kernels, in no order.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }

    /// Bytes of memory that the object holds.
    pub fn size(&self) -> usize {
        self.memory.len()
    }
}
