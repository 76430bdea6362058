//! Protobuf as the JSON that the server would have written: with `json = false` it sends the same messages in this form
//! (CS 3.3). Which fields there are stands in `schema.rs`; those that are not known there are passed over.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::super::base64;
use super::super::object::quoted;
use crate::dialect::json::ScanError;

/// What an event begins with: its first field, length-delimited. JSON begins with `{`.
pub(super) const FIRST: u8 = 0x0A;
/// How deep values of a codec may be nested.
const DEPTH: usize = 100;

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    /// In the order of the JSON text.
    pub(super) fields: &'static [Field],
    /// Whether what is zero is written.
    pub(super) zeros: bool,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// Its key in JSON.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Unsigned,
    Signed,
    Bool,
    Float,
    Double,
    Bytes,
    Time,
    Duration,
    /// By their numbers; the first is zero's.
    Enum(&'static [&'static str]),
    Message(&'static Message),
    List(&'static Message),
    /// From text to text.
    Map,
    /// `google.protobuf.Struct`.
    Struct,
}

/// A value as it stands on the wire.
#[derive(Clone, Copy, Debug)]
enum Wire<'a> {
    Number(u64),
    Eight([u8; 8]),
    Bytes(&'a [u8]),
    Four([u8; 4]),
}

type Result<T> = std::result::Result<T, ScanError>;

/// The JSON text of a message.
///
/// # Errors
/// [`ScanError`] for bytes that are none.
pub(super) fn transcribe(bytes: &[u8], message: &Message) -> Result<String> {
    let mut out = String::with_capacity(2 * bytes.len() + 256);
    write_message(bytes, message, &mut out)?;
    Ok(out)
}

fn wrong(reason: &'static str, at: usize) -> ScanError {
    ScanError { reason, at }
}

/// Bytes that are being read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(|| wrong("protobuf ends within a number", self.at))?;
            self.at += 1;
            // What is over 64 bits of the tenth byte is cut off, as protobuf's own readers do.
            number |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(wrong("a number of protobuf has more than ten bytes", self.at))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| wrong("protobuf ends within a field", self.at))?;
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N as u64)?;
        taken.try_into().map_err(|_| wrong("protobuf ends within a field", self.at))
    }

    /// The next field: its number and its value.
    fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let key = self.number()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| wrong("no field of protobuf has this number", start))?;
        let value = match key & 7 {
            0 => Wire::Number(self.number()?),
            1 => Wire::Eight(self.array()?),
            2 => {
                let length = self.number()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Four(self.array()?),
            _ => return Err(wrong("no field of protobuf has this type", start)),
        };
        Ok(Some((number, value)))
    }

    fn all(mut self) -> Result<Vec<(u32, Wire<'a>)>> {
        let mut all = Vec::new();
        while let Some(field) = self.field()? {
            all.push(field);
        }
        Ok(all)
    }
}

fn put_name(out: &mut String, open: usize, name: &str) {
    if out.len() > open {
        out.push(',');
    }
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
}

fn put_all<T>(
    out: &mut String,
    brackets: [char; 2],
    all: impl Iterator<Item = T>,
    mut each: impl FnMut(T, &mut String) -> Result<()>,
) -> Result<()> {
    out.push(brackets[0]);
    for (place, one) in all.enumerate() {
        out.push_str(if place > 0 { "," } else { "" });
        each(one, out)?;
    }
    out.push(brackets[1]);
    Ok(())
}

fn write_message(bytes: &[u8], message: &Message, out: &mut String) -> Result<()> {
    let values = Reader::new(bytes).all()?;
    out.push('{');
    let open = out.len();
    for field in message.fields {
        let mut own = values.iter().filter(|(number, _)| *number == field.number).map(|(_, value)| *value);
        match field.kind {
            Kind::List(element) => {
                let mut own = own.peekable();
                if own.peek().is_some() || message.zeros {
                    put_name(out, open, field.name);
                    put_all(out, ['[', ']'], own, |value, out| write_message(octets(value)?, element, out))?;
                }
            }
            Kind::Map => {
                let mut own = own.peekable();
                if own.peek().is_some() || message.zeros {
                    put_name(out, open, field.name);
                    put_all(out, ['{', '}'], own, |value, out| write_entry(octets(value)?, out))?;
                }
            }
            kind => match (own.next_back(), zero(kind).filter(|_| message.zeros)) {
                (Some(value), _) => {
                    put_name(out, open, field.name);
                    write_value(value, kind, out)?;
                }
                (None, Some(zero)) => {
                    put_name(out, open, field.name);
                    out.push_str(&zero);
                }
                (None, None) => {}
            },
        }
    }
    out.push('}');
    Ok(())
}

/// What stands for a value that is not there, of those that have such.
fn zero(kind: Kind) -> Option<String> {
    Some(match kind {
        Kind::Text | Kind::Bytes => "\"\"".to_owned(),
        Kind::Unsigned | Kind::Signed => "0".to_owned(),
        Kind::Bool => "false".to_owned(),
        Kind::Float | Kind::Double => "0.0".to_owned(),
        Kind::Enum(names) => quoted(names.first().copied().unwrap_or_default()),
        _ => return None,
    })
}

fn octets(value: Wire<'_>) -> Result<&[u8]> {
    match value {
        Wire::Bytes(bytes) => Ok(bytes),
        _ => Err(wrong("a field of protobuf has another type", 0)),
    }
}

fn string(value: Wire<'_>) -> Result<&str> {
    std::str::from_utf8(octets(value)?).map_err(|error| wrong("text is not UTF-8", error.valid_up_to()))
}

fn number(value: Wire<'_>) -> Result<u64> {
    match value {
        Wire::Number(number) => Ok(number),
        _ => Err(wrong("a field of protobuf has another type", 0)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of 32 bits are cut to them by protobuf's rules")]
fn write_value(value: Wire<'_>, kind: Kind, out: &mut String) -> Result<()> {
    let written = match kind {
        Kind::Text => quoted(string(value)?),
        Kind::Unsigned => (number(value)? as u32).to_string(),
        Kind::Signed => (number(value)? as i32).to_string(),
        Kind::Bool => (number(value)? != 0).to_string(),
        Kind::Float => match value {
            // As short as it can be: it is no more exact than that.
            Wire::Four(bytes) => float(format!("{:?}", f32::from_le_bytes(bytes))),
            _ => return Err(wrong("a field of protobuf has another type", 0)),
        },
        Kind::Double => double(value)?,
        Kind::Bytes => format!("\"{}\"", base64::encode(octets(value)?)),
        Kind::Time => format!("\"{}\"", time(octets(value)?)?),
        Kind::Duration => format!("\"{}\"", duration(octets(value)?)?),
        Kind::Enum(names) => {
            let number = number(value)?;
            let name = usize::try_from(number).ok().and_then(|number| names.get(number));
            name.map_or_else(|| number.to_string(), |name| quoted(name))
        }
        Kind::Message(message) => return write_message(octets(value)?, message, out),
        Kind::Struct => return write_struct(octets(value)?, DEPTH, out),
        Kind::List(_) | Kind::Map => return Ok(()),
    };
    out.push_str(&written);
    Ok(())
}

fn double(value: Wire<'_>) -> Result<String> {
    match value {
        Wire::Eight(bytes) => Ok(float(format!("{:?}", f64::from_le_bytes(bytes)))),
        _ => Err(wrong("a field of protobuf has another type", 0)),
    }
}

/// A number in the words of Python's JSON, which knows those that are not finite as well.
fn float(text: String) -> String {
    match text.as_str() {
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        _ => text,
    }
}

/// Seconds and nanoseconds.
#[expect(
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "as protobuf keeps numbers with a sign"
)]
fn instant(bytes: &[u8]) -> Result<(i64, i32)> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    for (field, value) in Reader::new(bytes).all()? {
        match field {
            1 => seconds = number(value)? as i64,
            2 => nanoseconds = number(value)? as i32,
            _ => {}
        }
    }
    Ok((seconds, nanoseconds))
}

/// With no digits of a fraction, or three, six or nine.
fn time(bytes: &[u8]) -> Result<String> {
    let (seconds, nanoseconds) = instant(bytes)?;
    let time = Timestamp::new(seconds, nanoseconds).map_err(|_| wrong("a time of protobuf is out of range", 0))?;
    let digits = fraction_digits(nanoseconds.unsigned_abs());
    let text = format!("{time:.digits$}");
    Ok(format!("{}+00:00", text.trim_end_matches('Z')))
}

fn duration(bytes: &[u8]) -> Result<String> {
    let (seconds, nanoseconds) = instant(bytes)?;
    let digits = fraction_digits(nanoseconds.unsigned_abs());
    let mut out = seconds.to_string();
    if digits > 0 {
        let fraction = format!("{:09}", nanoseconds.unsigned_abs());
        let fraction = fraction.get(..digits).unwrap_or(&fraction);
        write!(out, ".{fraction}").expect("writing to a String cannot fail");
    }
    out.push('s');
    Ok(out)
}

fn fraction_digits(nanoseconds: u32) -> usize {
    match nanoseconds {
        0 => 0,
        fraction if fraction.is_multiple_of(1_000_000) => 3,
        fraction if fraction.is_multiple_of(1_000) => 6,
        _ => 9,
    }
}

/// A member of a map from text to text.
fn write_entry(bytes: &[u8], out: &mut String) -> Result<()> {
    let (mut key, mut value) = ("", "");
    for (field, wire) in Reader::new(bytes).all()? {
        match field {
            1 => key = string(wire)?,
            2 => value = string(wire)?,
            _ => {}
        }
    }
    out.push_str(&quoted(key));
    out.push(':');
    out.push_str(&quoted(value));
    Ok(())
}

/// `google.protobuf.Struct`.
fn write_struct(bytes: &[u8], depth: usize, out: &mut String) -> Result<()> {
    let members = Reader::new(bytes).all()?.into_iter().filter(|(field, _)| *field == 1);
    put_all(out, ['{', '}'], members, |(_, member), out| {
        let (mut key, mut value) = ("", &[][..]);
        for (field, wire) in Reader::new(octets(member)?).all()? {
            match field {
                1 => key = string(wire)?,
                2 => value = octets(wire)?,
                _ => {}
            }
        }
        out.push_str(&quoted(key));
        out.push(':');
        write_any(value, depth, out)
    })
}

/// `google.protobuf.Value`.
fn write_any(bytes: &[u8], depth: usize, out: &mut String) -> Result<()> {
    let depth = depth.checked_sub(1).ok_or_else(|| wrong("values of protobuf are nested too deep", 0))?;
    match Reader::new(bytes).all()?.pop() {
        Some((2, value)) => out.push_str(&double(value)?),
        Some((3, value)) => out.push_str(&quoted(string(value)?)),
        Some((4, value)) => out.push_str(if number(value)? == 0 { "false" } else { "true" }),
        Some((5, value)) => return write_struct(octets(value)?, depth, out),
        Some((6, value)) => {
            let elements = Reader::new(octets(value)?).all()?.into_iter().filter(|(field, _)| *field == 1);
            return put_all(out, ['[', ']'], elements, |(_, element), out| write_any(octets(element)?, depth, out));
        }
        _ => out.push_str("null"),
    }
    Ok(())
}
