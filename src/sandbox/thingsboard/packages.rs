//! Packages in pieces: firmware and software (TB 1.5).

use bytes::Bytes;

use super::state::State;
use super::verdict::Verdict;
use crate::dialect::mqtt::code;
use crate::dialect::thingsboard::{Package, names};

/// Largest piece that may be asked for.
const LARGEST_PIECE: usize = 65_536;

/// The kinds of packages, with the topics of requests for their pieces and of the answers.
const PACKAGES: [(Package, &str, &str); 2] = [
    (Package::Firmware, names::FIRMWARE_REQUEST, names::FIRMWARE_RESPONSE),
    (Package::Software, names::SOFTWARE_REQUEST, names::SOFTWARE_RESPONSE),
];

/// A request for a piece; `None` if the topic is not for one.
pub(super) fn take(state: &mut State, serial: u64, device: &str, topic: &str, payload: &[u8]) -> Option<Verdict> {
    PACKAGES.into_iter().find_map(|(package, request, response)| {
        let (number, piece) = topic.strip_prefix(request)?.split_once("/chunk/")?;
        let answered = send(state, serial, device, (package, response), (number, piece), payload);
        Some(answered.unwrap_or_else(|verdict| verdict))
    })
}

/// Send a piece. What is refused is told on the topic for firmware, whatever it is, and ends the session.
fn send(
    state: &mut State,
    serial: u64,
    device: &str,
    (package, response): (Package, &str),
    (number, piece): (&str, &str),
    payload: &[u8],
) -> Result<Verdict, Verdict> {
    let failed = Verdict::Fatal(code::SERVER_SHUTTING_DOWN);
    let known = state.devices.get_mut(device).ok_or(Verdict::Unanswered)?;
    let member = state.members.get(&serial).ok_or(Verdict::Unanswered)?;
    let refuse = |text: &'static str| {
        member.push(names::FIRMWARE_ERROR, text);
        Verdict::Fatal(code::IMPLEMENTATION_SPECIFIC)
    };
    let index: usize = piece.parse().map_err(|_| failed)?;
    if !payload.is_empty() {
        let asked = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok()).ok_or(failed)?;
        if asked > LARGEST_PIECE {
            return Err(refuse("PAYLOAD_TOO_LARGE"));
        }
        if asked > 0 {
            known.chunk_sizes.insert(number.to_owned(), asked);
        }
    }
    let data = known.packages.get(&package).filter(|data| !data.is_empty()).ok_or_else(|| refuse("NOT_FOUND"))?;
    let size = known.chunk_sizes.get(number).copied().unwrap_or(data.len());
    // After the end there is an empty piece.
    let begin = index.saturating_mul(size).min(data.len());
    let end = begin.saturating_add(size).min(data.len());
    member.push(&format!("{response}{number}/chunk/{piece}"), Bytes::copy_from_slice(&data[begin..end]));
    Ok(Verdict::Taken)
}
