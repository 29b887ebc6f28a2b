//! What the workers tell the keeper, all over one pipe and not too often.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::message::{Message, Sender};
use super::target::unlocked;
use crate::Result;

/// How often the keeper hears how far it is.
const REPORT: Duration = Duration::from_millis(50);

/// The workers' common line to the keeper.
#[derive(Debug)]
pub struct Voice<'a> {
    line: Mutex<(&'a mut Sender, Throttle)>,
    unsaid: AtomicU64,
}

impl<'a> Voice<'a> {
    /// Over this line.
    pub fn new(sender: &'a mut Sender) -> Self {
        Self { line: Mutex::new((sender, Throttle::new())), unsaid: AtomicU64::new(0) }
    }

    /// Says it now.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn say(&self, message: &Message) -> Result<()> {
        unlocked(&self.line).0.send(message)
    }

    /// Says it if something is due.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn mention(&self, message: impl FnOnce() -> Message) -> Result<()> {
        let mut line = unlocked(&self.line);
        if line.1.is_due() { line.0.send(&message()) } else { Ok(()) }
    }

    /// So many bytes more are in memory.
    pub fn advance(&self, bytes: u64) {
        self.unsaid.fetch_add(bytes, Ordering::Relaxed);
        // Whoever holds the line says it soon.
        let Ok(mut line) = self.line.try_lock() else { return };
        if line.1.is_due() {
            let bytes = self.unsaid.swap(0, Ordering::Relaxed);
            // A keeper that is gone ends this process by another way.
            let _ = line.0.send(&Message::Advanced(bytes));
        }
    }
}

/// Says when something is due again: at most every [`REPORT`].
#[derive(Debug)]
pub struct Throttle(Option<Instant>);

impl Throttle {
    /// The first time is at once.
    pub fn new() -> Self {
        Self(None)
    }

    /// Whether it is time.
    pub fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now.duration_since(last) >= REPORT);
        if due {
            self.0 = Some(now);
        }
        due
    }
}
