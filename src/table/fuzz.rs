//! Whatever stands in an uplink becomes rows that others can read.

use arrow_array::ffi_stream::RecordBatchStreamReader;

use super::{Limits, Per, Table};
use crate::dialect::json::Document;
use crate::dialect::lorawan::{Network, Part};
use crate::fuzz::{BASE, JSON, Shape, Target};

/// What a table may hold here.
const LIMITS: Limits = Limits { rows: 1000, bytes: 1 << 20 };

#[test]
fn any_uplink_becomes_rows() {
    let words: &[&[u8]] = &[
        b"\"payload_fields\":",
        b"\"payload_raw\":",
        b"\"metadata\":{\"gateways\":[",
        b"{\"rssi\":",
        b"{\"known\":",
        b"\"known.deep\":",
        b"\"time\":",
        b"\"2019-05-14T06:31:07.482913345Z\"",
        b"-009999-01-02T01:59:59Z",
        b"9223372036854775808",
        b"1e999",
        b"NaN",
        b"\\u0000",
        b"\\ud800",
    ];
    // Each name makes a column, of which there are at most a thousand.
    let memory = (BASE + 8 * LIMITS.bytes, 1024);
    Target { name: "table", corpus: JSON, shape: Shape::Bytes, words, inputs: 2000, memory }.run(|bytes, _| {
        for per in [Per::Uplink, Per::Gateway] {
            read(per, bytes);
        }
    });
}

fn read(per: Per, bytes: &[u8]) {
    let Ok(document) = Document::parse(bytes) else { return };
    let shaped = Network::V3.in_v2_shape(Part::Uplink, document.root()).unwrap_or_default();
    let known = r#"{"dev_id":"a","payload_fields":{"known":{"deep":1},"n0":2.5}}"#.to_owned();
    let mut table = Table::new(per, LIMITS);
    let texts = [known.as_bytes(), bytes, shaped.as_bytes(), known.as_bytes()];
    for text in texts {
        table.add(Document::parse(text).unwrap().root());
    }
    let rows = table.rows();
    let mut count = 0;
    for batch in RecordBatchStreamReader::try_new(rows.to_stream()).unwrap() {
        let batch = batch.unwrap();
        for column in batch.columns() {
            column.to_data().validate_full().unwrap();
        }
        count += batch.num_rows();
    }
    assert_eq!((count, table.len()), (rows.len(), rows.len()));
    assert!(count > 0 && count <= LIMITS.rows && table.bytes() <= LIMITS.bytes, "{count} rows");
    assert_eq!(table.take().len(), count);
}
