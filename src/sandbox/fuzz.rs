//! What the targets of the sandbox share: payload functions, and a whole connection to a server, in memory.

use std::time::Duration;

use bytes::BytesMut;
use fastrand::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;

use super::listener::{Arrival, Socket};

/// Payload functions.
pub(super) const FUNCTIONS: &[&str] = &["javascript/functions.lines"];
/// What stands in them.
pub(super) const FUNCTION_WORDS: &[&[u8]] = &[
    b"function Decoder(b, p) { return { a: b }; }",
    b"function decodeUplink(input) { return { data: input }; }",
    b"while (true) ",
    b"'x'.repeat(100000)",
    b"new Array(4294967295)",
    b"new Uint8Array(99999)",
    b"eval('1')",
    b"new Function('')",
    b"globalThis.",
    b".constructor",
    b".__proto__ = ",
    b"try { ",
    b" } catch (e) {}",
    b"throw ",
    b"async ",
    b"await ",
    b"yield ",
    b"class A extends ",
    b"/(a|b)*$/u",
    b"${",
    b"`",
    b"...",
    b"=>",
    b"?.",
    b"2n ** 99n",
    b"\\u{10ffff}",
    b"\xff",
];

impl Socket for DuplexStream {
    fn has_unread(&self) -> bool {
        false
    }
}

/// Send bytes in pieces to what serves a connection; gives all that it answers until it has ended. The time is not real:
/// nothing waits, and what waits for ever is an hour late and fails.
pub(super) fn converse<F>(serve: impl FnOnce(DuplexStream, Arrival) -> F, bytes: &[u8], rng: &mut Rng) -> BytesMut
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let room = [rng.usize(1..9), rng.usize(64..4096)][rng.usize(..2)];
    let (bytes, mut rng) = (bytes.to_vec(), rng.fork());
    runtime.block_on(async move {
        let (client, server) = tokio::io::duplex(room);
        let (_running, stop) = watch::channel(false);
        let serving = tokio::spawn(serve(server, Arrival::new(stop)));
        let (mut reader, mut writer) = tokio::io::split(client);
        let writing = tokio::spawn(async move {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rng.usize(1..=rest.len()));
                rest = after;
                // The server may have hung up.
                if writer.write_all(piece).await.is_err() {
                    return;
                }
            }
            // What it answers to the last of them is heard, too.
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(writer.shutdown().await);
        });
        let mut answer = BytesMut::new();
        let all = async { while reader.read_buf(&mut answer).await.is_ok_and(|count| count > 0) {} };
        tokio::time::timeout(Duration::from_secs(3600), all).await.expect("the connection ends with its client");
        writing.await.unwrap();
        serving.await.expect("no panic in the server");
        answer
    })
}
