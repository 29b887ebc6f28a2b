//! The output of one command: the result on stdout, everything else on stderr; text, or one JSON object.

use std::io::{self, Write as _};
use std::path::PathBuf;

use serde::Serialize;

use super::json;
use super::message::{labeled, say, write_stderr};
use super::style::{CYAN, RED, YELLOW};
use super::styled::Text;
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// The output of one command, with its JSON body `B`.
#[derive(Debug)]
pub(crate) struct Output<'a, B> {
    /// Environment and global options.
    pub(crate) context: &'a Context,
    /// The fields of this command in the JSON object.
    pub(crate) body: B,
    command: &'static str,
    warnings: Vec<json::Warning>,
    errors: Vec<json::Failure>,
    emitted: bool,
    json_to: Option<PathBuf>,
    to_stderr: bool,
    broken: Option<io::Error>,
}

impl<'a, B: Serialize> Output<'a, B> {
    /// Creates an empty output.
    pub(crate) fn new(context: &'a Context, command: &'static str, body: B) -> Self {
        let (warnings, errors) = (Vec::new(), Vec::new());
        Self {
            context,
            body,
            command,
            warnings,
            errors,
            emitted: false,
            json_to: None,
            to_stderr: false,
            broken: None,
        }
    }

    /// Prints text of the result; nothing with `--json`.
    pub(crate) fn print(&mut self, text: impl Into<Text>) {
        let text = text.into();
        if self.to_stderr {
            if !self.context.quiet {
                write_stderr(&text, self.context);
            }
        } else if !self.context.json {
            self.write(&text.render(self.context.width.is_some(), self.context.color));
        }
    }

    /// Reserves stdout for CMD: text goes to stderr, and the JSON object to this file.
    ///
    /// # Errors
    /// Returns [`Kind::Usage`] with `--json` and without a file.
    pub(crate) fn reserve_stdout(&mut self, json_to: Option<PathBuf>) -> Result<()> {
        self.to_stderr = true;
        self.json_to = json_to;
        if self.context.json && self.json_to.is_none() {
            self.emitted = true;
            return Err(Error::new(
                Kind::Usage,
                "--json cannot be used with -- CMD, which owns stdout",
            )
            .with_hint("write the JSON object to a file with --json-to FILE"));
        }
        Ok(())
    }

    /// Leaves the result to another process.
    pub(crate) fn delegate_result(&mut self) {
        self.emitted = true;
    }

    /// Prints a line of the result; nothing with `--json`.
    pub(crate) fn line(&mut self, text: impl Into<Text>) {
        let mut text = text.into();
        text.end_line();
        self.print(text);
    }

    /// Prints a status message to stderr; nothing with `--quiet`.
    pub(crate) fn status(&self, text: impl Into<Text>) {
        if !self.context.quiet {
            say(text, self.context);
        }
    }

    /// Prints a detail to stderr with `-v`.
    pub(crate) fn detail(&self, text: impl Into<Text>) {
        if self.context.verbose > 0 && !self.context.quiet {
            say(text, self.context);
        }
    }

    /// Reports a warning, in text and in JSON.
    pub(crate) fn warn(&mut self, warning: json::Warning) {
        if !self.context.quiet {
            say(labeled("warning:", YELLOW, &warning.to_string()), self.context);
        }
        self.warnings.push(warning);
    }

    /// Reports advice: a hint in text, a warning in JSON.
    pub(crate) fn advise(&mut self, warning: json::Warning) {
        if !self.context.quiet {
            say(labeled("hint:", CYAN, &warning.message), self.context);
        }
        self.warnings.push(warning);
    }

    /// Adds a warning to the JSON object only: the text is already printed.
    pub(crate) fn note(&mut self, warning: json::Warning) {
        self.warnings.push(warning);
    }

    /// Reports an error. The command continues.
    pub(crate) fn fail(&mut self, error: &Error) {
        say(labeled("error:", RED, &error.to_string()), self.context);
        if let Some(detail) = error.detail() {
            self.detail(format!("detail: {detail}"));
        }
        if let Some(hint) = error.hint() {
            say(labeled("hint:", CYAN, hint), self.context);
        }
        self.errors.push(json::Failure::from(error));
    }

    /// Prints the JSON object once, if it is requested.
    pub(crate) fn emit(&mut self) {
        let wanted = self.context.json || self.json_to.is_some();
        if !wanted || std::mem::replace(&mut self.emitted, true) {
            return;
        }
        let envelope = json::Envelope {
            schema: json::SCHEMA,
            command: Some(self.command),
            ok: self.errors.is_empty(),
            body: &self.body,
            warnings: &self.warnings,
            errors: &self.errors,
        };
        match json::text(&envelope) {
            Ok(text) => match &self.json_to {
                None => self.write(&format!("{text}\n")),
                Some(path) => {
                    if let Err(error) = std::fs::write(path, format!("{text}\n")) {
                        self.broken = Some(error);
                    }
                }
            },
            Err(error) => self.broken = Some(io::Error::other(error)),
        }
    }

    /// Prints the JSON object as [`Self::emit`] does. A result that could not be written is an error; a reader
    /// that closed the pipe early is not.
    ///
    /// # Errors
    /// Returns the error of the file or of standard output.
    pub(crate) fn deliver(&mut self) -> Result<()> {
        self.emit();
        let what = match &self.json_to {
            Some(path) => format!("cannot write '{}'", path.display()),
            None => "cannot write the result".to_owned(),
        };
        match self.broken.take_if(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            Some(error) => Err(Error::io(what, error)),
            None => Ok(()),
        }
    }

    fn write(&mut self, text: &str) {
        if self.broken.is_some() {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            self.broken = Some(error);
        }
    }

    /// Reports the error of `result`, prints the JSON object, and returns the exit code.
    pub(crate) fn finish(mut self, result: Result<()>) -> u8 {
        let mut code = 0;
        if let Err(error) = result {
            code = error.kind().exit_code();
            // An empty message carries an exit code only: the end of a held project, or the status of CMD.
            if !error.to_string().is_empty() {
                self.fail(&error);
            }
        }
        self.emit();
        match self.broken {
            // EPIPE is not an error: the reader closed the pipe early.
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let error = Error::io("cannot write the result", error);
                say(labeled("error:", RED, &error.to_string()), self.context);
                if code == 0 { Kind::Io.exit_code() } else { code }
            }
            _ => code,
        }
    }
}
