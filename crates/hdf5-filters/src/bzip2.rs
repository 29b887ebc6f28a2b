//! Filter 307, bzip2.
//! Source: <https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md>.

use bzip2::{Decompress, Status};

use crate::buffer::check_room;
use crate::error::Error;

const DAMAGED: Error = Error::Corrupt("bzip2: damaged data");

/// The number of bytes of `target` that one stream fills.
pub(super) fn fills(source: &[u8], target: &mut [u8]) -> Result<usize, Error> {
    check_room()?;
    let mut engine = Decompress::new(false);
    loop {
        let place = |total: u64| usize::try_from(total).map_err(|_| DAMAGED);
        let (read, done) = (place(engine.total_in())?, place(engine.total_out())?);
        let (source, target) =
            (source.get(read..).ok_or(DAMAGED)?, target.get_mut(done..).ok_or(DAMAGED)?);
        let status = engine.decompress(source, target).map_err(|_| DAMAGED)?;
        let (read, done) = (place(engine.total_in())? - read, place(engine.total_out())? - done);
        match status {
            Status::StreamEnd => return place(engine.total_out()),
            Status::MemNeeded => return Err(Error::NoMemory),
            // The input or the room is used up.
            _ if read == 0 && done == 0 => return Err(DAMAGED),
            _ => {}
        }
    }
}
