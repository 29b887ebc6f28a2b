//! Reads Rust source: tokens without comments and strings, and the paths and items that they form.

/// A word, `::` or a single character of punctuation, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A path such as `crate::shm::Name`, and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub names: Vec<String>,
    pub line: usize,
}

/// The tokens of a source text. Comments, literals and modules under `#[cfg(test)]` or for fuzzing are left out: tests
/// may use everything.
pub fn tokens(text: &str) -> Vec<Token> {
    without_tests(&scan(text))
}

fn scan(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let end = token_end(bytes, at);
        let word = &text[at..end];
        let is_code = !word.trim().is_empty() && !word.starts_with("//") && !word.starts_with("/*");
        if is_code && !word.contains(['"', '\'']) {
            found.push(Token { text: word.to_owned(), line });
        }
        line += word.matches('\n').count();
        at = end;
    }
    found
}

/// The end of the token, space, comment or literal that begins at `at`; always at a character's boundary.
fn token_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let find = |what: &[u8], from: usize| {
        let found = bytes[from..].windows(what.len()).position(|window| window == what);
        found.map_or(bytes.len(), |found| from + found + what.len())
    };
    if rest.starts_with(b"//") {
        return rest.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| at + end);
    }
    if rest.starts_with(b"/*") {
        return find(b"*/", at + 2);
    }
    if rest.starts_with(b"::") {
        return at + 2;
    }
    if let Some(hashes) = raw_string(rest) {
        let begin = find(b"\"", at);
        return find(&[b"\"", &b"#".repeat(hashes)[..]].concat(), begin);
    }
    match rest[0] {
        b'"' => quoted(bytes, at),
        b'\'' => character(bytes, at),
        byte if is_name(&byte) => at + rest.iter().take_while(|byte| is_name(byte)).count(),
        _ => at + 1,
    }
}

/// The number of `#` of a raw string that begins here.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let rest = rest.strip_prefix(b"b").unwrap_or(rest).strip_prefix(b"r")?;
    let hashes = rest.iter().take_while(|&&byte| byte == b'#').count();
    (rest.get(hashes) == Some(&b'"')).then_some(hashes)
}

/// The end of a string that begins at `at`.
fn quoted(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The end of a character, or of a lifetime, that begins at `at`.
fn character(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at + 1..];
    let length = match rest.first() {
        Some(b'\\') => 2 + rest.iter().skip(2).take_while(|&&byte| byte != b'\'').count(),
        Some(&byte) if byte >= 0x80 => rest.iter().take_while(|&&byte| byte >= 0x80).count(),
        _ => 1,
    };
    if rest.get(length) == Some(&b'\'') {
        return at + length + 2;
    }
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    at + 1 + rest.iter().take_while(is_name).count()
}

fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let end = attribute_end(tokens, at);
        let words: String = tokens[at..end].iter().map(|token| token.text.as_str()).collect();
        if words.starts_with("#[cfg(test)") || words.starts_with("#[cfg(any(test") {
            at = item_end(tokens, end);
        } else {
            kept.extend_from_slice(&tokens[at..end.max(at + 1)]);
            at = end.max(at + 1);
        }
    }
    kept
}

/// The end of the attribute at `at`; `at` itself if none is there.
fn attribute_end(tokens: &[Token], at: usize) -> usize {
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.text == text);
    let open = if is(at + 1, "!") { at + 2 } else { at + 1 };
    if is(at, "#") && is(open, "[") { closing(tokens, open) } else { at }
}

/// The token behind the bracket that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (number, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return number + 1;
        }
    }
    tokens.len()
}

/// The end of the item at `at`: behind its `;` or its braces.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        at = match token.text.as_str() {
            ";" => return at + 1,
            "{" => {
                let end = closing(tokens, at);
                // `use a::{b};` ends behind its semicolon.
                let is_tree = tokens.get(end).is_some_and(|next| next.text == ";");
                return end + usize::from(is_tree);
            }
            "(" | "[" => closing(tokens, at),
            _ => at + 1,
        };
    }
    tokens.len()
}

/// The items of a file, each without its attributes.
pub fn items(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let attribute = attribute_end(tokens, at);
        if attribute > at {
            at = attribute;
            continue;
        }
        let end = item_end(tokens, at);
        found.push(&tokens[at..end]);
        at = end;
    }
    found
}

/// The first word of an item behind its visibility, and the position of that word.
pub fn keyword(item: &[Token]) -> (usize, &str) {
    let text = |at: usize| item.get(at).map_or("", |token| token.text.as_str());
    match (text(0), text(1)) {
        ("pub", "(") => {
            let at = closing(item, 1);
            (at, text(at))
        }
        ("pub", next) => (1, next),
        (first, _) => (0, first),
    }
}

/// Every path that begins with one of these words, with `{a, b}` written out.
pub fn paths(tokens: &[Token], begins: impl Fn(&str) -> bool) -> Vec<Path> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_inner = at > 0 && tokens[at - 1].text == "::";
        let goes_on = tokens.get(at + 1).is_some_and(|next| next.text == "::");
        if !is_inner && goes_on && begins(&token.text) {
            tree(tokens, at, &[], &mut found);
        }
    }
    found
}

/// Reads the path, or the tree of paths, at `at`; returns its end.
pub fn tree(tokens: &[Token], mut at: usize, before: &[String], found: &mut Vec<Path>) -> usize {
    let mut names = before.to_vec();
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            let end = closing(tokens, at);
            at += 1;
            while at < end - 1 {
                at = tree(tokens, at, &names, found);
                // `a as b`, and the comma.
                while at < end - 1 && tokens[at].text != "," {
                    at += 1;
                }
                at += 1;
            }
            return end;
        }
        names.push(token.text.clone());
        at += 1;
        match tokens.get(at) {
            Some(next) if next.text == "::" && tokens.get(at + 1).is_some_and(is_part) => at += 1,
            _ => {
                found.push(Path { names, line: token.line });
                return at;
            }
        }
    }
    at
}

/// Whether a token goes on with a path: `::<T>` does not.
fn is_part(token: &Token) -> bool {
    token.text == "{"
        || token.text == "*"
        || token.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
