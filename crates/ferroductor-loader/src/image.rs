//! An object laid out as it will lie in memory.
//!
//! What must hold: every section that is loaded has a place, sections keep their alignment
//! relative to a page-aligned base, and offsets taken from the object are checked before use.

use std::collections::HashMap;

use object::elf;
use object::read::elf::{ElfFile64, ElfSection64, FileHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex};
use object::{RelocationFlags, SectionFlags, SectionKind, SymbolIndex};

use crate::error::LoadError;
use crate::relocate;

/// The largest image: everything in it is within reach of a relative branch.
const MAX_SIZE: u64 = 1 << 27;
/// Sections align to at most a page.
const MAX_ALIGN: u64 = 4096;

/// Architectures we generate code for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    X86_64,
    Aarch64,
}

impl Architecture {
    /// `None` where we have no code generator for the host.
    pub fn of_host() -> Option<Architecture> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Architecture::X86_64),
            "aarch64" => Some(Architecture::Aarch64),
            _ => None,
        }
    }
}

type Elf<'d> = ElfFile64<'d, Endianness>;
type Section<'d, 'f> = ElfSection64<'d, 'f, Endianness>;

/// A parsed object and the place of each of its parts.
pub(crate) struct Image<'d> {
    elf: Elf<'d>,
    architecture: Architecture,
    /// Offset of each loaded section.
    places: HashMap<SectionIndex, u64>,
    /// Offset of the table of addresses that some code loads from, and its entries.
    table: u64,
    entries: HashMap<SymbolIndex, u64>,
    size: u64,
    functions: HashMap<String, usize>,
}

impl<'d> Image<'d> {
    pub fn parse(object: &'d [u8]) -> Result<Image<'d>, LoadError> {
        let elf = Elf::parse(object)?;
        if elf.elf_header().e_type(elf.endian()) != elf::ET_REL || !elf.is_little_endian() {
            return Err(LoadError::malformed("not a relocatable object"));
        }
        let architecture = match elf.architecture() {
            object::Architecture::X86_64 => Architecture::X86_64,
            object::Architecture::Aarch64 => Architecture::Aarch64,
            _ => return Err(LoadError::WrongArchitecture),
        };
        let mut image = Image {
            elf,
            architecture,
            places: HashMap::new(),
            table: 0,
            entries: HashMap::new(),
            size: 0,
            functions: HashMap::new(),
        };
        image.place_sections()?;
        image.place_table()?;
        image.find_functions()?;
        Ok(image)
    }

    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    pub fn size(&self) -> usize {
        self.size as usize
    }

    pub fn into_functions(self) -> HashMap<String, usize> {
        self.functions
    }

    fn take(&mut self, size: u64, align: u64) -> Result<u64, LoadError> {
        let align = align.max(1);
        if !align.is_power_of_two() || align > MAX_ALIGN {
            return Err(LoadError::malformed(format!("alignment {align}")));
        }
        let place = self.size.next_multiple_of(align);
        self.size = place
            .checked_add(size)
            .filter(|end| *end <= MAX_SIZE)
            .ok_or_else(|| LoadError::malformed("object too large"))?;
        Ok(place)
    }

    fn place_sections(&mut self) -> Result<(), LoadError> {
        let sections: Vec<(SectionIndex, u64, u64)> = (self.elf.sections())
            .filter(is_loaded)
            .map(|s| (s.index(), s.size(), s.align()))
            .collect();
        for (index, size, align) in sections {
            let place = self.take(size, align)?;
            self.places.insert(index, place);
        }
        Ok(())
    }

    /// Some relocations ask for the address of a word that holds the symbol's address.
    fn place_table(&mut self) -> Result<(), LoadError> {
        let mut wanted: Vec<SymbolIndex> = Vec::new();
        for section in self.elf.sections().filter(is_loaded) {
            for (_, relocation) in section.relocations() {
                if let (RelocationFlags::Elf { r_type }, RelocationTarget::Symbol(symbol)) =
                    (relocation.flags(), relocation.target())
                {
                    let by_table = relocate::goes_by_table(self.architecture, r_type);
                    if by_table && !wanted.contains(&symbol) {
                        wanted.push(symbol);
                    }
                }
            }
        }
        self.table = self.take(8 * wanted.len() as u64, 8)?;
        for (at, symbol) in wanted.into_iter().enumerate() {
            self.entries.insert(symbol, self.table + 8 * at as u64);
        }
        Ok(())
    }

    fn find_functions(&mut self) -> Result<(), LoadError> {
        let mut functions = HashMap::new();
        for symbol in self.elf.symbols() {
            let is_function = symbol.kind() == object::SymbolKind::Text;
            if !is_function || !symbol.is_global() || symbol.is_undefined() {
                continue;
            }
            let offset = self.symbol_offset(symbol.index())?;
            if offset >= self.size {
                return Err(LoadError::malformed(
                    "a function behind the end of the code",
                ));
            }
            functions.insert(symbol.name()?.to_string(), offset as usize);
        }
        self.functions = functions;
        Ok(())
    }

    /// Where a symbol lies in the image.
    fn symbol_offset(&self, index: SymbolIndex) -> Result<u64, LoadError> {
        let symbol = self.elf.symbol_by_index(index)?;
        let place = symbol
            .section_index()
            .and_then(|section| self.places.get(&section));
        let Some(place) = place else {
            let name = symbol.name().unwrap_or("?");
            return Err(LoadError::UndefinedSymbol(name.to_string()));
        };
        place
            .checked_add(symbol.address())
            .filter(|offset| *offset <= self.size)
            .ok_or_else(|| LoadError::malformed("a symbol outside its section"))
    }

    /// Writes the image into `memory`, relocated for the address `base`.
    pub fn write(&self, memory: &mut [u8], base: u64) -> Result<(), LoadError> {
        for section in self.elf.sections() {
            let Some(place) = self.places.get(&section.index()) else {
                continue;
            };
            let data = section.data()?;
            let place = *place as usize;
            memory
                .get_mut(place..place + data.len())
                .ok_or_else(|| LoadError::malformed("a section outside the image"))?
                .copy_from_slice(data);
        }
        for (symbol, entry) in &self.entries {
            let address = base.wrapping_add(self.symbol_offset(*symbol)?);
            relocate::put(memory, *entry, &address.to_le_bytes())?;
        }
        for section in self.elf.sections() {
            if let Some(place) = self.places.get(&section.index()) {
                self.relocate_section(&section, *place, memory, base)?;
            }
        }
        Ok(())
    }

    fn relocate_section(
        &self,
        section: &Section<'d, '_>,
        place: u64,
        memory: &mut [u8],
        base: u64,
    ) -> Result<(), LoadError> {
        for (offset, relocation) in section.relocations() {
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                return Err(LoadError::malformed("a relocation that is not ELF's"));
            };
            let RelocationTarget::Symbol(symbol) = relocation.target() else {
                return Err(LoadError::malformed("a relocation without symbol"));
            };
            let by_table = relocate::goes_by_table(self.architecture, r_type);
            let target = match self.entries.get(&symbol) {
                Some(entry) if by_table => *entry,
                _ => self.symbol_offset(symbol)?,
            };
            let at = place.wrapping_add(offset);
            relocate::apply(
                self.architecture,
                memory,
                &relocate::Fixup {
                    kind: r_type,
                    at,
                    position: base.wrapping_add(at),
                    target: base
                        .wrapping_add(target)
                        .wrapping_add_signed(relocation.addend()),
                },
            )?;
        }
        Ok(())
    }
}

/// Code and constants; not what serves debuggers, unwinders and linkers.
fn is_loaded(section: &Section<'_, '_>) -> bool {
    let SectionFlags::Elf { sh_flags } = section.flags() else {
        return false;
    };
    let allocated = sh_flags & u64::from(elf::SHF_ALLOC) != 0;
    let unwind = section.name().is_ok_and(|name| name == ".eh_frame");
    allocated && !unwind && section.kind() != SectionKind::Note
}

/// Brings the instruction cache up to date where the machine does not do it by itself.
pub(crate) fn make_visible_to_instruction_fetch(memory: &[u8]) {
    #[cfg(target_arch = "aarch64")]
    relocate::flush_aarch64(memory);
    #[cfg(not(target_arch = "aarch64"))]
    let _ = memory;
}
