//! The messages from the loader to the supervisor, and both ends of the connection between them: a pipe with
//! one JSON object a line, or a function of the same process.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorReport, Kind, Result};
use crate::load::planned::{Loaded, Planned};
use crate::os::child::end_now;
use crate::os::threads;

/// A message from the loader to the supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// The loader is about to inspect this object.
    Inspecting(String),
    /// The plan is complete, and no segment exists: the loader waits for the start of the transfer.
    Planned(Planned),
    /// The loader is about to read this dataset.
    Reading(String),
    /// This many more bytes are in shared memory.
    Advanced(u64),
    /// All data is in shared memory.
    Loaded(Loaded),
    /// The load failed.
    Failed(ErrorReport),
}

/// The loader's end of the connection.
#[derive(Debug)]
pub(crate) struct SupervisorLink {
    /// Sends messages.
    pub sender: Sender,
    start: Option<File>,
}

impl SupervisorLink {
    /// A connection by two pipes to the parent process, which writes a byte to `start` to start the transfer.
    pub(crate) fn to_parent(messages: File, start: File) -> Self {
        Self { sender: Sender(Channel::Pipe(messages)), start: Some(start) }
    }

    /// A connection to a supervisor in the same process. `send` returns when the supervisor lets the loader
    /// continue; its error ends the load.
    pub(crate) fn in_process(send: impl FnMut(&Message) -> Result<()> + Send + 'static) -> Self {
        Self { sender: Sender(Channel::Function(Box::new(send))), start: None }
    }

    /// Waits until the supervisor starts the transfer, and returns false if it exits before. Afterwards this
    /// process ends with its supervisor.
    pub(crate) fn wait_for_start(&mut self) -> bool {
        let Some(mut start) = self.start.take() else { return true };
        if !matches!(start.read(&mut [0]), Ok(1)) {
            return false;
        }
        // If the thread cannot be started, the death signal still ends the loader.
        let _ = threads::start(move || {
            // The supervisor writes no second byte: the read returns when the supervisor exits, or for a signal.
            while start.read(&mut [0]).is_err_and(|e| e.kind() == ErrorKind::Interrupted) {}
            end_now(1);
        });
        true
    }
}

/// Sends messages to the supervisor.
pub(crate) struct Sender(Channel);

type SendFn = dyn FnMut(&Message) -> Result<()> + Send;

enum Channel {
    Pipe(File),
    Function(Box<SendFn>),
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    /// Sends a message.
    ///
    /// # Errors
    /// Returns an I/O error if the supervisor has exited, and the supervisor's error if it ends the load.
    pub(crate) fn send(&mut self, message: &Message) -> Result<()> {
        let pipe = match &mut self.0 {
            Channel::Pipe(pipe) => pipe,
            Channel::Function(send) => return send(message),
        };
        let mut line = serde_json::to_vec(message)
            .map_err(|e| Error::new(Kind::Io, format!("cannot serialize a message: {e}")))?;
        line.push(b'\n');
        pipe.write_all(&line).map_err(|e| Error::io("cannot write to the keeper", e))
    }
}

/// Receives messages from a loader process.
#[derive(Debug)]
pub(crate) struct Receiver(BufReader<File>);

impl Receiver {
    /// Reads from this pipe.
    pub(crate) fn new(pipe: File) -> Self {
        Self(BufReader::with_capacity(1 << 16, pipe))
    }

    /// Whether bytes are buffered, so that the pipe may have none.
    pub(crate) fn is_buffered(&self) -> bool {
        !self.0.buffer().is_empty()
    }

    /// The pipe, to wait for.
    pub(crate) fn pipe(&self) -> &File {
        self.0.get_ref()
    }

    /// Returns the next message, or `None` if the loader has exited.
    ///
    /// # Errors
    /// Returns an I/O error if the pipe cannot be read or a line is not a message.
    pub(crate) fn receive(&mut self) -> Result<Option<Message>> {
        let mut line = Vec::new();
        self.0
            .read_until(b'\n', &mut line)
            .map_err(|e| Error::io("cannot read from the loader", e))?;
        if line.last() != Some(&b'\n') {
            return Ok(None);
        }
        serde_json::from_slice(&line)
            .map(Some)
            .map_err(|e| Error::new(Kind::Io, format!("invalid message from the loader: {e}")))
    }
}
