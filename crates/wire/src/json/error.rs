//! Why a text is not acceptable JSON.

/// A refusal of the parser: what is wrong and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON at byte {offset}: {kind}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Where, in bytes from the beginning of the text.
    pub offset: usize,
}

/// The ways in which a text is not acceptable JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum JsonErrorKind {
    /// More bytes than the limit.
    #[error("the text is larger than the limit")]
    TooLarge,
    /// Deeper nesting than the limit.
    #[error("the nesting is deeper than the limit")]
    TooDeep,
    /// More values than the limit.
    #[error("there are more values than the limit")]
    TooManyValues,
    /// A number with more digits or a larger exponent than the limit.
    #[error("the number has more digits or a larger exponent than the limit")]
    NumberTooLarge,
    /// Not UTF-8.
    #[error("the text is not valid UTF-8")]
    InvalidUtf8,
    /// Begins with U+FEFF.
    #[error("the text begins with a byte order mark; send it without")]
    ByteOrderMark,
    /// Ends in the middle of a value.
    #[error("the text ends too early")]
    UnexpectedEnd,
    /// A byte that cannot stand here.
    #[error("unexpected character")]
    UnexpectedByte,
    /// Something follows the value.
    #[error("something follows the value; send exactly one")]
    TrailingBytes,
    /// An unescaped character below U+0020 in a string.
    #[error("a control character stands unescaped in a string")]
    ControlCharacter,
    /// A backslash followed by something that is no escape.
    #[error("invalid escape in a string")]
    InvalidEscape,
    /// Half of a surrogate pair.
    #[error("an escaped surrogate without its other half")]
    LoneSurrogate,
    /// A malformed number: leading zeros, a bare point or sign.
    #[error("malformed number")]
    InvalidNumber,
    /// Two members of one object with the same name, after unescaping.
    #[error("the object has two members of this name")]
    DuplicateMember,
}

impl JsonErrorKind {
    pub(super) const fn at(self, offset: usize) -> JsonError {
        JsonError { kind: self, offset }
    }
}
