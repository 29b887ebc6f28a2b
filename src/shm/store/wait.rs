//! Waiting until a project is there: for consumers that start before the loader.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::shm::format::name::ProjectName;
use crate::shm::store::node_dirs::{NodeDirs, Paths};
use crate::shm::store::state::{self, Project, State};

/// How often it looks.
const POLL: Duration = Duration::from_millis(50);

/// The project once it is live, with its place; the root need not be there before. Waits for `limit`, or as long
/// as it takes.
///
/// # Errors
/// [`Kind::Busy`] when the time is over; else as the system says.
pub fn until_live(
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
                .with_hint("'cute-shm list -s' shows what is there"));
        }
        std::thread::sleep(POLL);
    }
}
