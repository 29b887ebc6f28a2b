//! What the workers tell the keeper, all over one pipe and not too often.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::load::supervisor::protocol::{Message, Sender};
use crate::os::threads::lock_ignoring_poison;

/// How often the keeper hears how far it is.
const REPORT: Duration = Duration::from_millis(50);

/// But after so many bytes in any case: a load that is cancelled ends within a block.
const BLOCK: u64 = 16 << 20;

/// The workers' common line to the keeper.
#[derive(Debug)]
pub struct ProgressSender<'a> {
    line: Mutex<(&'a mut Sender, Throttle)>,
    unsaid: AtomicU64,
}

impl<'a> ProgressSender<'a> {
    /// Over this line.
    pub fn new(sender: &'a mut Sender) -> Self {
        Self { line: Mutex::new((sender, Throttle::new())), unsaid: AtomicU64::new(0) }
    }

    /// Says it now.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn say(&self, message: &Message) -> Result<()> {
        lock_ignoring_poison(&self.line).0.send(message)
    }

    /// Says it if something is due.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn mention(&self, message: impl FnOnce() -> Message) -> Result<()> {
        let mut line = lock_ignoring_poison(&self.line);
        if line.1.is_due() { line.0.send(&message()) } else { Ok(()) }
    }

    /// So many bytes more are in memory.
    ///
    /// # Errors
    /// When the keeper is gone, or wants no more.
    pub fn advance(&self, bytes: u64) -> Result<()> {
        let unsaid = self.unsaid.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        // Whoever holds the line says it soon.
        let Ok(mut line) = self.line.try_lock() else { return Ok(()) };
        if unsaid < BLOCK && !line.1.is_due() {
            return Ok(());
        }
        line.0.send(&Message::Advanced(self.unsaid.swap(0, Ordering::Relaxed)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};

    #[test]
    fn a_keeper_that_wants_no_more_is_heard_within_a_block() {
        let mut asked = 0;
        let mut sender = Sender::call(move |_| {
            asked += 1;
            if asked < 3 { Ok(()) } else { Err(Error::new(Kind::Busy, "enough")) }
        });
        let progress = ProgressSender::new(&mut sender);
        // At once, then after a block, then after another.
        let blocks = (0..10).take_while(|_| progress.advance(BLOCK).is_ok()).count();
        assert!(blocks <= 2, "{blocks}");
        assert!((0..4).any(|_| progress.advance(BLOCK / 4).is_err()));
    }
}
