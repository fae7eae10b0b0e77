/// Why what a publisher sends cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RtmpError {
    /// Bytes that are not RTMP, AMF or FLV.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// More than is taken of it.
    #[error("too much: {0}")]
    TooMuch(&'static str),
    /// A codec that is not spoken here, by the name that its publisher knows.
    #[error("{0} is not supported")]
    Unsupported(Codec),
}

/// A codec that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// One with a name in FLV.
    Named(&'static str),
    /// One of enhanced RTMP, by its four letters.
    FourCc([u8; 4]),
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::FourCc(letters) => {
                f.write_str("codec `")?;
                letters.iter().try_for_each(|&byte| match byte {
                    b' '..=b'~' => write!(f, "{}", char::from(byte)),
                    _ => f.write_str("?"),
                })?;
                f.write_str("`")
            }
        }
    }
}
