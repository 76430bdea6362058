//! Whatever a server says of its limits, and of anything else.

use std::time::{Duration, Instant};

use super::{RateLimit, SessionLimits, Topic, count_points, names};
use crate::dialect::json::Document;
use crate::fuzz::{BASE, JSON, Shape, Target};

#[test]
fn any_limits_can_be_kept_to() {
    let words: &[&[u8]] = &[
        b"\"rateLimits\":",
        b"\"gatewayRateLimits\":",
        b"\"messages\":",
        b"\"telemetryMessages\":",
        b"\"telemetryDataPoints\":",
        b"\"maxPayloadSize\":",
        b"\"maxInflightMessages\":",
        b"\"10:1,300:60\"",
        b"0:",
        b":0",
        b":1",
        b",",
        b";",
        b" ",
        b"-1",
        b"1:",
        b"18446744073709551615",
        b"9223372036854775807",
        b"{\"ts\":1,\"values\":{",
        b"[{",
        b"v2/fw/response/1/chunk/2",
    ];
    let target = Target {
        name: "ThingsBoard, client",
        corpus: JSON,
        shape: Shape::Bytes,
        words,
        inputs: 4000,
        memory: (BASE, 512),
    };
    target.run(|bytes, rng| {
        if let Ok(text) = str::from_utf8(bytes) {
            let _topic = Topic::parse(text);
            keep_to(text, rng);
        }
        for topic in [names::TELEMETRY, names::GATEWAY_ATTRIBUTES] {
            assert!(count_points(topic, bytes) <= bytes.len());
        }
        let Some(limits) = Document::parse(bytes).ok().and_then(|document| SessionLimits::parse(&document)) else {
            return;
        };
        let percentage = rng.u64(1..=100);
        let mut kept = Vec::new();
        for texts in limits.own.iter().chain(&limits.devices) {
            for text in [&texts.messages, &texts.telemetry_messages, &texts.telemetry_points] {
                kept.push(keep_to(text, rng));
            }
        }
        let window = limits.window(&kept.iter().collect::<Vec<_>>(), percentage);
        assert!(window.is_none_or(|window| window > 0));
        let payload = limits.payload(percentage);
        assert!(
            payload.is_none_or(|payload| payload as u64 <= limits.payload_bytes),
            "{payload:?} of {}",
            limits.payload_bytes
        );
    });
}

/// Send for a while within a limit.
fn keep_to(text: &str, rng: &mut fastrand::Rng) -> RateLimit {
    let mut now = Instant::now();
    let (new, invalid) = RateLimit::parse(text, rng.u64(1..=100), now);
    assert!(invalid.iter().all(|part| text.contains(part.as_str())));
    let mut limit = RateLimit::parse("10:1", 80, now).0;
    limit.replace(new, now);
    for _ in 0..8 {
        let amount = f64::from(rng.u8(..30));
        match rng.u8(..6) {
            0 => limit.strain(now, Duration::from_secs(5)),
            1 => drop(limit.reach(now)),
            2 => drop(limit.exhausted(amount, now)),
            _ => {
                let wait = limit.time_to(amount, now);
                if let Some(longest) = limit.buckets.values().map(|bucket| bucket.duration).max() {
                    assert!(wait <= longest.max(Duration::from_secs(5)), "{wait:?} with {limit:?}");
                }
                now += Duration::from_millis(rng.u64(..2000));
                limit.deduct(amount, now);
            }
        }
    }
    limit
}
