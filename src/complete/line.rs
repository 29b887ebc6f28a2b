//! Parses the command line that a shell sends: the words up to the cursor without quotes, and the quoting of a
//! candidate.

use std::ffi::OsString;

/// The words after the program's name, and the start of the word at the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(crate) words: Vec<String>,
    pub(crate) current: String,
    pub(crate) cursor: Cursor,
}

/// The quoting of a candidate.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    Bash(Bash),
    /// Only the value; zsh quotes it.
    Zsh,
    /// The whole word; fish quotes it.
    Fish,
}

/// The text before the insertion point of readline: the start of the word, and an open quote.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bash {
    head: String,
    quote: Option<char>,
}

impl Line {
    /// Parses the words; the last is at the cursor. In fish, the last word contains its quotes (`quoted`).
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

    /// Parses the program's name, readline's word at the cursor, and the line up to the cursor. The word list of
    /// bash is not usable, because it splits words at colons and equals signs.
    pub(crate) fn of_bash(args: &[OsString]) -> Option<Self> {
        let [program, word, line] = args else { return None };
        let (program, word, line) = (program.to_str()?, word.to_str()?, line.to_str()?);
        let mut words = split(line);
        let last = words.pop()?;
        let start = words.iter().position(|word| word.raw == program)?;
        let quote = last.open;
        let head = match quote {
            // Quoted text is one word if the quote is at its start.
            Some(quote) if last.raw.starts_with(quote) => String::new(),
            Some(_) => return None,
            None => last_of(last.raw.strip_suffix(word)?).text,
        };
        let words = words.into_iter().skip(start + 1).map(|word| word.text).collect();
        Some(Self { words, current: last.text, cursor: Cursor::Bash(Bash { head, quote }) })
    }
}

impl Bash {
    /// Returns the text that readline inserts for the word `whole`; `None` if these quotes cannot contain it.
    pub(crate) fn insert(&self, whole: &str) -> Option<String> {
        let rest = whole.strip_prefix(self.head.as_str())?;
        let special = |c: char| match self.quote {
            Some(_) => matches!(c, '\\' | '"' | '$' | '`'),
            None => c.is_ascii() && !c.is_ascii_alphanumeric() && !"_@%+=:,./-".contains(c),
        };
        match self.quote {
            Some('\'') => (!rest.contains('\'')).then(|| rest.to_owned()),
            // Double quotes do not prevent history expansion.
            Some(_) if rest.contains('!') => None,
            _ => {
                let escaped = |c| special(c).then_some('\\').into_iter().chain([c]);
                Some(rest.chars().flat_map(escaped).collect())
            }
        }
    }
}

/// A word with quotes, without quotes, and its open quote.
#[derive(Debug, Default)]
struct Word {
    raw: String,
    text: String,
    open: Option<char>,
}

/// Splits the last command on the line into words. The last word, which may be empty, is at the cursor.
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

/// Returns the words of a command line without quotes.
#[cfg(test)]
pub(crate) fn words_of(line: &str) -> Vec<String> {
    split(line).into_iter().map(|word| word.text).collect()
}

/// Returns the last word of `text`.
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
    fn quotes_are_removed_from_words() {
        let line = bash("x", r#"ls | cute-shm 'a b' "c\"d" e\ f x"#);
        assert_eq!(line.words, ["a b", "c\"d", "e f"]);
        assert_eq!(line.current, "x");
        assert_eq!(bash("", "cute-shm show ").current, "");
    }

    #[test]
    fn candidate_is_quoted_like_the_start_of_the_word() {
        let quoted = |word, line| inserted(word, line, "a $b'c");
        assert_eq!(quoted("a", "cute-shm show a"), Some(r"a\ \$b\'c".to_owned()));
        assert_eq!(quoted(r"a\ ", r"cute-shm show a\ "), Some(r"a\ \$b\'c".to_owned()));
        assert_eq!(quoted("a ", "cute-shm show \"a "), Some(r"a \$b'c".to_owned()));
        assert_eq!(quoted("a ", "cute-shm show 'a "), None);
    }

    #[test]
    fn text_before_the_readline_word_is_not_repeated() {
        assert_eq!(inserted("b", "cute-shm show a:b", "a:bc"), Some("bc".to_owned()));
        assert_eq!(inserted("", "cute-shm --root=", "--root=/x"), Some("/x".to_owned()));
    }
}
