//! The origin of a project's arrays, from the ledger.

use crate::shm::format::origin::Origin;
use crate::shm::store::state::project::Project;

impl Project {
    /// The origin of the project's arrays. The HDF5 library decodes its types and trusts them, so only that of
    /// this user's own projects is used.
    pub fn origin(&self) -> Option<Origin> {
        if self.uid != nix::unistd::Uid::effective().as_raw() {
            return None;
        }
        Origin::parse(self.record()?.origin.as_deref()?)
    }
}
