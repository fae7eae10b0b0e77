//! AMF0, in which commands and metadata are written (Adobe, 2006). Pure.

use bytes::{Buf, BufMut, BytesMut};

use super::error::RtmpError;

/// A value of AMF0, or of what of it is of use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Boolean(bool),
    String(String),
    /// Objects, with a class or without, and arrays with names.
    Object(Vec<(String, Value)>),
    Array(Vec<Value>),
    Null,
    Undefined,
}

/// Deeper ones are only made to exhaust a stack.
const MAX_DEPTH: u32 = 16;

mod marker {
    pub(super) const NUMBER: u8 = 0;
    pub(super) const BOOLEAN: u8 = 1;
    pub(super) const STRING: u8 = 2;
    pub(super) const OBJECT: u8 = 3;
    pub(super) const NULL: u8 = 5;
    pub(super) const UNDEFINED: u8 = 6;
    pub(super) const REFERENCE: u8 = 7;
    pub(super) const NAMED_ARRAY: u8 = 8;
    pub(super) const OBJECT_END: u8 = 9;
    pub(super) const ARRAY: u8 = 10;
    pub(super) const DATE: u8 = 11;
    pub(super) const LONG_STRING: u8 = 12;
    pub(super) const UNSUPPORTED: u8 = 13;
    pub(super) const XML: u8 = 15;
    pub(super) const TYPED_OBJECT: u8 = 16;
}

impl Value {
    /// An object of these members.
    #[cfg(test)]
    pub(crate) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Takes a value from the beginning of `input`.
    pub(crate) fn read(input: &mut &[u8]) -> Result<Self, RtmpError> {
        read(input, 0)
    }

    /// A member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            // What is said twice counts as it was said last.
            Self::Object(members) => {
                members.iter().rev().find(|member| member.0 == name).map(|member| &member.1)
            }
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) const fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Puts the value behind `output`.
    pub(crate) fn write(&self, output: &mut BytesMut) {
        match self {
            Self::Number(number) => {
                output.put_u8(marker::NUMBER);
                output.put_f64(*number);
            }
            Self::Boolean(is) => {
                output.put_u8(marker::BOOLEAN);
                output.put_u8((*is).into());
            }
            Self::String(text) => {
                output.put_u8(marker::STRING);
                write_name(text, output);
            }
            Self::Object(members) => {
                output.put_u8(marker::OBJECT);
                for (name, value) in members {
                    write_name(name, output);
                    value.write(output);
                }
                write_name("", output);
                output.put_u8(marker::OBJECT_END);
            }
            Self::Array(values) => {
                output.put_u8(marker::ARRAY);
                output.put_u32(values.len() as u32);
                values.iter().for_each(|value| value.write(output));
            }
            Self::Null => output.put_u8(marker::NULL),
            Self::Undefined => output.put_u8(marker::UNDEFINED),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// What this side says is short; what was longer is cut off between two characters.
fn write_name(text: &str, output: &mut BytesMut) {
    let text = &text[..text.floor_char_boundary(u16::MAX.into())];
    output.put_u16(text.len() as u16);
    output.put_slice(text.as_bytes());
}

fn read(input: &mut &[u8], depth: u32) -> Result<Value, RtmpError> {
    if depth == MAX_DEPTH {
        return Err(RtmpError::TooMuch("AMF within AMF"));
    }
    match take(input, 1)?[0] {
        marker::NUMBER => Ok(Value::Number(take(input, 8)?.get_f64())),
        marker::BOOLEAN => Ok(Value::Boolean(take(input, 1)?[0] != 0)),
        marker::STRING => Ok(Value::String(read_text(input, 2)?)),
        marker::LONG_STRING | marker::XML => Ok(Value::String(read_text(input, 4)?)),
        marker::OBJECT => read_members(input, depth),
        marker::TYPED_OBJECT => {
            read_text(input, 2)?;
            read_members(input, depth)
        }
        marker::NAMED_ARRAY => {
            // How many there are; the end is marked all the same, and some count wrongly.
            take(input, 4)?;
            read_members(input, depth)
        }
        marker::ARRAY => {
            // Each takes a byte at least, so that the end of the bytes ends this too.
            let count = take(input, 4)?.get_u32();
            (0..count).map(|_| read(input, depth + 1)).collect::<Result<_, _>>().map(Value::Array)
        }
        marker::DATE => {
            let milliseconds = take(input, 8)?.get_f64();
            // A time zone that must be 0.
            take(input, 2)?;
            Ok(Value::Number(milliseconds))
        }
        marker::REFERENCE => {
            take(input, 2)?;
            Ok(Value::Undefined)
        }
        marker::NULL => Ok(Value::Null),
        marker::UNDEFINED | marker::UNSUPPORTED => Ok(Value::Undefined),
        _ => Err(RtmpError::Malformed("AMF")),
    }
}

fn read_members(input: &mut &[u8], depth: u32) -> Result<Value, RtmpError> {
    let mut members = Vec::new();
    loop {
        let name = read_text(input, 2)?;
        if name.is_empty() && input.first() == Some(&marker::OBJECT_END) {
            input.advance(1);
            return Ok(Value::Object(members));
        }
        members.push((name, read(input, depth + 1)?));
    }
}

/// A text behind its length, which has `size` bytes.
fn read_text(input: &mut &[u8], size: usize) -> Result<String, RtmpError> {
    let length = take(input, size)?.get_uint(size) as usize;
    Ok(String::from_utf8_lossy(take(input, length)?).into_owned())
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], RtmpError> {
    input.split_off(..length).ok_or(RtmpError::Malformed("AMF that ends early"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::testing::mutants;

    fn written(value: &Value) -> BytesMut {
        let mut bytes = BytesMut::new();
        value.write(&mut bytes);
        bytes
    }

    fn everything() -> Value {
        let inner =
            Value::object([("yes", Value::Boolean(true)), ("", Value::Null), ("ñ", Value::Undefined)]);
        let list = Value::Array(vec![1.5.into(), "hvc1".into(), Value::Array(Vec::new())]);
        Value::object([("app", "live".into()), ("inner", inner), ("list", list), ("app", "again".into())])
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = written(&everything());
        let mut input = &bytes[..];
        assert_eq!(Value::read(&mut input), Ok(everything()));
        assert!(input.is_empty());
        assert_eq!(everything().get("app").and_then(Value::as_str), Some("again"));
        assert_eq!(everything().get("inner").and_then(|inner| inner.get("none")), None);
    }

    #[test]
    fn what_others_write_is_read() {
        for (bytes, expected) in [
            (&b"\x08\0\0\0\x63\0\x01a\x05\0\0\x09"[..], Value::object([("a", Value::Null)])),
            (b"\x10\0\x01C\0\x01a\x06\0\0\x09", Value::object([("a", Value::Undefined)])),
            (b"\x0c\0\0\0\x02hi", "hi".into()),
            (b"\x0f\0\0\0\x02<>", "<>".into()),
            (b"\x0b\0\0\0\0\0\0\0\0\0\0", 0.0.into()),
            (b"\x07\0\x01", Value::Undefined),
            (b"\x0d", Value::Undefined),
            (b"\x02\0\x02\xff\xfe", "\u{fffd}\u{fffd}".into()),
        ] {
            let mut input = bytes;
            assert_eq!((Value::read(&mut input), input), (Ok(expected), &b""[..]), "{bytes:?}");
        }
    }

    #[test]
    fn neither_depth_nor_a_count_is_believed() {
        let nested = b"\x03\0\x01a".repeat(100_000);
        assert_eq!(Value::read(&mut &nested[..]), Err(RtmpError::TooMuch("AMF within AMF")));
        let nested = b"\x0a\0\0\0\x01".repeat(100_000);
        assert_eq!(Value::read(&mut &nested[..]), Err(RtmpError::TooMuch("AMF within AMF")));
        for bytes in
            [&b"\x0a\xff\xff\xff\xff\x05\x05"[..], b"\x0c\xff\xff\xff\xffa", b"\x11\x01", b"\x04", b""]
        {
            Value::read(&mut &bytes[..]).unwrap_err();
        }
    }

    #[test]
    fn damaged_values_are_read_or_refused() {
        mutants(&written(&everything()), 20_000, |mutant| drop(Value::read(&mut &mutant[..])));
    }
}
