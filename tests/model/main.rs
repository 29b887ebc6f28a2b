//! A model of the protocol of docs/protocol.md: loads, keepers, removals, `gc`, Python programs and another user, at
//! every interleaving of their steps, with a kill and a failed read at every step. The invariants are those of its tables.
//!
//! `CUTE_SHM_TEST_MODEL=full` explores three processes everywhere, and two faults of each kind.

mod load;
mod node;
mod process;
mod python;
mod recovery;
mod removal;
mod search;

use process::Role;
use search::{Before, Faults, explore};

const NEW: Role = Role::Load { overwrite: false, held: false };
const OVERWRITE: Role = Role::Load { overwrite: true, held: false };
const HELD: Role = Role::Load { overwrite: true, held: true };

const BEFORE: [Before; 4] = [Before::Nothing, Before::Persistent, Before::Held, Before::Python];
const ROLES: [Role; 7] =
    [NEW, OVERWRITE, HELD, Role::Unlink, Role::Gc, Role::PythonShare, Role::PythonUnlink];

fn is_full() -> bool {
    std::env::var_os("CUTE_SHM_TEST_MODEL").is_some_and(|value| value == "full")
}

/// Returns the token in the segment names of a role: the model has one for loads and one for Python programs.
fn token(role: Role) -> Option<u8> {
    match role {
        Role::Load { .. } => Some(node::NEW),
        Role::PythonShare => Some(node::PYTHON),
        _ => None,
    }
}

/// Explores each pair of roles, with the keeper of a held project as a third process; a full run adds `gc` to the others.
fn explore_pairs(what: &str, faults: Faults) {
    let mut states = 0;
    for before in BEFORE {
        for (first, role) in ROLES.iter().enumerate() {
            for other in &ROLES[first..] {
                let mut roles = vec![*role, *other];
                match before {
                    Before::Held => roles.push(Role::Keeper),
                    _ if is_full() => roles.push(Role::Gc),
                    _ => {}
                }
                if let (Some(one), Some(two)) = (token(*role), token(*other))
                    && one == two
                {
                    continue;
                }
                states += explore(before, &roles, faults);
            }
        }
    }
    println!("protocol model, {what}: {states} states");
}

#[test]
fn every_interleaving_with_one_kill_leaves_one_whole_project_or_nothing() {
    let kills = if is_full() { 2 } else { 1 };
    explore_pairs("kills", Faults { kills, ..Faults::default() });
}

#[test]
fn every_interleaving_with_one_failed_read_loses_nothing() {
    let failed_reads = if is_full() { 2 } else { 1 };
    explore_pairs("failed reads", Faults { failed_reads, ..Faults::default() });
}

#[test]
fn squatters_on_fixed_names_cost_no_project_and_root_clears_them() {
    let squats = if is_full() { 3 } else { 2 };
    explore_pairs("squats", Faults { squats, ..Faults::default() });
}

#[test]
fn kill_failed_read_and_squatter_together_lose_nothing() {
    let squats = u8::from(is_full());
    explore_pairs(
        "all faults at once",
        Faults { kills: 1, failed_reads: 1, squats, ..Faults::default() },
    );
}

#[test]
#[should_panic(expected = "is visible and not whole")]
fn search_finds_a_recovery_that_treats_unreadable_metadata_as_absent() {
    let faults =
        Faults { kills: 1, failed_reads: 1, unreadable_is_absent: true, ..Faults::default() };
    explore(Before::Nothing, &[NEW, Role::Gc], faults);
}
