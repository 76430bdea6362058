//! Telemetry in all its forms (TB 1.3).

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::json::{Json, Misfit};
use super::values::kept;
use super::verdict::Verdict;
use crate::dialect::mqtt::code;

/// Values of one instant.
#[derive(Debug)]
pub(super) struct Entry {
    /// Milliseconds; none for the time at which it comes.
    ts: Option<i64>,
    values: Map<String, Value>,
}

impl Entry {
    pub(super) fn points(&self) -> usize {
        self.values.len()
    }

    /// As it is kept.
    pub(super) fn into_value(self) -> Value {
        json!({"ts": self.ts.unwrap_or_else(now_ms), "values": self.values})
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Read a message, a single entry or an array of them; otherwise what becomes of it.
pub(super) fn read(message: &Json) -> Result<Vec<Entry>, Verdict> {
    match message {
        Json::Array(entries) => entries.iter().map(entry).collect(),
        single => Ok(vec![entry(single)?]),
    }
}

fn entry(entry: &Json) -> Result<Entry, Verdict> {
    let Json::Object(members) = entry else { return Err(Verdict::Refused(code::PAYLOAD_FORMAT_INVALID)) };
    // Only both together are a time and its values.
    let (Some(ts), Some(values)) = (entry.get("ts"), entry.get("values")) else {
        return Ok(Entry { ts: None, values: kept(members) });
    };
    let ts = ts.integer().map_err(|misfit| match misfit {
        Misfit::Told => Verdict::Refused(code::PAYLOAD_FORMAT_INVALID),
        Misfit::Unexpected => Verdict::Fatal(code::SERVER_SHUTTING_DOWN),
    })?;
    let Json::Object(values) = values else { return Err(Verdict::Refused(code::PAYLOAD_FORMAT_INVALID)) };
    Ok(Entry { ts: Some(ts), values: kept(values) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_server_reads_them() {
        let ts = |text: &str| {
            let message = format!("{{\"ts\":{text},\"values\":{{\"a\":1}}}}");
            read(&Json::read(message.as_bytes()).unwrap()).map(|entries| entries[0].ts)
        };
        assert_eq!(ts("1700000000000.5"), Ok(Some(1_700_000_000_000)));
        assert_eq!(ts("\"-5\""), Ok(Some(-5)));
        for text in ["\"2023-01-01\"", "null", "true", "{}", "\"\"", "[null]"] {
            assert_eq!(ts(text), Err(Verdict::Fatal(139)), "{text}");
        }
        assert_eq!(ts("[]"), Err(Verdict::Refused(153)));
    }
}
