//! A command line up to the cursor, as each shell tells it: words without quotes, and how to write what is
//! put at the cursor.

use std::ffi::OsString;

/// The words after the program's name, and the one at the cursor as far as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(crate) words: Vec<String>,
    pub(crate) current: String,
    pub(crate) cursor: Cursor,
}

/// How a candidate is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    Bash(Bash),
    /// The value alone: zsh quotes it.
    Zsh,
    /// The whole word: fish quotes it.
    Fish,
}

/// Where readline puts a candidate: behind this beginning of the word, within this quote.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bash {
    head: String,
    quote: Option<char>,
}

impl Line {
    /// The words with the last at the cursor; in fish that one as it is written, quotes and all.
    pub(crate) fn of_words(args: &[OsString], quoted: bool) -> Option<Self> {
        let mut words: Vec<String> =
            args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        let last = words.pop()?;
        let (current, cursor) = match quoted {
            true => (last_of(&last).text, Cursor::Fish),
            false => (last, Cursor::Zsh),
        };
        Some(Self { words, current, cursor })
    }

    /// The program's name, readline's idea of the word at the cursor, and the line up to the cursor: bash
    /// breaks words at colons and equals signs, so that its own list of words is of no use.
    pub(crate) fn of_bash(args: &[OsString]) -> Option<Self> {
        let [program, word, line] = args else { return None };
        let (program, word, line) = (program.to_str()?, word.to_str()?, line.to_str()?);
        let mut words = split(line);
        let last = words.pop()?;
        let start = words.iter().position(|word| word.raw == program)?;
        let quote = last.open;
        let head = match quote {
            // What is within quotes is one word, but the quotes must stand at its beginning.
            Some(quote) if last.raw.starts_with(quote) => String::new(),
            Some(_) => return None,
            None => last_of(last.raw.strip_suffix(word)?).text,
        };
        let words = words.into_iter().skip(start + 1).map(|word| word.text).collect();
        Some(Self { words, current: last.text, cursor: Cursor::Bash(Bash { head, quote }) })
    }
}

impl Bash {
    /// What readline has to put for the word `whole`; `None` when these quotes cannot hold it.
    pub(crate) fn insert(&self, whole: &str) -> Option<String> {
        let rest = whole.strip_prefix(self.head.as_str())?;
        let special = |c: char| match self.quote {
            Some(_) => matches!(c, '\\' | '"' | '$' | '`'),
            None => c.is_ascii() && !c.is_ascii_alphanumeric() && !"_@%+=:,./-".contains(c),
        };
        match self.quote {
            Some('\'') => (!rest.contains('\'')).then(|| rest.to_owned()),
            // Within double quotes nothing keeps it from the history.
            Some(_) if rest.contains('!') => None,
            _ => {
                let escaped = |c| special(c).then_some('\\').into_iter().chain([c]);
                Some(rest.chars().flat_map(escaped).collect())
            }
        }
    }
}

/// A word as written, what it means, and the quote that is still open.
#[derive(Debug, Default)]
struct Word {
    raw: String,
    text: String,
    open: Option<char>,
}

/// The words of the last command on the line; the last one, which may be empty, is at the cursor.
fn split(line: &str) -> Vec<Word> {
    let mut words = vec![Word::default()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let Some(word) = words.last_mut() else { break };
        let open = word.open;
        if open.is_none() && ";|&()\n".contains(c) {
            words = vec![Word::default()];
            continue;
        }
        if open.is_none() && c.is_whitespace() {
            if !word.raw.is_empty() {
                words.push(Word::default());
            }
            continue;
        }
        word.raw.push(c);
        match (open, c) {
            (Some(quote), c) if c == quote => word.open = None,
            (None, '\'' | '"') => word.open = Some(c),
            (None | Some('"'), '\\') => {
                let next = chars.next();
                word.raw.extend(next);
                if open.is_some() && !matches!(next, Some('\\' | '"' | '$' | '`')) {
                    word.text.push('\\');
                }
                word.text.extend(next);
            }
            _ => word.text.push(c),
        }
    }
    words
}

/// The words of a command line, without quotes.
#[cfg(test)]
pub(crate) fn words_of(line: &str) -> Vec<String> {
    split(line).into_iter().map(|word| word.text).collect()
}

/// The last word of `text`.
fn last_of(text: &str) -> Word {
    split(text).pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bash(word: &str, line: &str) -> Line {
        let args = ["cute-shm", word, line].map(OsString::from);
        Line::of_bash(&args).unwrap()
    }

    fn inserted(word: &str, line: &str, whole: &str) -> Option<String> {
        match bash(word, line).cursor {
            Cursor::Bash(cursor) => cursor.insert(whole),
            _ => None,
        }
    }

    #[test]
    fn words_lose_their_quotes() {
        let line = bash("x", r#"ls | cute-shm 'a b' "c\"d" e\ f x"#);
        assert_eq!(line.words, ["a b", "c\"d", "e f"]);
        assert_eq!(line.current, "x");
        assert_eq!(bash("", "cute-shm show ").current, "");
    }

    #[test]
    fn a_candidate_is_quoted_as_the_word_was_begun() {
        let quoted = |word, line| inserted(word, line, "a $b'c");
        assert_eq!(quoted("a", "cute-shm show a"), Some(r"a\ \$b\'c".to_owned()));
        assert_eq!(quoted(r"a\ ", r"cute-shm show a\ "), Some(r"a\ \$b\'c".to_owned()));
        assert_eq!(quoted("a ", "cute-shm show \"a "), Some(r"a \$b'c".to_owned()));
        assert_eq!(quoted("a ", "cute-shm show 'a "), None);
    }

    #[test]
    fn what_readline_keeps_is_not_repeated() {
        assert_eq!(inserted("b", "cute-shm show a:b", "a:bc"), Some("bc".to_owned()));
        assert_eq!(inserted("", "cute-shm --root=", "--root=/x"), Some("/x".to_owned()));
    }
}
