//! The corpus: files in `tests/corpus`, with many inputs each.
//!
//! In a file that ends in `.hex` each line is an input, in hex after an optional name; in any other file each line is one as
//! it stands. Lines that begin with `#` are comments.

use std::fs;
use std::path::Path;

/// All inputs of these files.
pub(super) fn read(files: &[&str]) -> Vec<Vec<u8>> {
    files.iter().flat_map(|file| read_one(file)).collect()
}

fn read_one(file: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let is_hex = path.extension().is_some_and(|extension| extension == "hex");
    let input = |line: &str| {
        let digits = line.rsplit(' ').next().unwrap_or_default();
        hex::decode(digits).unwrap_or_else(|error| panic!("{file}: {digits}: {error}"))
    };
    let inputs: Vec<_> = lines.map(|line| if is_hex { input(line) } else { line.into() }).collect();
    assert!(!inputs.is_empty(), "{file} has no inputs");
    inputs
}
