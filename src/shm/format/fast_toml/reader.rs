//! The words of the canonical form, one after the other. Strings without escapes are borrowed.

use std::borrow::Cow;

use toml::{Table, Value};

/// Values deeper than this are not read: the reader calls itself.
const DEPTH: usize = 16;
/// Nor are longer paths: whoever walks the tables calls itself.
const LONGEST: usize = 64;

/// A text and how far it was read.
pub(crate) struct Reader<'t> {
    text: &'t str,
    at: usize,
}

/// What a header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// `[path]`
    Table,
    /// `[[path]]`
    Element,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes past `word`, if it comes next.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn expect(&mut self, word: &str) -> Option<()> {
        self.take(word).then_some(())
    }

    /// Goes past bytes of this kind and returns them.
    fn run(&mut self, kind: impl Fn(u8) -> bool) -> &'t str {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|&byte| !kind(byte)).unwrap_or(rest.len());
        let start = self.at;
        self.at += length;
        // Every kind ends at ASCII, and takes whole characters beyond it.
        self.text.get(start..self.at).unwrap_or("")
    }

    /// Goes past empty lines and comments; whether there is more.
    pub(crate) fn more(&mut self) -> Option<bool> {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => self.at += 1,
                b'#' => {
                    self.run(is_text);
                    self.end_of_line()?;
                }
                _ => return Some(true),
            }
        }
        Some(false)
    }

    pub(crate) fn end_of_line(&mut self) -> Option<()> {
        (self.take("\n") || self.at == self.text.len()).then_some(())
    }

    /// Reads a header with its path, if a header comes next.
    pub(crate) fn header(&mut self, path: &mut Vec<Cow<'t, str>>) -> Option<Option<Header>> {
        path.clear();
        if !self.take("[") {
            return Some(None);
        }
        let kind = if self.take("[") { Header::Element } else { Header::Table };
        path.push(self.key()?);
        while self.take(".") && path.len() < LONGEST {
            path.push(self.key()?);
        }
        self.expect(if kind == Header::Element { "]]" } else { "]" })?;
        self.end_of_line()?;
        Some(Some(kind))
    }

    /// The text of the header that comes next, if one does, between its brackets.
    pub(crate) fn raw_header(&self) -> Option<&'t str> {
        let rest = self.text[self.at..].strip_prefix('[')?;
        let end = rest.as_bytes().iter().position(|&byte| byte == b'\n')?;
        rest[..end].strip_suffix(']')
    }

    /// Reads `key = `, if a key comes next.
    pub(crate) fn name(&mut self) -> Option<Option<Cow<'t, str>>> {
        if !self.more()? || self.peek() == Some(b'[') {
            return Some(None);
        }
        let key = self.key()?;
        self.expect(" = ")?;
        Some(Some(key))
    }

    fn key(&mut self) -> Option<Cow<'t, str>> {
        match self.peek()? {
            b'"' => self.basic(),
            b'\'' => self.literal(),
            _ => {
                let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                let key = self.run(bare);
                (!key.is_empty()).then_some(Cow::Borrowed(key))
            }
        }
    }

    /// Pairs up to the next header.
    pub(crate) fn pairs(&mut self, into: &mut Table) -> Option<()> {
        while let Some(key) = self.name()? {
            let value = self.value(DEPTH)?;
            self.end_of_line()?;
            if into.insert(key.into_owned(), value).is_some() {
                return None;
            }
        }
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        Some(match self.peek()? {
            b'"' | b'\'' => Value::String(self.string()?.into_owned()),
            b'[' => Value::Array(self.list(|reader| reader.value(depth.checked_sub(1)?))?),
            b't' => self.word("true", Value::Boolean(true))?,
            b'f' => self.word("false", Value::Boolean(false))?,
            _ => self.number()?,
        })
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        self.expect(word).map(|()| value)
    }

    /// `[1, 2]` on one line, or as the Python package writes it, one item a line and a comma after each.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.expect("[")?;
        let mut items = Vec::new();
        self.blank();
        while !self.take("]") {
            items.push(item(self)?);
            self.blank();
            if !self.take(",") {
                self.expect("]")?;
                break;
            }
            self.blank();
        }
        Some(items)
    }

    fn blank(&mut self) {
        self.run(|byte| byte == b' ' || byte == b'\n');
    }

    /// A whole number, not negative: an extent.
    pub(crate) fn size(&mut self) -> Option<u64> {
        u64::try_from(self.number()?.as_integer()?).ok()
    }

    fn number(&mut self) -> Option<Value> {
        let word = self.run(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        match word {
            "nan" => return Some(Value::Float(f64::NAN)),
            "inf" => return Some(Value::Float(f64::INFINITY)),
            "-inf" => return Some(Value::Float(f64::NEG_INFINITY)),
            _ => {}
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (mantissa, exponent) = match word.split_once('e') {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (word, None),
        };
        let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (unsigned, None),
        };
        let plain = |exponent: &str| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
        let is_number = digits(whole)
            && (whole.len() == 1 || !whole.starts_with('0'))
            && fraction.is_none_or(digits)
            && exponent.is_none_or(plain);
        match (is_number, fraction, exponent) {
            (false, ..) => None,
            (true, None, None) => word.parse().ok().map(Value::Integer),
            _ => word.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
        }
    }

    pub(crate) fn string(&mut self) -> Option<Cow<'t, str>> {
        for (quotes, escapes) in [("\"\"\"\n", true), ("'''\n", false)] {
            if self.take(quotes) {
                return self.lines(&quotes[..3], escapes);
            }
        }
        match self.peek()? {
            b'"' => self.basic(),
            _ => self.literal(),
        }
    }

    /// Several lines up to these quotes; escapes in them are not read.
    #[allow(clippy::needless_bitwise_bool)] // without branches it is a vector's work
    fn lines(&mut self, quotes: &str, escapes: bool) -> Option<Cow<'t, str>> {
        let (text, _) = self.text[self.at..].split_once(quotes)?;
        // Without an early end, so that the compiler takes many bytes at a time: these texts are long.
        let is_plain = |b: u8| (is_text(b) | (b == b'\n')) & !(escapes & (b == b'\\'));
        if !text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
            return None;
        }
        self.at += text.len() + quotes.len();
        // A text may end with quotes of its own.
        (self.peek() != quotes.bytes().next()).then_some(Cow::Borrowed(text))
    }

    #[allow(clippy::needless_bitwise_bool)] // as above
    fn literal(&mut self) -> Option<Cow<'t, str>> {
        self.expect("'")?;
        let (text, _) = self.text[self.at..].split_once('\'')?;
        if !text.bytes().fold(true, |plain, byte| plain & is_text(byte)) {
            return None;
        }
        self.at += text.len() + 1;
        // Two quotes before a third begin a text of several lines.
        (self.peek() != Some(b'\'')).then_some(Cow::Borrowed(text))
    }

    fn basic(&mut self) -> Option<Cow<'t, str>> {
        self.expect("\"")?;
        let plain = |byte| is_text(byte) && byte != b'"' && byte != b'\\';
        let mut text = Cow::Borrowed(self.run(plain));
        while self.take("\\") {
            text.to_mut().push(self.escaped()?);
            text.to_mut().push_str(self.run(plain));
        }
        self.expect("\"")?;
        (self.peek() != Some(b'"')).then_some(text)
    }

    fn escaped(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        let digits = match letter {
            b'b' => return Some('\u{8}'),
            b't' => return Some('\t'),
            b'n' => return Some('\n'),
            b'f' => return Some('\u{c}'),
            b'r' => return Some('\r'),
            b'"' => return Some('"'),
            b'\\' => return Some('\\'),
            b'u' => 4,
            b'U' => 8,
            _ => return None,
        };
        let code = self.text.get(self.at..self.at + digits)?;
        self.at += digits;
        let is_code = code.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_code.then(|| u32::from_str_radix(code, 16).ok().and_then(char::from_u32)).flatten()
    }
}

/// What may stand in a string or a comment as it is.
#[allow(clippy::needless_bitwise_bool)] // as above
fn is_text(byte: u8) -> bool {
    (byte >= b' ') & (byte != 0x7f) | (byte == b'\t')
}
