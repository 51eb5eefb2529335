//! What this CPU can run.
//!
//! What must hold: `supports` answers true only if every feature that the emitters use for the
//! target is there and enabled by the operating system; the list is that of the LLVM emitter's
//! feature string and of the C++ emitter's flags.

use ferroductor_ir::kernel::{Isa, Target};

/// The best target for this machine; `None` where we have no code generator for it.
pub fn host_target() -> Option<Target> {
    let isa = best_isa()?;
    let mut target = Target::of(isa);
    if isa == Isa::Avx512 {
        target.has_bf16 = has_bf16_products();
    }
    for (level, bytes) in caches() {
        match level {
            1 => target.l1_bytes = bytes,
            2 => target.l2_bytes = bytes,
            _ => {}
        }
        target.last_cache_bytes = bytes;
    }
    Some(target)
}

/// May code for this target run here?
pub fn supports(target: &Target) -> bool {
    has_isa(target.isa)
        && (!target.has_fma || has_fma())
        && (!target.has_f16c || has_f16c())
        && (!target.has_bf16 || has_bf16_products())
}

fn best_isa() -> Option<Isa> {
    // AVX2 targets of ours have fma and f16c; no CPU lacks them that has AVX2.
    [Isa::Avx512, Isa::Avx2, Isa::Sse42, Isa::Neon]
        .into_iter()
        .find(|isa| supports(&Target::of(*isa)))
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use super::Isa;
    use std::arch::is_x86_feature_detected as has;

    pub fn has_isa(isa: Isa) -> bool {
        let sse42 = has!("sse4.2") && has!("popcnt");
        let avx2 = sse42 && has!("avx2") && has!("bmi1") && has!("bmi2") && has!("lzcnt");
        match isa {
            Isa::Sse42 => sse42,
            Isa::Avx2 => avx2,
            Isa::Avx512 => {
                avx2 && has!("avx512f")
                    && has!("avx512bw")
                    && has!("avx512dq")
                    && has!("avx512vl")
                    && has!("avx512cd")
            }
            Isa::Neon => false,
        }
    }

    pub fn has_fma() -> bool {
        has!("fma")
    }

    pub fn has_f16c() -> bool {
        has!("f16c")
    }

    pub fn has_bf16_products() -> bool {
        has!("avx512bf16")
    }

    /// Level and bytes of each data cache that the CPU tells of, nearest first.
    pub fn caches() -> Vec<(u8, usize)> {
        use raw_cpuid::{CacheType, CpuId};
        let Some(parameters) = CpuId::new().get_cache_parameters() else {
            return Vec::new();
        };
        let holds_data = |kind| matches!(kind, CacheType::Data | CacheType::Unified);
        let mut caches: Vec<(u8, usize)> = parameters
            .filter(|cache| holds_data(cache.cache_type()))
            .map(|cache| {
                let ways = cache.associativity() * cache.physical_line_partitions();
                (
                    cache.level(),
                    ways * cache.coherency_line_size() * cache.sets(),
                )
            })
            .filter(|cache| cache.1 > 0)
            .collect();
        caches.sort_unstable();
        caches
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use super::Isa;

    pub fn has_isa(isa: Isa) -> bool {
        isa == Isa::Neon
    }

    /// Part of the base architecture.
    pub fn has_fma() -> bool {
        true
    }

    /// Conversions of half precision are part of the base architecture.
    pub fn has_f16c() -> bool {
        true
    }

    /// The instruction we mean rounds as AVX512_BF16's does; Arm's does not.
    pub fn has_bf16_products() -> bool {
        false
    }

    pub fn caches() -> Vec<(u8, usize)> {
        let size = |index: u32| {
            let folder = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
            let kind = std::fs::read_to_string(format!("{folder}/type")).ok()?;
            let level = std::fs::read_to_string(format!("{folder}/level")).ok()?;
            let text = std::fs::read_to_string(format!("{folder}/size")).ok()?;
            let kibibytes: usize = text.trim().strip_suffix('K')?.parse().ok()?;
            let level: u8 = level.trim().parse().ok()?;
            (kind.trim() != "Instruction").then_some((level, kibibytes << 10))
        };
        let mut caches: Vec<(u8, usize)> = (0..8).filter_map(size).collect();
        caches.sort_unstable();
        caches
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod arch {
    use super::Isa;

    pub fn has_isa(_: Isa) -> bool {
        false
    }
    pub fn has_fma() -> bool {
        false
    }
    pub fn has_f16c() -> bool {
        false
    }
    pub fn has_bf16_products() -> bool {
        false
    }
    pub fn caches() -> Vec<(u8, usize)> {
        Vec::new()
    }
}

use arch::{caches, has_bf16_products, has_f16c, has_fma, has_isa};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_supports_its_own_target_and_no_foreign_one() {
        let target = host_target().expect("tests run on x86-64 or AArch64");
        assert!(supports(&target));
        assert!((8 << 10..1 << 20).contains(&target.l1_bytes), "{target:?}");
        assert!(
            (64 << 10..256 << 20).contains(&target.l2_bytes),
            "{target:?}"
        );
        let foreign = if target.isa == Isa::Neon {
            Isa::Avx2
        } else {
            Isa::Neon
        };
        assert!(!supports(&Target::of(foreign)));
    }
}
