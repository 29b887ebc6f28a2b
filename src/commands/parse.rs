//! Parsers of option values that several commands share.

use std::time::Duration;

/// Parses seconds, with an optional fraction.
pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a number of seconds, such as 10 or 0.5".to_owned())
}

/// Parses permission bits in octal.
pub(super) fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode & 0o600 == 0o600 && mode <= 0o777 => Ok(mode),
        Ok(_) => Err("the owner must be able to read and write: 600 to 777".to_owned()),
        Err(_) => Err(format!("'{text}' is not octal")),
    }
}

/// Parses a group name or number.
pub(super) fn parse_group(text: &str) -> Result<u32, String> {
    if let Ok(gid) = text.parse() {
        return Ok(gid);
    }
    match nix::unistd::Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        _ => Err("no such group".to_owned()),
    }
}

/// Parses `30s`, `10m`, `12h` or `7d` into seconds. The unit is required, because a bare number is ambiguous.
pub(super) fn parse_age(text: &str) -> Result<i64, String> {
    let invalid = || "expected a number and a unit (s, m, h or d), such as 30s, 10m, 12h or 7d";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: i64 = text[..digits].parse().map_err(|_| invalid())?;
    let unit = match &text[digits..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(invalid().to_owned()),
    };
    number.checked_mul(unit).ok_or_else(|| "the time is too long".to_owned())
}

/// Parses a Unix time in seconds with an optional fraction, as `date +%s.%N` prints it.
pub(super) fn parse_time(text: &str) -> Result<jiff::Timestamp, String> {
    let expected = || "expected a Unix time in seconds, such as 1700000000.5";
    let seconds: f64 = text.parse().map_err(|_| expected())?;
    let since = jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?;
    jiff::Timestamp::from_duration(since).map_err(|e| e.to_string())
}

/// Parses a user name or number.
pub(super) fn parse_user(text: &str) -> Result<u32, String> {
    if let Ok(uid) = text.parse() {
        return Ok(uid);
    }
    match nix::unistd::User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        _ => Err("no such user".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_age_requires_a_unit() {
        assert_eq!(parse_age("30s"), Ok(30));
        assert_eq!(parse_age("10m"), Ok(600));
        assert_eq!(parse_age("2h"), Ok(7200));
        assert_eq!(parse_age("7d"), Ok(604_800));
        for bad in
            ["", "x", "3y", "7", "0", "s", "10min", "1.5h", "99999999999999999999d", "-1d", "1 d"]
        {
            assert!(parse_age(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parse_time_accepts_fractions() {
        assert_eq!(parse_time("1.5").unwrap().as_millisecond(), 1500);
        for bad in ["", "yesterday", "inf", "nan", "7d"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parse_user_accepts_numbers_and_names() {
        assert_eq!(parse_user("1234"), Ok(1234));
        assert_eq!(parse_user("root"), Ok(0));
        assert!(parse_user("no such user").is_err());
    }
}
