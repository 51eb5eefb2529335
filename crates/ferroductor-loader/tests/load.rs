//! Objects made by hand: what is loaded runs, what is not sound is refused, and memory is never
//! writable and executable at once.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use ferroductor_loader::{LoadError, LoadedObject};
use object::write::{Object, Relocation, StandardSection, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SymbolFlags, SymbolKind, SymbolScope,
    elf,
};

struct Fixture {
    object: Object<'static>,
}

impl Fixture {
    fn new(architecture: Architecture) -> Fixture {
        let object = Object::new(BinaryFormat::Elf, architecture, Endianness::Little);
        Fixture { object }
    }

    fn symbol(&mut self, name: &str, kind: SymbolKind, section: SymbolSection) -> SymbolId {
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind,
            scope: SymbolScope::Dynamic,
            weak: false,
            section,
            flags: SymbolFlags::None,
        })
    }

    /// Adds code that has its one relocation at `at`.
    fn function(&mut self, name: &str, code: &[u8], relocation: Option<(u64, u32, SymbolId, i64)>) {
        let text = self.object.section_id(StandardSection::Text);
        let id = self.symbol(name, SymbolKind::Text, SymbolSection::Undefined);
        let start = self.object.add_symbol_data(id, text, code, 16);
        if let Some((at, r_type, symbol, addend)) = relocation {
            let relocation = Relocation {
                offset: start + at,
                symbol,
                addend,
                flags: RelocationFlags::Elf { r_type },
            };
            self.object.add_relocation(text, relocation).unwrap();
        }
    }

    fn data(&mut self, name: &str, bytes: &[u8]) -> SymbolId {
        let section = self.object.section_id(StandardSection::ReadOnlyData);
        let id = self.symbol(name, SymbolKind::Data, SymbolSection::Undefined);
        self.object.add_symbol_data(id, section, bytes, 64);
        id
    }

    fn bytes(&self) -> Vec<u8> {
        self.object.write().unwrap()
    }
}

/// `mov eax, 7; ret`
const SEVEN: [u8; 6] = [0xb8, 7, 0, 0, 0, 0xc3];
/// `mov eax, [rip + …]; ret`, relocated at 2
const LOAD: [u8; 7] = [0x8b, 0x05, 0, 0, 0, 0, 0xc3];
/// `mov rax, [rip + …]; mov eax, [rax]; ret`, relocated at 3
const LOAD_BY_TABLE: [u8; 10] = [0x48, 0x8b, 0x05, 0, 0, 0, 0, 0x8b, 0x00, 0xc3];
/// `call …; inc eax; ret`, relocated at 1
const CALL: [u8; 8] = [0xe8, 0, 0, 0, 0, 0xff, 0xc0, 0xc3];

fn run(object: &LoadedObject, symbol: &str) -> u32 {
    let function = object.get(symbol).expect("the symbol is defined");
    // SAFETY: the fixtures' code takes no argument and touches only its own constants.
    unsafe {
        function(
            std::ptr::null(),
            std::ptr::null(),
            std::ptr::null_mut(),
            0,
            0,
        )
    }
}

#[test]
fn relocated_code_runs() {
    let mut fixture = Fixture::new(Architecture::X86_64);
    let answer = fixture.data("answer", &42u32.to_le_bytes());
    fixture.function("seven", &SEVEN, None);
    fixture.function("plain", &LOAD, Some((2, elf::R_X86_64_PC32, answer, -4)));
    for (name, kind) in [
        ("table", elf::R_X86_64_GOTPCREL),
        ("table_x", elf::R_X86_64_REX_GOTPCRELX),
    ] {
        fixture.function(name, &LOAD_BY_TABLE, Some((3, kind, answer, -4)));
    }
    let seven = fixture.object.symbol_id(b"seven").unwrap();
    fixture.function("eight", &CALL, Some((1, elf::R_X86_64_PLT32, seven, -4)));
    // `movabs rax, …; mov eax, [rax]; ret`
    let absolute = [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0x8b, 0x00, 0xc3];
    fixture.function(
        "absolute",
        &absolute,
        Some((2, elf::R_X86_64_64, answer, 0)),
    );

    let object = LoadedObject::load(&fixture.bytes()).unwrap();
    assert_eq!(run(&object, "seven"), 7);
    assert_eq!(run(&object, "eight"), 8);
    for name in ["plain", "table", "table_x", "absolute"] {
        assert_eq!(run(&object, name), 42, "{name}");
    }
    assert!(object.get("answer").is_none(), "data is no kernel");
    assert!(object.get("missing").is_none());
    assert_eq!(object.symbols().count(), 6);
}

#[test]
fn undefined_symbols_and_unknown_relocations_are_refused() {
    let mut fixture = Fixture::new(Architecture::X86_64);
    let expf = fixture.symbol("expf", SymbolKind::Unknown, SymbolSection::Undefined);
    fixture.function("k", &CALL, Some((1, elf::R_X86_64_PLT32, expf, -4)));
    let error = LoadedObject::load(&fixture.bytes()).err();
    assert_eq!(error, Some(LoadError::UndefinedSymbol("expf".into())));

    for (kind, want) in [
        (
            elf::R_X86_64_TLSGD,
            LoadError::UnknownRelocation {
                kind: elf::R_X86_64_TLSGD,
            },
        ),
        // The image lies far above four gigabytes.
        (
            elf::R_X86_64_32,
            LoadError::OutOfRange {
                kind: elf::R_X86_64_32,
            },
        ),
        (
            elf::R_X86_64_32S,
            LoadError::OutOfRange {
                kind: elf::R_X86_64_32S,
            },
        ),
    ] {
        let mut fixture = Fixture::new(Architecture::X86_64);
        let data = fixture.data("d", &[0; 8]);
        fixture.function("k", &LOAD, Some((2, kind, data, 0)));
        assert_eq!(LoadedObject::load(&fixture.bytes()).err(), Some(want));
    }
}

#[test]
fn other_architectures_are_refused() {
    for architecture in [Architecture::Aarch64, Architecture::Riscv64] {
        let mut fixture = Fixture::new(architecture);
        fixture.function("k", &[0; 8], None);
        let error = LoadedObject::load(&fixture.bytes()).err();
        assert_eq!(error, Some(LoadError::WrongArchitecture));
    }
}

/// The permissions of the mapping around an address, as the kernel lists them.
fn permissions(address: usize) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let parse = |text| usize::from_str_radix(text, 16).ok();
        (parse(start)?..parse(end)?)
            .contains(&address)
            .then(|| rest[..4].to_string())
    })
}

#[test]
fn memory_is_executable_and_not_writable_and_goes_with_its_owner() {
    let mut fixture = Fixture::new(Architecture::X86_64);
    fixture.function("k", &SEVEN, None);
    let object = LoadedObject::load(&fixture.bytes()).unwrap();
    let address = object.get("k").unwrap() as usize;
    assert_eq!(permissions(address).as_deref(), Some("r-xp"));
    drop(object);
    assert_ne!(permissions(address).as_deref(), Some("r-xp"));
}

/// Damaged objects: an error or code we do not run, never a panic.
#[test]
fn damaged_objects_do_not_panic() {
    let mut fixture = Fixture::new(Architecture::X86_64);
    let answer = fixture.data("answer", &42u32.to_le_bytes());
    fixture.function("plain", &LOAD, Some((2, elf::R_X86_64_PC32, answer, -4)));
    fixture.function(
        "table",
        &LOAD_BY_TABLE,
        Some((3, elf::R_X86_64_GOTPCREL, answer, -4)),
    );
    let sound = fixture.bytes();
    let mut refused = 0;
    for length in 0..sound.len() {
        refused += usize::from(LoadedObject::load(&sound[..length]).is_err());
    }
    assert!(refused > sound.len() / 2, "{refused} of {}", sound.len());
    for at in 0..sound.len() {
        for change in [1u8, 0x80, 0xff] {
            let mut damaged = sound.clone();
            damaged[at] ^= change;
            let _ = LoadedObject::load(&damaged);
        }
    }
    let error = LoadedObject::load(b"not an object").err();
    assert!(matches!(error, Some(LoadError::Malformed(_))), "{error:?}");
}
