use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::ffi_stream::RecordBatchStreamReader;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};

use super::*;
use crate::dialect::json::Document;

const NO_LIMITS: Limits = Limits { rows: usize::MAX, bytes: usize::MAX };

fn add(table: &mut Table, text: &str) {
    table.add(Document::parse(text.as_bytes()).unwrap().root());
}

fn with_fields(fields: &[&str]) -> Table {
    let mut table = Table::new(Per::Uplink, NO_LIMITS);
    for fields in fields {
        add(&mut table, &format!(r#"{{"dev_id":"a","payload_fields":{fields}}}"#));
    }
    table
}

/// As another library gets it: over the C interface.
fn batches(rows: &Rows) -> Vec<RecordBatch> {
    RecordBatchStreamReader::try_new(rows.to_stream()).unwrap().map(Result::unwrap).collect()
}

/// The values of a column as text, and its kind.
fn column(rows: &Rows, name: &str) -> (Kind, Vec<String>) {
    let (index, (_, kind)) = rows.columns().enumerate().find(|(_, (known, _))| *known == name).unwrap();
    let mut values = Vec::new();
    for batch in batches(rows) {
        let array = batch.column_by_name(name).unwrap();
        assert_eq!(array.data_type(), &kind.data_type());
        assert_eq!(array.len(), batch.num_rows());
        for row in 0..array.len() {
            values.push(match kind {
                _ if array.is_null(row) || kind == Kind::Null => "-".to_owned(),
                Kind::Bool => array.as_boolean().value(row).to_string(),
                Kind::Int => array.as_primitive::<Int64Type>().value(row).to_string(),
                Kind::Float => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
                Kind::Text | Kind::Json => array.as_string::<i32>().value(row).to_owned(),
                Kind::Bytes => hex::encode(array.as_binary::<i32>().value(row)),
                Kind::Time => array.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
                Kind::Null => unreachable!(),
            });
        }
    }
    assert_eq!(rows.column(index).map(|piece| piece.len()).sum::<usize>(), rows.len());
    (kind, values)
}

#[track_caller]
fn settles(fields: &[&str], kind: Kind, values: &[&str]) {
    let mut table = with_fields(fields);
    let expected = (kind, values.iter().map(|&value| value.to_owned()).collect());
    assert_eq!(column(&table.rows(), "x"), expected);
    // The same, when all of it is closed.
    assert_eq!(column(&table.take(), "x"), expected);
}

#[test]
fn kinds_settle_on_what_holds_all_values() {
    settles(&[r#"{"x":1}"#, r#"{"y":1}"#, r#"{"x":-2}"#], Kind::Int, &["1", "-", "-2"]);
    settles(&[r#"{"x":1}"#, r#"{"x":2.5}"#, r#"{"x":3}"#], Kind::Float, &["1.0", "2.5", "3.0"]);
    settles(&[r#"{"x":null}"#, r#"{"x":true}"#, "{}"], Kind::Bool, &["-", "true", "-"]);
    settles(&[r#"{"x":null}"#], Kind::Null, &["-"]);
    settles(&[r#"{"x":"a\nb"}"#, r#"{"x":"c"}"#], Kind::Text, &["a\nb", "c"]);
    settles(&[r#"{"x":[1, 2]}"#], Kind::Json, &["[1, 2]"]);
    // Beyond 64 bits no digit is lost.
    settles(&[r#"{"x":1}"#, r#"{"x":18446744073709551616}"#], Kind::Json, &["1", "18446744073709551616"]);
}

#[test]
fn values_of_several_kinds_become_their_json() {
    let fields =
        [r#"{"x":1}"#, r#"{"x":0.5}"#, r#"{"x":NaN}"#, r#"{"x":"a\n\"b\""}"#, r#"{"x":true}"#, r#"{"x":[null]}"#];
    settles(&fields, Kind::Json, &["1", "0.5", "NaN", "\"a\\n\\\"b\\\"\"", "true", "[null]"]);
    settles(&[r#"{"x":"a\nü"}"#, r#"{"x":false}"#], Kind::Json, &["\"a\\nü\"", "false"]);
    settles(&[r#"{"x":true}"#, r#"{"x":1}"#], Kind::Json, &["true", "1"]);
}

#[test]
fn fields_have_dotted_names_that_no_other_column_has() {
    let mut table = with_fields(&[
        r#"{"gps":{"lat":1},"time":2,"channel":3,"payload_fields":{"time":4},"other_fields":5,"gps.lat":6}"#,
        "[7]",
    ]);
    let rows = table.rows();
    let names: Vec<_> = rows.columns().map(|(name, _)| name).skip(22).collect();
    let expected = [
        "gps.lat",
        "payload_fields.time",
        "payload_fields.channel",
        "payload_fields.payload_fields.time",
        "payload_fields.other_fields",
        "payload_fields",
    ];
    assert_eq!(names, expected);
    // Of what has one name the last counts.
    assert_eq!(column(&rows, "gps.lat").1, ["6", "-"]);
    assert_eq!(column(&rows, "payload_fields.time").1, ["2", "-"]);
    assert_eq!(column(&rows, "payload_fields").1, ["-", "[7]"]);
}

#[test]
fn names_are_bounded_and_nothing_is_lost_of_others() {
    let many: Vec<_> = (0..1001).map(|n| format!("\"n{n}\":{n}")).collect();
    let mut table = with_fields(&[&format!("{{{}}}", many.join(","))]);
    add(&mut table, &format!(r#"{{"payload_fields":{{"{}":"é","a\u0000b":[1],"n0":2}}}}"#, "m".repeat(257)));
    let rows = table.rows();
    assert_eq!(rows.columns().count(), 22 + 1000 + 1);
    let rest = format!(r#"{{"{}":"é","a\u0000b":[1]}}"#, "m".repeat(257));
    assert_eq!(column(&rows, "other_fields"), (Kind::Json, vec![r#"{"n1000":1000}"#.to_owned(), rest]));
    assert_eq!(column(&rows, "n0").1, ["0", "2"]);
    assert!(rows.to_schema().is_ok());
}

const HEARD: &str = r#"{"app_id":"app","dev_id":"a","hardware_serial":"0102030405060708","port":2,"counter":7,"is_retry":true,
    "payload_raw":"AQI=","metadata":{"time":"2026-11-27T00:00:00.123456789Z","frequency":868.1,"airtime":56576000,"gateways":[
    {"gtw_id":"one","rssi":-100,"snr":5,"channel":1,"time":""},
    {"eui":"B827","rssi":-90.5,"snr":-2.5,"channel":2,"time":"2026-11-27T00:00:00Z"},{"gtw_id":"three"}]}}"#;

#[test]
fn a_row_is_an_uplink_with_the_gateway_that_heard_it_best() {
    let mut table = Table::new(Per::Uplink, NO_LIMITS);
    add(&mut table, HEARD);
    let rows = table.rows();
    for (name, value) in [
        ("time", "1795737600123456"),
        ("dev_id", "a"),
        ("counter", "7"),
        ("is_retry", "true"),
        ("confirmed", "-"),
        ("payload", "0102"),
        ("frequency", "868.1"),
        ("airtime", "56576000"),
        ("gateways", "3"),
        ("gateway", "B827"),
        ("rssi", "-90.5"),
        ("snr", "-2.5"),
    ] {
        assert_eq!(column(&rows, name).1, [value], "{name}");
    }
    assert!(rows.columns().all(|(name, _)| name != "channel"));
}

#[test]
fn a_row_for_each_gateway_on_request() {
    let mut table = Table::new(Per::Gateway, NO_LIMITS);
    add(&mut table, HEARD);
    add(&mut table, r#"{"dev_id":"b","payload_fields":{"x":1}}"#);
    let rows = table.rows();
    assert_eq!(column(&rows, "dev_id").1, ["a", "a", "a", "b"]);
    assert_eq!(column(&rows, "gateway").1, ["one", "B827", "three", "-"]);
    assert_eq!(column(&rows, "rssi").1, ["-100.0", "-90.5", "-", "-"]);
    assert_eq!(column(&rows, "channel").1, ["1", "2", "-", "-"]);
    assert_eq!(column(&rows, "gateway_time").1, ["-", "1795737600000000", "-", "-"]);
    assert_eq!(column(&rows, "x").1, ["-", "-", "-", "1"]);
}

#[test]
fn what_a_column_cannot_hold_is_null_and_counted() {
    let mut table = Table::new(Per::Uplink, NO_LIMITS);
    add(&mut table, r#"{"dev_id":7,"port":"x","counter":1.5,"confirmed":0,"payload_raw":"?","metadata":{"time":7}}"#);
    assert_eq!(table.unreadable(), 6);
    for name in ["dev_id", "port", "counter", "confirmed", "payload", "time"] {
        assert_eq!(column(&table.rows(), name).1, ["-"], "{name}");
    }
}

#[test]
fn the_oldest_rows_make_room() {
    let mut table = Table::new(Per::Uplink, Limits { rows: 10, bytes: usize::MAX });
    for counter in 0..25_u32 {
        add(&mut table, &format!(r#"{{"counter":{counter}}}"#));
        let expected: Vec<_> = (counter.saturating_sub(9)..=counter).map(|counter| counter.to_string()).collect();
        assert_eq!(column(&table.rows(), "counter").1, expected);
    }
    assert_eq!((table.len(), table.dropped()), (10, 15));
    assert_eq!(table.take().len(), 10);
    assert_eq!((table.len(), table.bytes()), (0, 0));
}

#[test]
fn memory_is_bounded_whatever_the_rows_are() {
    let limit = 1 << 20;
    let mut table = Table::new(Per::Uplink, Limits { rows: usize::MAX, bytes: limit });
    let long = "x".repeat(5000);
    for n in 0..2000 {
        add(&mut table, &format!(r#"{{"dev_id":"a","payload_fields":{{"x":"{long}","n{n}":[{n}]}}}}"#));
        assert!(table.bytes() <= limit, "{} bytes", table.bytes());
    }
    assert!(table.len() > 50 && table.dropped() > 0);
    assert_eq!(table.len() as u64 + table.dropped(), 2000);
}

#[test]
fn rows_stay_as_they_were_and_closed_ones_are_shared() {
    let mut table = with_fields(&[r#"{"x":1}"#]);
    let before = table.rows();
    table.close();
    add(&mut table, r#"{"payload_fields":{"x":2.5,"y":3}}"#);
    let after = table.rows();
    assert_eq!(column(&before, "x"), (Kind::Int, vec!["1".to_owned()]));
    assert_eq!(column(&after, "x"), (Kind::Float, vec!["1.0".to_owned(), "2.5".to_owned()]));
    let address = |rows: &Rows| batches(rows)[0].column_by_name("dev_id").unwrap().as_string::<i32>().values().as_ptr();
    assert_eq!(address(&table.rows()), address(&after));
}

#[test]
fn columns_stay_when_rows_are_taken() {
    let mut table = with_fields(&[r#"{"x":1.5}"#]);
    assert_eq!(table.take().len(), 1);
    let rows = table.rows();
    assert!(rows.is_empty() && batches(&rows).is_empty());
    assert!(rows.columns().any(|column| column == ("x", Kind::Float)));
    add(&mut table, r#"{"payload_fields":{"x":2}}"#);
    assert_eq!(column(&table.rows(), "x").1, ["2.0"]);
}
