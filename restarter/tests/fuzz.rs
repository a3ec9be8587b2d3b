//! The properties of `properties/`, driven on stable Rust: seeds are mutated for as many executions as
//! `PP_FUZZ` says. The long run: `PP_FUZZ=100000000 cargo test --release -p pp-restarter --test fuzz`.
//! `fuzz/` has the same as coverage-guided targets for `cargo fuzz`, which needs nightly Rust.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops where it is wrong"
)]

mod properties;

use std::path::Path;

/// Executions of each property unless `PP_FUZZ` says otherwise: about a second.
const SHORT: u64 = 50_000;

/// xorshift64*: the same run every time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(name);
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// Puts together, cuts, repeats and overwrites what the seeds are made of.
fn mutate(random: &mut Random, seeds: &[Vec<u8>], out: &mut Vec<u8>) {
    const ODD: &[u8] = &[
        0, 1, 2, 0x0a, 0x22, 0x5b, 0x5d, 0x7f, 0x80, 0xc3, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
    ];
    out.clone_from(&seeds[random.below(seeds.len())]);
    for _ in 0..=random.below(6) {
        let at = random.below(out.len() + 1);
        match random.below(6) {
            0 => out.truncate(at),
            1 => out.insert(at, ODD[random.below(ODD.len())]),
            2 if at < out.len() => out[at] = ODD[random.below(ODD.len())],
            3 if at < out.len() => out[at] ^= 1 << random.below(8),
            4 if at < out.len() => drop(out.remove(at)),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let to = from + random.below(other.len() - from + 1);
                out.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    out.truncate(4096);
}

fn drive(name: &str, slower: u64, property: fn(&[u8])) {
    let asked = std::env::var("PP_FUZZ").ok().and_then(|n| n.parse().ok());
    let executions = asked.unwrap_or(SHORT) / slower;
    let (seeds, mut random, mut bytes) = (seeds(name), Random(0x5eed), Vec::new());
    seeds.iter().for_each(|seed| property(seed));
    for _ in 0..executions {
        mutate(&mut random, &seeds, &mut bytes);
        property(&bytes);
    }
    println!("{name}: {executions} executions");
}

#[test]
fn rule_13_any_bytes_on_a_connection_are_a_request_or_refused() {
    drive("frames", 1, properties::frames);
}

#[test]
fn rule_7_any_bytes_are_a_unit_name_or_refused() {
    drive("units", 1, properties::units);
}

#[test]
fn rule_9_any_bytes_are_a_policy_or_refused_with_a_place() {
    drive("policy", 10, properties::policy);
}
