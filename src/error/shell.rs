//! Quoting for shell commands in hints.

/// Quotes a name as one shell word.
pub(crate) fn shell_quote(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-/+=:@%,".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return name.to_owned();
    }
    let escape = |c| matches!(c, '"' | '\\' | '$' | '`').then_some('\\').into_iter().chain([c]);
    format!("\"{}\"", name.chars().flat_map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_special_characters_are_quoted() {
        assert_eq!(
            ["a-b.c", "größe", "a b", "a$\"", ""].map(shell_quote),
            ["a-b.c", "größe", "\"a b\"", r#""a\$\"""#, "\"\""]
        );
    }
}
