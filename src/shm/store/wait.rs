//! Waits until a project is live, for consumers that start before the loader.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::shm::format::name::ProjectName;
use crate::shm::store::node_dirs::{NodeDirs, Paths};
use crate::shm::store::state::{self, Project, State};

/// Interval between two looks at the project.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until the project is live, for `limit` or without a limit. The root may be created in the meantime.
///
/// # Errors
/// Returns [`Kind::Busy`] if the time is over, else the error of the system call.
pub(crate) fn until_live(
    paths: &Paths,
    name: &ProjectName,
    limit: Option<Duration>,
) -> Result<(NodeDirs, Project)> {
    let begun = Instant::now();
    loop {
        let dirs = NodeDirs::open(paths)?;
        match state::find(&dirs, name) {
            Ok(project) if project.state == State::Live => return Ok((dirs, project)),
            Err(error) if error.kind() != Kind::NotFound => return Err(error),
            _ => {}
        }
        if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            let seconds = begun.elapsed().as_secs_f64();
            let message = format!("project '{name}' was not live after {seconds:.1} s");
            return Err(Error::new(Kind::Busy, message)
                .with_subject(name.to_text())
                .with_hint("'cute-shm list -s' lists the existing projects"));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}
