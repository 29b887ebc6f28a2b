//! Prints the debug log of the library to stderr, for `-vv`: every created, attached or removed segment.

use std::sync::OnceLock;
use std::time::Instant;

use log::{LevelFilter, Log, Metadata, Record};

use super::message::say;
use crate::context::Context;

/// The prefix of the targets of this library.
const TARGET_PREFIX: &str = "cute_shm";

struct Events {
    begun: Instant,
    context: Context,
}

/// Prints the events of the library from now on with `-vv`.
pub(crate) fn install(context: &Context) {
    static EVENTS: OnceLock<Events> = OnceLock::new();
    if context.verbose < 2 || context.quiet {
        return;
    }
    let (begun, context) = (Instant::now(), context.clone());
    let events = EVENTS.get_or_init(|| Events { begun, context });
    // A program keeps its own logger.
    if log::set_logger(events).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}

impl Log for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(TARGET_PREFIX)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        say(format!("[{seconds:9.6}] {}", record.args()), &self.context);
    }

    fn flush(&self) {}
}
