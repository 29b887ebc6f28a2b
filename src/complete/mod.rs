//! Completion of a shell's command line. The scripts in `completions/` run `cute-shm __complete SHELL ...`, which
//! never prints an error and takes at most about two seconds.

mod answer;
mod context;
mod line;
mod probe;
mod scripts;
mod values;

pub(crate) use self::answer::run;
#[cfg(test)]
pub(crate) use self::line::words_of;
pub(crate) use self::probe::WORD;
pub(crate) use self::scripts::script;
