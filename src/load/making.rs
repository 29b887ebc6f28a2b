//! A load by this very process, without a loader process: announced, filled by its caller, published.
//! What the library's users call goes through here; the steps are the keeper's.

use crate::shm::change::Change;
use crate::shm::ledger::{Lifetime, Record};
use crate::shm::lock::LifeLock;
use crate::shm::name::Token;
use crate::shm::place::Place;
use crate::{Error, Result};

use super::{Held, Request, keeper};

/// A load that is announced: whatever becomes of this process, its segments can be found.
#[derive(Debug)]
pub(crate) struct Making<'a> {
    place: &'a Place,
    request: &'a Request,
    change: Change<'a>,
    token: Token,
    replace: bool,
    life: Option<LifeLock>,
}

impl<'a> Making<'a> {
    /// Takes the change lock and announces the load. Another holder is waited for as long as `go_on`
    /// says so.
    pub fn begin(
        place: &'a Place,
        request: &'a Request,
        go_on: &mut dyn FnMut() -> Result<bool>,
    ) -> Result<Self> {
        let mut change = Change::begin(place, &request.project, go_on)?;
        match announce(place, request, &mut change) {
            Ok((token, replace, life)) => Ok(Self { place, request, change, token, replace, life }),
            Err(error) => {
                // The first error is what the user needs; what cannot be cleaned now, gc finds.
                let _ = change.finish();
                Err(error)
            }
        }
    }

    /// What the names of the segments bear.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Publishes the metadata (without its mark), or takes everything back.
    pub fn end(
        mut self,
        filled: Result<String>,
        amend: impl FnOnce(&mut Record),
    ) -> Result<Option<Held>> {
        let published = filled.and_then(|text| self.publish(&text, amend));
        match published {
            Ok(()) => {
                self.change.finish()?;
                let (project, token) = (&self.request.project, self.token);
                Ok(self.life.map(|life| Held::new(project, token, life)))
            }
            Err(error) => Err(self.give_up(error)),
        }
    }

    fn publish(&mut self, text: &str, amend: impl FnOnce(&mut Record)) -> Result<()> {
        let text = format!("{}\n{text}", keeper::mark(self.place, &self.token));
        let (access, grace) = (self.request.access(), self.request.grace);
        self.change.publish(text, &access, self.replace, amend, || std::thread::sleep(grace))
    }

    /// Nothing of the load stays; gives the error back.
    fn give_up(self, error: Error) -> Error {
        // As above: the first error counts.
        let _ = self.change.give_up(&error);
        error
    }
}

impl Making<'_> {
    /// Whether the memory that is needed is there.
    pub fn check_budget(&self, need: crate::shm::budget::Need) -> Result<()> {
        crate::shm::budget::check(&self.place.shm, need)
    }
}

fn announce(
    place: &Place,
    request: &Request,
    change: &mut Change<'_>,
) -> Result<(Token, bool, Option<LifeLock>)> {
    let there = change.judge()?;
    let replace = keeper::may_replace(request, there.as_ref())?;
    let token = Token::random()?;
    let mut next = keeper::record(place, request, &token);
    next.replaces = there.as_ref().map(keeper::foreign_segments).unwrap_or_default();
    change.announce(next)?;
    let life = match request.lifetime {
        Lifetime::Held => Some(LifeLock::take(&place.shm, change.lock().key(), &token)?),
        Lifetime::Persistent => None,
    };
    Ok((token, replace, life))
}
