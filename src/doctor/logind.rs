//! Check of `RemoveIPC` of systemd-logind, which removes a user's files in /dev/shm when the last session ends.

use super::check::{Check, Level};
use super::node::Node;

const DIRECTORIES: [&str; 3] =
    ["/etc/systemd/logind.conf.d", "/run/systemd/logind.conf.d", "/usr/lib/systemd/logind.conf.d"];
/// The first uid that is not a system user, if login.defs does not set it. System users keep their files.
const FIRST_USER: u32 = 1000;

/// Checks whether logging out removes the segments of this user.
pub(super) fn remove_ipc(node: &Node) -> Check {
    let name = "remove_ipc";
    if !node.has_systemd() {
        return Check::new(name, Level::Ok, "systemd does not run");
    }
    let (removes, source) = setting(node);
    if !removes {
        return Check::new(name, Level::Ok, format!("RemoveIPC=no ({source})"));
    }
    let user = &node.user;
    if node.uid < first_user(node) {
        let why =
            format!("RemoveIPC=yes ({source}), but '{user}' is a system user, which is exempt");
        return Check::new(name, Level::Ok, why);
    }
    if node.exists(format!("/var/lib/systemd/linger/{user}")) {
        let why = format!(
            "RemoveIPC=yes ({source}), but '{user}' has lingering enabled, which is exempt"
        );
        return Check::new(name, Level::Ok, why);
    }
    let why = format!(
        "RemoveIPC=yes ({source}): all segments of '{user}' are removed when the last session ends"
    );
    Check::new(name, Level::Warning, why).with_hint(format!(
        "run 'loginctl enable-linger {user}', or set RemoveIPC=no in the section [Login] of {}/cute-shm.conf",
        DIRECTORIES[0]
    ))
}

/// Returns the last value in the configuration, and its file.
fn setting(node: &Node) -> (bool, String) {
    let main = "/etc/systemd/logind.conf";
    let mut files = vec![(main.into(), node.text(main))];
    files.extend(node.configuration(&DIRECTORIES));
    let mut result = (true, "systemd's default".to_owned());
    for (path, text) in files {
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            if key.trim() == "RemoveIPC" {
                let no = ["no", "false", "off", "0", "n", "f"].contains(&value.trim());
                result = (!no, path.display().to_string());
            }
        }
    }
    result
}

fn first_user(node: &Node) -> u32 {
    let text = node.text("/etc/login.defs");
    let last = text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "SYS_UID_MAX").then(|| words.next()?.parse::<u32>().ok()).flatten()
    });
    last.map_or(FIRST_USER, |last| last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::node;
    use super::*;

    const SYSTEMD: (&str, &str) = ("run/systemd/system/x", "");

    #[test]
    fn default_removes_the_segments_of_a_user() {
        let check = remove_ipc(&node(&[SYSTEMD, ("etc/systemd/logind.conf", "#RemoveIPC=no\n")]).1);
        assert_eq!(check.level, Level::Warning);
        assert!(check.hint.unwrap().contains("enable-linger ann"));
        assert_eq!(remove_ipc(&node(&[]).1).level, Level::Ok, "no systemd");
    }

    #[test]
    fn last_file_decides() {
        let files = [
            SYSTEMD,
            ("etc/systemd/logind.conf", "[Login]\nRemoveIPC=yes\n"),
            ("usr/lib/systemd/logind.conf.d/z.conf", "RemoveIPC = no\n"),
        ];
        let check = remove_ipc(&node(&files).1);
        assert_eq!(check.level, Level::Ok, "{check:?}");
        assert!(check.message.contains("z.conf"));
    }

    #[test]
    fn system_users_and_lingering_users_are_exempt() {
        let (_temp, mut system) = node(&[SYSTEMD]);
        system.uid = 999;
        assert_eq!(remove_ipc(&system).level, Level::Ok);
        let (_temp, low) =
            node(&[SYSTEMD, ("etc/login.defs", "SYS_UID_MIN 101\nSYS_UID_MAX\t2000\n")]);
        assert_eq!(remove_ipc(&low).level, Level::Ok);
        let lingers = node(&[SYSTEMD, ("var/lib/systemd/linger/ann", "")]);
        assert_eq!(remove_ipc(&lingers.1).level, Level::Ok);
    }
}
