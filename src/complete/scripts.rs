//! The scripts: ours for the shells whose completion asks the program, clap's for the others.

use clap_complete::Shell;

/// The completion script of `shell`.
pub(crate) fn script(shell: Shell, mut program: clap::Command) -> String {
    match shell {
        Shell::Bash => include_str!("scripts/cute-shm.bash").to_owned(),
        Shell::Zsh => include_str!("scripts/_cute-shm").to_owned(),
        Shell::Fish => include_str!("scripts/cute-shm.fish").to_owned(),
        other => {
            let mut text = Vec::new();
            clap_complete::generate(other, &mut program, "cute-shm", &mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
    }
}
