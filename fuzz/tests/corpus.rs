//! Every target on every file of its corpus, on streams cut at every byte and in random pieces, and on what a few random changes make of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its seeds should stop")]

use proptest::{prelude::*, sample::Index};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};
use unigate_fuzz::{check, check_cuts, targets};

/// A file of a corpus: its target, its path, its bytes.
struct Seed {
    target: String,
    path: PathBuf,
    data: Vec<u8>,
}

/// All of them, read once.
static SEEDS: LazyLock<Vec<Seed>> = LazyLock::new(|| targets().iter().flat_map(seeds).collect());

/// The corpus of a target, and the fixtures that it can read.
fn seeds(target: &String) -> Vec<Seed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures = root.join("../tests/fixtures");
    let (mut paths, ends): (_, &[&str]) = match target.split_once('_') {
        Some(("stream", dialect)) => (files(&fixtures.join(dialect)), &["sse", "ndjson"]),
        Some(_) => (Vec::new(), &[]),
        None => (files(&fixtures), &[target]),
    };
    let end = |path: &Path| path.extension().is_some_and(|end| ends.iter().any(|e| end == *e));
    paths.retain(|path| end(path));
    paths.extend(files(&root.join("corpus").join(target)));
    let seed =
        |path: PathBuf| Seed { target: target.clone(), data: fs::read(&path).unwrap(), path };
    paths.into_iter().map(seed).collect()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            paths.extend(files(&path));
        } else {
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

/// Runs it so that a failure says which file it was.
fn of(seed: &Seed, run: impl FnOnce() + std::panic::UnwindSafe) {
    if std::panic::catch_unwind(run).is_err() {
        panic!("{} does not hold for {}", seed.target, seed.path.display());
    }
}

#[test]
fn every_file_of_every_corpus_holds() {
    for seed in &*SEEDS {
        of(seed, || check(&seed.target, &seed.data));
    }
}

#[test]
fn every_stream_holds_when_it_is_cut_at_every_byte_or_where_it_is_long_at_many() {
    for seed in &*SEEDS {
        let step = 1 + 2 * (seed.data.len() / 256);
        let cuts: Vec<_> = (0..=seed.data.len()).step_by(step).collect();
        of(seed, || check_cuts(&seed.target, &seed.data, &cuts));
    }
}

#[test]
fn every_target_has_a_program_and_seeds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let names: BTreeSet<_> = targets().into_iter().collect();
    for target in &names {
        let program = root.join(format!("fuzz_targets/{target}.rs"));
        let program = fs::read_to_string(&program).expect(target);
        assert!(program.contains(&format!("target!(\"{target}\")")), "{target}");
        assert!(manifest.contains(&format!("name = \"{target}\"\npath")), "[[bin]] {target}");
        assert!(!seeds(target).is_empty(), "{target} has no seeds");
    }
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let programs: BTreeSet<_> = files(&root.join("fuzz_targets")).into_iter().map(stem).collect();
    assert_eq!(programs, names, "a program without a target");
}

/// Some bytes of one seed replaced by some of another of the same target.
fn changed(seed: &Seed, changes: &[(Index, Index, Index, u8)]) -> Vec<u8> {
    let others: Vec<_> = SEEDS.iter().filter(|other| other.target == seed.target).collect();
    let mut data = seed.data.clone();
    for (at, from, other, length) in changes {
        let at = at.index(data.len() + 1);
        let end = (at + usize::from(length % 16)).min(data.len());
        let other = &others[other.index(others.len())].data;
        let from = from.index(other.len() + 1);
        let upto = (from + usize::from(length / 4)).min(other.len());
        data.splice(at..end, other[from..upto].iter().copied());
    }
    data
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_pieces_of_a_stream_give_the_same_events(
        which in any::<Index>(),
        cuts in prop::collection::vec(any::<usize>(), 1..12),
    ) {
        let streams: Vec<_> = SEEDS.iter().filter(|s| s.target.starts_with("stream_")).collect();
        let seed = streams[which.index(streams.len())];
        check_cuts(&seed.target, &seed.data, &cuts);
    }

    #[test]
    fn what_a_few_changes_make_of_a_seed_holds(
        which in any::<Index>(),
        changes in prop::collection::vec(any::<(Index, Index, Index, u8)>(), 1..6),
    ) {
        let seed = &SEEDS[which.index(SEEDS.len())];
        check(&seed.target, &changed(seed, &changes));
    }

    #[test]
    fn bytes_without_any_sense_hold(data in prop::collection::vec(any::<u8>(), 0..200)) {
        for target in targets() {
            check(&target, &data);
        }
    }
}
