//! Relocations of x86-64 and AArch64, as their ELF supplements define them.
//!
//! What must hold: a value that does not fit its field is an error, never a truncated address.

use object::elf;

use crate::error::LoadError;
use crate::image::Architecture;

/// One place to patch.
pub(crate) struct Fixup {
    pub kind: u32,
    /// Offset in the image.
    pub at: u64,
    /// Address of that place when the code runs.
    pub position: u64,
    /// Address of the symbol plus addend.
    pub target: u64,
}

impl Fixup {
    fn distance(&self) -> i64 {
        self.target.wrapping_sub(self.position) as i64
    }

    fn out_of_range(&self) -> LoadError {
        LoadError::OutOfRange { kind: self.kind }
    }

    /// A signed number for a field of so many bits.
    fn fit(&self, value: i64, bits: u32) -> Result<i64, LoadError> {
        let limit = 1i64 << (bits - 1);
        if (-limit..limit).contains(&value) {
            Ok(value)
        } else {
            Err(self.out_of_range())
        }
    }
}

/// Does the relocation refer to a table entry that holds the address, not to the symbol?
pub(crate) fn goes_by_table(architecture: Architecture, kind: u32) -> bool {
    match architecture {
        Architecture::X86_64 => matches!(
            kind,
            elf::R_X86_64_GOTPCREL | elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX
        ),
        Architecture::Aarch64 => matches!(
            kind,
            elf::R_AARCH64_ADR_GOT_PAGE | elf::R_AARCH64_LD64_GOT_LO12_NC
        ),
    }
}

/// Patches one place.
pub(crate) fn apply(
    architecture: Architecture,
    memory: &mut [u8],
    fixup: &Fixup,
) -> Result<(), LoadError> {
    match architecture {
        Architecture::X86_64 => apply_x86_64(memory, fixup),
        Architecture::Aarch64 => apply_aarch64(memory, fixup),
    }
}

pub(crate) fn put(memory: &mut [u8], at: u64, bytes: &[u8]) -> Result<(), LoadError> {
    let at = at as usize;
    at.checked_add(bytes.len())
        .and_then(|end| memory.get_mut(at..end))
        .ok_or_else(|| LoadError::malformed("a relocation outside the image"))?
        .copy_from_slice(bytes);
    Ok(())
}

fn apply_x86_64(memory: &mut [u8], fixup: &Fixup) -> Result<(), LoadError> {
    match fixup.kind {
        elf::R_X86_64_NONE => Ok(()),
        elf::R_X86_64_64 => put(memory, fixup.at, &fixup.target.to_le_bytes()),
        elf::R_X86_64_PC64 => put(memory, fixup.at, &fixup.distance().to_le_bytes()),
        elf::R_X86_64_PC32
        | elf::R_X86_64_PLT32
        | elf::R_X86_64_GOTPCREL
        | elf::R_X86_64_GOTPCRELX
        | elf::R_X86_64_REX_GOTPCRELX => {
            let distance = fixup.fit(fixup.distance(), 32)? as i32;
            put(memory, fixup.at, &distance.to_le_bytes())
        }
        elf::R_X86_64_32 => {
            let address = u32::try_from(fixup.target).map_err(|_| fixup.out_of_range())?;
            put(memory, fixup.at, &address.to_le_bytes())
        }
        elf::R_X86_64_32S => {
            let address = fixup.fit(fixup.target as i64, 32)? as i32;
            put(memory, fixup.at, &address.to_le_bytes())
        }
        kind => Err(LoadError::UnknownRelocation { kind }),
    }
}

/// A bit field of an instruction: lowest bit and width.
struct Field {
    low: u32,
    width: u32,
}

const IMM26: Field = Field { low: 0, width: 26 };
const IMM19: Field = Field { low: 5, width: 19 };
const IMM14: Field = Field { low: 5, width: 14 };
const IMM12: Field = Field { low: 10, width: 12 };

fn apply_aarch64(memory: &mut [u8], fixup: &Fixup) -> Result<(), LoadError> {
    match fixup.kind {
        elf::R_AARCH64_NONE => Ok(()),
        elf::R_AARCH64_ABS64 => put(memory, fixup.at, &fixup.target.to_le_bytes()),
        elf::R_AARCH64_PREL64 => put(memory, fixup.at, &fixup.distance().to_le_bytes()),
        elf::R_AARCH64_PREL32 => {
            let distance = fixup.fit(fixup.distance(), 32)? as i32;
            put(memory, fixup.at, &distance.to_le_bytes())
        }
        elf::R_AARCH64_ABS32 => {
            let address = u32::try_from(fixup.target).map_err(|_| fixup.out_of_range())?;
            put(memory, fixup.at, &address.to_le_bytes())
        }
        elf::R_AARCH64_CALL26 | elf::R_AARCH64_JUMP26 => branch(memory, fixup, IMM26),
        elf::R_AARCH64_CONDBR19 | elf::R_AARCH64_LD_PREL_LO19 => branch(memory, fixup, IMM19),
        elf::R_AARCH64_TSTBR14 => branch(memory, fixup, IMM14),
        elf::R_AARCH64_ADR_PREL_LO21 => {
            let distance = fixup.fit(fixup.distance(), 21)?;
            split_immediate(memory, fixup.at, distance)
        }
        elf::R_AARCH64_ADR_PREL_PG_HI21 | elf::R_AARCH64_ADR_GOT_PAGE => {
            let page = |address: u64| (address & !0xfff) as i64;
            let distance = page(fixup.target).wrapping_sub(page(fixup.position));
            let pages = fixup.fit(distance >> 12, 21)?;
            split_immediate(memory, fixup.at, pages)
        }
        elf::R_AARCH64_ADD_ABS_LO12_NC | elf::R_AARCH64_LDST8_ABS_LO12_NC => {
            low_bits(memory, fixup, 0)
        }
        elf::R_AARCH64_LDST16_ABS_LO12_NC => low_bits(memory, fixup, 1),
        elf::R_AARCH64_LDST32_ABS_LO12_NC => low_bits(memory, fixup, 2),
        elf::R_AARCH64_LDST64_ABS_LO12_NC | elf::R_AARCH64_LD64_GOT_LO12_NC => {
            low_bits(memory, fixup, 3)
        }
        elf::R_AARCH64_LDST128_ABS_LO12_NC => low_bits(memory, fixup, 4),
        kind => Err(LoadError::UnknownRelocation { kind }),
    }
}

fn word_at(memory: &[u8], at: u64) -> Result<u32, LoadError> {
    let at = at as usize;
    let bytes = at.checked_add(4).and_then(|end| memory.get(at..end));
    match bytes {
        Some(&[a, b, c, d]) => Ok(u32::from_le_bytes([a, b, c, d])),
        _ => Err(LoadError::malformed("a relocation outside the image")),
    }
}

fn set_field(memory: &mut [u8], at: u64, field: Field, value: u32) -> Result<(), LoadError> {
    let mask = (1u32 << field.width) - 1;
    let word = word_at(memory, at)? & !(mask << field.low);
    let word = word | ((value & mask) << field.low);
    put(memory, at, &word.to_le_bytes())
}

/// A distance in instructions.
fn branch(memory: &mut [u8], fixup: &Fixup, field: Field) -> Result<(), LoadError> {
    if fixup.distance() % 4 != 0 {
        return Err(fixup.out_of_range());
    }
    let words = fixup.fit(fixup.distance() / 4, field.width)?;
    set_field(memory, fixup.at, field, words as u32)
}

/// The immediate of `adr` and `adrp`: two low bits apart from the rest.
fn split_immediate(memory: &mut [u8], at: u64, value: i64) -> Result<(), LoadError> {
    set_field(memory, at, Field { low: 29, width: 2 }, value as u32)?;
    set_field(memory, at, IMM19, (value >> 2) as u32)
}

/// The offset within a page, scaled by the access size.
fn low_bits(memory: &mut [u8], fixup: &Fixup, scale: u32) -> Result<(), LoadError> {
    let offset = (fixup.target & 0xfff) as u32;
    if offset & ((1 << scale) - 1) != 0 {
        return Err(fixup.out_of_range());
    }
    set_field(memory, fixup.at, IMM12, offset >> scale)
}

/// Writes the lines back and drops stale instructions, as the architecture manual prescribes.
#[cfg(target_arch = "aarch64")]
pub(crate) fn flush_aarch64(memory: &[u8]) {
    use std::arch::asm;
    // The smallest line that the architecture allows: more steps than needed do no harm.
    const LINE: usize = 16;
    // SAFETY: cache maintenance by address on memory that is mapped and readable; it changes no
    // data.
    unsafe {
        for line in memory.chunks(LINE) {
            asm!("dc cvau, {}", in(reg) line.as_ptr());
        }
        asm!("dsb ish");
        for line in memory.chunks(LINE) {
            asm!("ic ivau, {}", in(reg) line.as_ptr());
        }
        asm!("dsb ish", "isb");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(kind: u32, word: u32, position: u64, target: u64) -> Result<u32, LoadError> {
        let mut memory = [0u8; 12];
        memory[4..8].copy_from_slice(&word.to_le_bytes());
        let fixup = Fixup {
            kind,
            at: 4,
            position,
            target,
        };
        apply(Architecture::Aarch64, &mut memory, &fixup)?;
        assert_eq!(
            (memory[..4].to_vec(), memory[8..].to_vec()),
            (vec![0; 4], vec![0; 4])
        );
        word_at(&memory, 4)
    }

    /// Words as an assembler gives them for these instructions.
    #[test]
    fn aarch64_fields() {
        let cases = [
            // bl +0x1000, b -4
            (
                elf::R_AARCH64_CALL26,
                0x9400_0000,
                0x1000,
                0x2000,
                0x9400_0400,
            ),
            (
                elf::R_AARCH64_JUMP26,
                0x1400_0000,
                0x1004,
                0x1000,
                0x17ff_ffff,
            ),
            // b.eq +8, tbz x0, #0, -8
            (
                elf::R_AARCH64_CONDBR19,
                0x5400_0000,
                0x1000,
                0x1008,
                0x5400_0040,
            ),
            (
                elf::R_AARCH64_TSTBR14,
                0x3600_0000,
                0x1008,
                0x1000,
                0x3607_ffc0,
            ),
            // ldr q0, +16; adr x0, +5
            (
                elf::R_AARCH64_LD_PREL_LO19,
                0x9c00_0000,
                0x1000,
                0x1010,
                0x9c00_0080,
            ),
            (
                elf::R_AARCH64_ADR_PREL_LO21,
                0x1000_0000,
                0x1000,
                0x1005,
                0x3000_0020,
            ),
            // adrp x0, three pages on; one back
            (
                elf::R_AARCH64_ADR_PREL_PG_HI21,
                0x9000_0000,
                0x1ffc,
                0x4008,
                0xf000_0000,
            ),
            (
                elf::R_AARCH64_ADR_PREL_PG_HI21,
                0x9000_0000,
                0x2000,
                0x1fff,
                0xf0ff_ffe0,
            ),
            // add x0, x0, #0xff8; ldr q0, [x0, #0xff0]; ldr d0, [x0, #8]
            (
                elf::R_AARCH64_ADD_ABS_LO12_NC,
                0x9100_0000,
                0,
                0x5ff8,
                0x913f_e000,
            ),
            (
                elf::R_AARCH64_LDST128_ABS_LO12_NC,
                0x3dc0_0000,
                0,
                0x5ff0,
                0x3dc3_fc00,
            ),
            (
                elf::R_AARCH64_LDST64_ABS_LO12_NC,
                0xfd40_0000,
                0,
                0x5008,
                0xfd40_0400,
            ),
            (
                elf::R_AARCH64_LDST32_ABS_LO12_NC,
                0xbd40_0000,
                0,
                0x5008,
                0xbd40_0800,
            ),
            (
                elf::R_AARCH64_LDST16_ABS_LO12_NC,
                0x7d40_0000,
                0,
                0x5008,
                0x7d40_1000,
            ),
            (
                elf::R_AARCH64_LDST8_ABS_LO12_NC,
                0x3940_0000,
                0,
                0x5008,
                0x3940_2000,
            ),
            (elf::R_AARCH64_PREL32, 0, 0x1000, 0x0ff0, 0xffff_fff0),
            (elf::R_AARCH64_ABS32, 0, 0, 0xfeed_f00d, 0xfeed_f00d),
        ];
        for (kind, word, position, target, want) in cases {
            let got = patched(kind, word, position, target);
            assert_eq!(got, Ok(want), "type {kind}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let far = 1 << 40;
        for kind in [
            elf::R_AARCH64_CALL26,
            elf::R_AARCH64_CONDBR19,
            elf::R_AARCH64_TSTBR14,
            elf::R_AARCH64_ADR_PREL_LO21,
            elf::R_AARCH64_ADR_PREL_PG_HI21,
            elf::R_AARCH64_PREL32,
            elf::R_AARCH64_ABS32,
        ] {
            assert_eq!(
                patched(kind, 0, 0, far),
                Err(LoadError::OutOfRange { kind })
            );
        }
        let kind = elf::R_AARCH64_LDST128_ABS_LO12_NC;
        assert_eq!(patched(kind, 0, 0, 8), Err(LoadError::OutOfRange { kind }));
        let kind = elf::R_AARCH64_CALL26;
        assert_eq!(patched(kind, 0, 0, 2), Err(LoadError::OutOfRange { kind }));
        let kind = 0x7777;
        assert_eq!(
            patched(kind, 0, 0, 0),
            Err(LoadError::UnknownRelocation { kind })
        );
    }
}
