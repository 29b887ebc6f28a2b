//! Reads the array of the server example under its lock, and checks that no update is partial.
//!
//!     cargo run --example client -- PROJECT LOCKFILE [ROUNDS]

use std::time::Duration;

use cute_shm::{Error, FileLock, Kind, Node, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let project = args.next().unwrap_or_else(|| "demo".to_owned());
    let lock = FileLock::new(args.next().unwrap_or_else(|| "/tmp/cute-shm-demo.lock".to_owned()));
    let rounds: u32 = args.next().and_then(|text| text.parse().ok()).unwrap_or(100);

    let attached = Node::from_env().open(&project)?;
    for _ in 0..rounds {
        let reading = attached.read_locked(&lock, Duration::from_secs(10))?;
        let numbers = reading.slice::<i64>("data")?;
        if numbers.iter().any(|number| *number != numbers[0]) {
            return Err(Error::new(Kind::Corrupt, "read a partial update"));
        }
        drop(reading);
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("{rounds} rounds, no partial update");
    Ok(())
}
