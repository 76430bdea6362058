//! Runs a reader on many inputs: those of a corpus in `tests/corpus`, and what a seeded hand makes of them.
//!
//! A target is a test beside the code that it tries. The same inputs are made at each run, a bounded number of them;
//! `CONTRIBUTING.md` says how to make others and more.

mod corpus;
mod mutation;
mod shape;

use std::any::Any;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use self::mutation::Mutations;
pub(crate) use self::shape::Shape;

/// How long one input may take: a reader that takes longer is caught in a loop.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is tried.
pub(crate) struct Target {
    /// Names it to who reads of a failure, and gives it inputs of its own.
    pub(crate) name: &'static str,
    /// Files of the corpus.
    pub(crate) corpus: &'static [&'static str],
    /// What inputs consist of.
    pub(crate) shape: Shape,
    /// What stands in such inputs, to be put in anywhere.
    pub(crate) words: &'static [&'static [u8]],
    /// How many inputs are made of the corpus.
    pub(crate) inputs: usize,
    /// Most memory in use at once while an input is read: so much, and so much for each of its bytes.
    pub(crate) memory: (usize, usize),
}

/// Files of protobuf.
pub(crate) const PROTOBUF: &[&str] = &["protobuf/messages.hex"];
/// Files of JSON.
pub(crate) const JSON: &[&str] =
    &["json/values.lines", "json/thingsboard.lines", "json/lorawan.lines", "json/v3.lines", "json/bytes.hex"];
/// What stands in JSON, and at its borders.
pub(crate) const JSON_WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"\\ude00",
    b"-",
    b".",
    b"e",
    b"E+",
    b"0",
    b"1e400",
    b"18446744073709551616",
    b"true",
    b"null",
    b"NaN",
    b"-Infinity",
    b" ",
    b"\n",
    b"\x01",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"{\"a\":",
    b"'",
    b"//",
    b"/*",
    b"*/",
    b"#",
    b"=>",
    b";",
];

/// What the readers need by themselves, whatever they read.
pub(crate) const BASE: usize = 256 << 10;

/// A check is a reader with what is expected of it, which is told by a panic. The randomness it gets is the input's own:
/// the input alone makes a failure happen again.
impl Target {
    /// Try all inputs.
    pub(crate) fn run(&self, check: impl Fn(&[u8], &mut Rng) + Send + 'static) {
        self.run_on(|| (), move |(), input, rng| check(input, rng));
    }

    /// Try all inputs, each on something that is made for it and does not count as its memory.
    pub(crate) fn run_on<T>(
        &self,
        make: impl Fn() -> T + Send + 'static,
        check: impl Fn(T, &[u8], &mut Rng) + Send + 'static,
    ) {
        let seed = number("THINGSLINK_FUZZ_SEED").unwrap_or(0);
        let count = number("THINGSLINK_FUZZ_INPUTS").map_or(self.inputs, |count| usize::try_from(count).unwrap());
        let known = corpus::read(self.corpus);
        let mutations = Mutations::new(known.clone(), self.shape, self.words, seed ^ fingerprint(self.name.as_bytes()));
        let inputs = known.into_iter().chain(mutations.take(count));
        let memory = self.memory;
        let current = Arc::new(Mutex::new(Vec::new()));
        let (told, outcomes) = mpsc::channel();
        // By itself, so that a reader that does not end fails the test all the same.
        let reading = current.clone();
        let reader = move || {
            for input in inputs {
                reading.lock().unwrap().clone_from(&input);
                let outcome = attempt(make(), &check, &input, memory);
                let ends = outcome.is_err();
                if told.send(outcome).is_err() || ends {
                    return;
                }
            }
        };
        thread::Builder::new().name(self.name.to_owned()).spawn(reader).unwrap();
        loop {
            let wrong = match outcomes.recv_timeout(PATIENCE) {
                Ok(Ok(())) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(Err(wrong)) => wrong,
                Err(RecvTimeoutError::Timeout) => format!("it took longer than {PATIENCE:?}"),
            };
            let input = hex::encode(&*current.lock().unwrap());
            panic!(
                "{}, seed {seed}: {wrong}\nthe input, to be kept in tests/corpus/{}:\n{input}",
                self.name, self.corpus[0]
            );
        }
    }
}

fn attempt<T>(
    on: T,
    check: &impl Fn(T, &[u8], &mut Rng),
    input: &[u8],
    (base, each): (usize, usize),
) -> Result<(), String> {
    let mut outcome = Ok(());
    let used = memory_of(|| {
        let mut rng = Rng::with_seed(fingerprint(input));
        outcome = catch_unwind(AssertUnwindSafe(|| check(on, input, &mut rng))).map_err(|panic| words(&*panic));
    });
    outcome?;
    let most = (base + each * input.len()) as u64;
    if used > most { Err(format!("{used} bytes of memory for {} of input", input.len())) } else { Ok(()) }
}

/// Most bytes in use at once while something runs on this thread.
#[cfg(not(feature = "python"))]
pub(crate) fn memory_of(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).bytes_max
}

/// The extension module has an allocator already, which does not count.
#[cfg(feature = "python")]
pub(crate) fn memory_of(run: impl FnOnce()) -> u64 {
    run();
    0
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, and should be a number")))
}

/// The same number for the same bytes, on every machine: FNV-1a.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            name: "a target of these tests",
            corpus: &["json/values.lines"],
            shape: Shape::Bytes,
            words: &[b"needle"],
            inputs: 2000,
            memory: (1 << 10, 1),
        }
    }

    fn failure(target: &Target, check: impl Fn(&[u8], &mut Rng) + Send + 'static) -> String {
        words(&*catch_unwind(AssertUnwindSafe(|| target.run(check))).unwrap_err())
    }

    #[test]
    fn a_panic_is_told_with_its_input_and_seed() {
        let found = |input: &[u8], _: &mut Rng| assert!(!input.windows(6).any(|bytes| bytes == b"needle"), "found");
        let told = failure(&target(), found);
        assert!(told.starts_with("a target of these tests, seed ") && told.contains(": found\n"), "{told}");
        assert!(told.contains(&hex::encode("needle")), "{told}");
        assert_eq!(failure(&target(), found), told, "the same inputs are made at each run");
    }

    #[cfg(not(feature = "python"))]
    #[test]
    fn memory_beyond_the_bound_is_told() {
        let told = failure(&target(), |_, _| drop(std::hint::black_box(vec![0_u8; 1 << 20])));
        assert!(told.contains("1048576 bytes of memory for"), "{told}");
    }

    #[test]
    fn inputs_are_made_anew_and_differ() {
        let known = corpus::read(target().corpus);
        let make = |seed| Mutations::new(known.clone(), Shape::Bytes, &[], seed).take(50).collect::<Vec<_>>();
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        assert!(make(1).iter().filter(|input| known.contains(input)).count() < 10);
    }
}
