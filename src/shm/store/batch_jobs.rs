//! Which entries of a project's list of jobs are of a job that has ended. A requeued job has the same id,
//! and the epilog of its first run may see the next run's restart count: the time decides, not the count.

use jiff::Timestamp;

use crate::shm::format::ledger::{BatchJob, Record};

/// Which jobs have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// This one, in its runs up to this restart count.
    One(String, u64),
    /// All but these ids.
    AllBut(Vec<String>),
}

/// Jobs that have ended, as an epilog or the job list of the scheduler reports them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Which jobs.
    pub which: Which,
    /// When that was known. What joined a project later belongs to a later run.
    pub before: Timestamp,
}

impl Ended {
    /// Whether `listed`, an entry of `record`, is of a job that has ended.
    pub(crate) fn covers(&self, listed: &BatchJob, record: &Record) -> bool {
        let ended = match &self.which {
            Which::One(id, restart) => listed.id == *id && listed.restart <= *restart,
            // Names that users give in CUTE_SHM_JOB are in no scheduler's list.
            Which::AllBut(ids) => listed.scheduler != "other" && !ids.contains(&listed.id),
        };
        ended && joined(listed, record).is_some_and(|joined| joined < self.before)
    }

    /// What ended, in words.
    pub(crate) fn sentence(&self) -> String {
        match &self.which {
            Which::One(id, _) => format!("job {id} has ended"),
            Which::AllBut(_) => "its jobs have ended".to_owned(),
        }
    }
}

/// The time at which the job joined. Ledgers of older versions have only the time of the load.
fn joined(listed: &BatchJob, record: &Record) -> Option<Timestamp> {
    let since = if listed.since.is_empty() { &record.created } else { &listed.since };
    since.parse().ok()
}

/// Lists `job`. A run that is listed already is listed anew, as of now: an epilog that began before
/// must not take it off.
pub(crate) fn join(jobs: &mut Vec<BatchJob>, job: &BatchJob) {
    jobs.retain(|listed| {
        (&listed.scheduler, &listed.id, listed.restart) != (&job.scheduler, &job.id, job.restart)
    });
    jobs.push(job.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::format::ledger::tests::record;

    fn job(id: &str, restart: u64, since: &str) -> BatchJob {
        let since = if since.is_empty() { String::new() } else { format!("2026-05-01T{since}Z") };
        BatchJob { scheduler: "slurm".to_owned(), id: id.to_owned(), restart, since }
    }

    fn ended(restart: u64, at: &str) -> Ended {
        let before = format!("2026-05-01T{at}Z").parse().unwrap();
        Ended { which: Which::One("7".to_owned(), restart), before }
    }

    #[test]
    fn the_epilog_of_a_run_takes_that_run_off() {
        let record = record("aaaaa");
        assert!(ended(0, "12:00:00").covers(&job("7", 0, "11:00:00"), &record));
        assert!(!ended(0, "12:00:00").covers(&job("8", 0, "11:00:00"), &record));
        assert!(ended(0, "12:00:00").covers(&job("7", 0, ""), &record), "an older version's entry");
    }

    #[test]
    fn an_old_epilog_with_the_new_count_leaves_the_new_run() {
        let record = record("aaaaa");
        let late = ended(1, "12:00:00");
        assert!(late.covers(&job("7", 0, "11:00:00"), &record));
        assert!(!late.covers(&job("7", 1, "12:00:01"), &record));
        // A scheduler that tells no counts: the time alone decides.
        assert!(!ended(u64::MAX, "12:00:00").covers(&job("7", 0, "12:00:01"), &record));
    }

    #[test]
    fn jobs_that_are_not_on_the_node_have_ended() {
        let record = record("aaaaa");
        let which = Which::AllBut(vec!["7".to_owned()]);
        let ended = Ended { which, before: "2026-05-01T12:00:00Z".parse().unwrap() };
        assert!(!ended.covers(&job("7", 0, "11:00:00"), &record));
        assert!(ended.covers(&job("8", 0, "11:00:00"), &record));
        assert!(
            !ended.covers(&job("8", 0, "12:00:01"), &record),
            "it began after the list was made"
        );
        let named = BatchJob { scheduler: "other".to_owned(), ..job("8", 0, "11:00:00") };
        assert!(!ended.covers(&named, &record));
    }

    #[test]
    fn who_joins_again_is_listed_once_and_anew() {
        let mut jobs = vec![job("7", 0, "11:00:00"), job("7", 1, "11:30:00")];
        join(&mut jobs, &job("7", 0, "12:00:00"));
        assert_eq!(jobs, [job("7", 1, "11:30:00"), job("7", 0, "12:00:00")]);
    }
}
