//! The completion scripts: for bash, zsh and fish, scripts that run the program; for other shells, those of clap.

use clap_complete::Shell;

/// Returns the completion script of `shell`.
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
