//! The progress of a load on a terminal's stderr: bytes, rate, time left. It appears after a quarter
//! of a second, is drawn at most 20 times a second, and is cleared when it is dropped.

use std::fmt::Write;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::json::Warning;
use super::message::{labeled, say};
use super::style::YELLOW;
use super::styled::Text;
use crate::context::Context;
use crate::load::{Observer, Planned};
use crate::shm::format::ledger::Note;
use crate::text;

/// Time before the bar appears.
const BAR_DELAY: Duration = Duration::from_millis(250);

/// Number of objects that are named for each reason. Further objects are counted.
const MAX_NAMED: usize = 3;

/// Shows the progress of a load and reports its warnings.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    wanted: bool,
    context: Context,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
    /// Number of warnings for each reason, with names replaced.
    repeats: IndexMap<(&'static str, String), usize>,
    /// The reported warnings.
    pub(crate) warnings: Vec<Warning>,
}

impl Progress {
    /// Creates the observer; the bar appears only on a terminal.
    pub(crate) fn new(context: &Context, no_progress: bool) -> Self {
        Self {
            begun: Instant::now(),
            wanted: context.terminal_err && !no_progress && !context.quiet && context.verbose == 0,
            context: context.clone(),
            total: 0,
            done: 0,
            bar: None,
            repeats: IndexMap::new(),
            warnings: Vec::new(),
        }
    }

    /// Reports the number of objects that were not named.
    fn sum_up(&mut self) {
        for ((code, reason), count) in std::mem::take(&mut self.repeats) {
            if count > MAX_NAMED && !self.context.quiet && self.context.verbose == 0 {
                let more = text::count((count - MAX_NAMED) as u64, "more object");
                let verb = if count - MAX_NAMED == 1 { "is" } else { "are" };
                // A virtual dataset without its source is filled, not skipped.
                let done = if code == "filled" { "incomplete" } else { "skipped" };
                let message = format!("{more} {verb} {done}: {reason} (-v names each)");
                self.say(labeled("warning:", YELLOW, &message));
            }
        }
    }

    fn say(&self, line: impl Into<Text>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line, &self.context)),
            None => say(line, &self.context),
        }
    }

    fn appear(&mut self) {
        let target = ProgressDrawTarget::stderr_with_hz(20);
        let style = "{msg} {wide_bar} {bytes}/{total_bytes} {rate}, {eta} left";
        let bar = ProgressBar::with_draw_target(Some(self.total), target)
            .with_elapsed(self.begun.elapsed());
        if let Ok(style) = ProgressStyle::with_template(style) {
            // The estimate of indicatif would count all bytes before the bar appeared as loaded in an instant.
            bar.set_style(style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{}/s", HumanBytes(rate(state.pos(), state.elapsed())));
            }));
        }
        bar.set_message("loading");
        bar.set_position(self.done);
        self.bar = Some(bar);
    }
}

/// A reason with the names in it replaced, so that reasons that differ only in names are equal.
fn generalize(reason: &str) -> String {
    let parts = reason.split('\'').enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { part } else { "'...'" }).collect()
}

/// Returns the average number of bytes per second.
fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1000) / millis
}

impl Observer for Progress {
    fn at(&mut self, path: &str) {
        if self.context.verbose > 1 {
            self.step(&format!("reading {path}"));
        }
    }

    fn planned(&mut self, plan: &Planned) {
        self.sum_up();
        self.total = plan.bytes();
        if self.context.verbose > 0 && !self.context.quiet {
            let arrays = text::count(plan.arrays.len() as u64, "array");
            self.step(&format!("planned {arrays}, {}", text::size(self.total)));
            for note in &plan.left_out {
                self.step(&format!("attribute {} is left out: {}", note.path, note.reason));
            }
        }
    }

    fn advanced(&mut self, bytes: u64) {
        self.done += bytes;
        if self.wanted && self.bar.is_none() && self.begun.elapsed() > BAR_DELAY {
            self.appear();
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        }
    }

    fn warn(&mut self, note: &Note) {
        self.report(Warning::skipped(note), note);
    }

    fn filled(&mut self, note: &Note) {
        self.report(Warning::filled(note), note);
    }

    fn step(&mut self, step: &str) {
        if self.context.verbose > 0 && !self.context.quiet {
            let seconds = self.begun.elapsed().as_secs_f64();
            self.say(format!("[{seconds:9.6}] {step}"));
        }
    }
}

impl Progress {
    fn report(&mut self, warning: Warning, note: &Note) {
        let count = self.repeats.entry((warning.code, generalize(&note.reason))).or_default();
        *count += 1;
        if !self.context.quiet && (*count <= MAX_NAMED || self.context.verbose > 0) {
            self.say(labeled("warning:", YELLOW, &warning.to_string()));
            if let (Some(detail), true) = (&note.detail, self.context.verbose > 0) {
                self.say(format!("detail: {detail}"));
            }
        }
        self.warnings.push(warning);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.sum_up();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_differ_in_names_are_equal() {
        assert_eq!(generalize("dangling soft link to '/x'"), "dangling soft link to '...'");
        assert_eq!(generalize("it's"), "it'...'");
        assert_eq!(generalize("plain"), "plain");
    }
}
