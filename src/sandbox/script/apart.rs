//! Scripts in processes of their own: what does not end there ends with its process, which no thread can be made to do.
//!
//! Such a process runs one script after the other, as [`super::run`] does in this one, and ends as soon as a script has not.
//! Requests and answers are JSON after their length in four bytes.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::{AT_WORK, ATTEMPTS, GRACE, LIMIT, Outcome, TOO_LONG};
use crate::sync::Mutex;

/// How long such a process may take to begin; the machine may be busy.
const BEGINNING: Duration = Duration::from_secs(10);
/// Processes that wait for scripts at most.
const IDLE: usize = 2;
/// Bytes of a request or an answer at most: what the engine's memory comes to as JSON.
const LARGEST: usize = 128 << 20;

/// The program whose processes run scripts, and its arguments.
static PROGRAM: OnceLock<Vec<OsString>> = OnceLock::new();
/// It could not be begun, and is not tried again.
static IS_OF_NO_USE: AtomicBool = AtomicBool::new(false);
static WAITING: Mutex<Vec<Evaluator>> = Mutex::new(Vec::new());

/// Have scripts run by processes of this program, which has to call [`serve`]. Said once; what is said later changes nothing.
pub fn run_scripts_by(program: Vec<OsString>) {
    let _first = PROGRAM.set(program);
}

/// What a process says of a script, and whether it has ended with that.
type Answer = (Outcome, bool);

/// A process that runs scripts. It ends when this is dropped.
struct Evaluator {
    /// Whose it is: a forked child must leave it alone.
    owner: u32,
    process: Child,
    requests: ChildStdin,
    answers: Receiver<Vec<u8>>,
}

impl Drop for Evaluator {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            // It may have ended by itself, and somebody may have waited for all children.
            let _ended = self.process.kill();
            let _gone = self.process.wait();
        }
    }
}

impl Evaluator {
    fn begin(program: &[OsString]) -> io::Result<Self> {
        let (name, arguments) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Ctrl-C is for the program, which goes on with its scripts for as long as it likes.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut process = command.spawn()?;
        let (requests, mut told) = process.stdin.take().zip(process.stdout.take()).ok_or(io::ErrorKind::BrokenPipe)?;
        let (tell, answers) = channel();
        let hear = move || {
            while let Ok(answer) = read(&mut told) {
                if tell.send(answer).is_err() {
                    break;
                }
            }
        };
        let evaluator = Self { owner: std::process::id(), process, requests, answers };
        std::thread::Builder::new().name("thingslink-apart".into()).spawn(hear)?;
        match evaluator.answers.recv_timeout(BEGINNING) {
            Ok(_) => Ok(evaluator),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn ask(&mut self, request: &[u8]) -> Option<Answer> {
        // As long as the process may take by its own rules, and what a busy machine adds.
        #[expect(clippy::cast_possible_truncation, reason = "a few")]
        let longest = (LIMIT + GRACE) * (ATTEMPTS as u32 + 1) + Duration::from_secs(5);
        write(&mut self.requests, request).ok()?;
        match self.answers.recv_timeout(longest) {
            Ok(answer) => serde_json::from_slice(&answer).ok(),
            Err(RecvTimeoutError::Timeout) => Some((Err(TOO_LONG.to_owned()), true)),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }
}

/// As [`super::run`], in another process; `None` where none can be had.
pub(super) fn run(code: &str, expression: &str) -> Option<Outcome> {
    let program = PROGRAM.get().filter(|_| !IS_OF_NO_USE.load(Ordering::Relaxed))?;
    let request = serde_json::to_vec(&(code, expression)).ok()?;
    // One that waited may have been ended from outside.
    while let Some(waited) = take() {
        if let Some(outcome) = evaluate(waited, &request) {
            return Some(outcome);
        }
    }
    let begun = Evaluator::begin(program).inspect_err(|error| {
        IS_OF_NO_USE.store(true, Ordering::Relaxed);
        tracing::info!(%error, "payload functions run in this process: another one cannot be begun");
    });
    evaluate(begun.ok()?, &request)
}

/// One that waits.
fn take() -> Option<Evaluator> {
    loop {
        let waited = WAITING.lock().pop()?;
        if waited.owner == std::process::id() {
            return Some(waited);
        }
    }
}

/// Gives `None` where the process has ended in the middle.
fn evaluate(mut evaluator: Evaluator, request: &[u8]) -> Option<Outcome> {
    let (outcome, is_over) = evaluator.ask(request)?;
    let mut waiting = WAITING.lock();
    if !is_over && waiting.len() < IDLE {
        waiting.push(evaluator);
    }
    Some(outcome)
}

/// Run the scripts that come in, until there are no more, or one goes on after its end was told.
///
/// # Errors
/// What keeps from reading or answering.
pub fn serve(mut requests: impl Read, mut answers: impl Write) -> io::Result<()> {
    write(&mut answers, b"")?;
    loop {
        let request = match read(&mut requests) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            request => request?,
        };
        let (code, expression): (String, String) = serde_json::from_slice(&request)?;
        let outcome = super::run_here(&code, &expression);
        let is_over = AT_WORK.load(Ordering::Acquire) > 0;
        let answer: Answer = (outcome, is_over);
        write(&mut answers, &serde_json::to_vec(&answer)?)?;
        if is_over {
            return Ok(());
        }
    }
}

fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(body)
}

fn write(to: &mut impl Write, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).ok().filter(|length| *length as usize <= LARGEST);
    to.write_all(&length.ok_or(io::ErrorKind::InvalidData)?.to_be_bytes())?;
    to.write_all(body)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(scripts: &[(&str, &str)]) -> Vec<u8> {
        let mut requests = Vec::new();
        for script in scripts {
            write(&mut requests, &serde_json::to_vec(script).unwrap()).unwrap();
        }
        requests
    }

    fn answers(mut bytes: &[u8]) -> Vec<Answer> {
        assert_eq!(read(&mut bytes).unwrap(), b"", "it has begun");
        std::iter::from_fn(|| read(&mut bytes).ok()).map(|answer| serde_json::from_slice(&answer).unwrap()).collect()
    }

    #[test]
    fn scripts_are_run_one_after_the_other_as_here() {
        let scripts = [("var a = 1;", "a + 1"), ("throw new TypeError('x')", "1"), ("", "({é: [1.5, null]})")];
        let mut told = Vec::new();
        serve(&*asked(&scripts), &mut told).unwrap();
        let told = answers(&told);
        let here: Vec<_> = scripts.iter().map(|(code, expression)| super::super::run_here(code, expression)).collect();
        assert_eq!(told.into_iter().map(|(outcome, _)| outcome).collect::<Vec<_>>(), here);
    }

    #[test]
    fn what_is_no_request_ends_it() {
        assert!(serve(&b"\0\0\0\x02no"[..], Vec::new()).is_err());
        assert!(serve(&b"\xff\xff\xff\xff"[..], Vec::new()).is_err(), "longer than any");
        serve(&b"\0\0"[..], Vec::new()).unwrap();
    }
}
