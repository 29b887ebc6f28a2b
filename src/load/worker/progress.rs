//! Rate-limited progress messages from the workers to the supervisor, over one connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::load::protocol::{Message, Sender};
use crate::os::threads::lock_ignoring_poison;

/// The least time between two messages.
const INTERVAL: Duration = Duration::from_millis(50);

/// The most bytes between two messages: a cancelled load ends within this many bytes for each worker.
const MAX_UNREPORTED_BYTES: u64 = 16 << 20;

/// The connection to the supervisor that all workers share.
#[derive(Debug)]
pub(crate) struct ProgressSender<'a> {
    connection: Mutex<(&'a mut Sender, Throttle)>,
    pending_bytes: AtomicU64,
    loaded_bytes: Arc<AtomicU64>,
}

impl<'a> ProgressSender<'a> {
    /// Sends through this sender.
    pub(crate) fn new(sender: &'a mut Sender) -> Self {
        let connection = Mutex::new((sender, Throttle::new()));
        Self { connection, pending_bytes: AtomicU64::new(0), loaded_bytes: Arc::default() }
    }

    /// The number of all bytes that are in shared memory.
    pub(crate) fn loaded_bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.loaded_bytes)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Returns the errors of [`Sender::send`].
    pub(crate) fn send(&self, message: &Message) -> Result<()> {
        lock_ignoring_poison(&self.connection).0.send(message)
    }

    /// Sends a message if the last one is old enough.
    ///
    /// # Errors
    /// Returns the errors of [`Sender::send`].
    pub(crate) fn send_if_due(&self, message: impl FnOnce() -> Message) -> Result<()> {
        let mut connection = lock_ignoring_poison(&self.connection);
        if connection.1.is_due() { connection.0.send(&message()) } else { Ok(()) }
    }

    /// Reports that this many more bytes are in shared memory.
    ///
    /// # Errors
    /// Returns the errors of [`Sender::send`].
    pub(crate) fn advance(&self, bytes: u64) -> Result<()> {
        self.loaded_bytes.fetch_add(bytes, Ordering::Relaxed);
        let pending = self.pending_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        // The worker that holds the lock, or a later one, reports these bytes too.
        let Ok(mut connection) = self.connection.try_lock() else { return Ok(()) };
        if pending < MAX_UNREPORTED_BYTES && !connection.1.is_due() {
            return Ok(());
        }
        connection.0.send(&Message::Advanced(self.pending_bytes.swap(0, Ordering::Relaxed)))
    }
}

/// Limits the rate of messages to one in each [`INTERVAL`].
#[derive(Debug)]
pub(crate) struct Throttle(Option<Instant>);

impl Throttle {
    /// A throttle whose first message is due at once.
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// Whether a message is due. If so, the next interval begins.
    pub(crate) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now.duration_since(last) >= INTERVAL);
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
    use crate::load::protocol::SupervisorLink;

    #[test]
    fn error_of_the_supervisor_ends_the_workers_within_the_unreported_bytes() {
        let mut asked = 0;
        let mut link = SupervisorLink::in_process(move |_| {
            asked += 1;
            if asked < 3 { Ok(()) } else { Err(Error::new(Kind::Busy, "enough")) }
        });
        let progress = ProgressSender::new(&mut link.sender);
        // The first message is due at once, the others after that many bytes each.
        let blocks = (0..10).take_while(|_| progress.advance(MAX_UNREPORTED_BYTES).is_ok()).count();
        assert!(blocks <= 2, "{blocks}");
        assert!((0..4).any(|_| progress.advance(MAX_UNREPORTED_BYTES / 4).is_err()));
    }
}
