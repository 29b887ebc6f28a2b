//! What can stand at the cursor of a shell's command line. The scripts in `completions/` ask, with
//! `cute-shm __complete SHELL ...`; nothing here ever prints an error, and nothing takes long.

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
