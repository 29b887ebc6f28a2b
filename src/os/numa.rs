//! `--numa`: the NUMA nodes on which the pages of segments are allocated.
#![allow(unsafe_code)]

use std::fs;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};

/// The number of bits in a node mask.
const MAX_NODES: usize = 1024;

/// The NUMA policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Numa {
    /// All nodes in turn.
    Interleave,
    /// The node of the thread that writes a page first.
    Local,
    /// These nodes in turn.
    Nodes(Vec<usize>),
}

impl FromStr for Numa {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "interleave" => Ok(Self::Interleave),
            "local" => Ok(Self::Local),
            _ => nodes(text)
                .filter(|nodes| !nodes.is_empty())
                .map(Self::Nodes)
                .ok_or_else(|| format!("invalid NUMA policy '{text}': expected interleave, local, or nodes such as 0,2-3")),
        }
    }
}

/// `0,2-3`
fn nodes(text: &str) -> Option<Vec<usize>> {
    let mut nodes = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MAX_NODES {
            return None;
        }
        nodes.extend(first..=last);
    }
    Some(nodes)
}

impl Numa {
    /// Sets the policy of this thread and of the threads that it starts from now on.
    ///
    /// # Errors
    /// Returns [`Kind::Usage`] for a node without memory, and the error of the system call.
    pub(crate) fn apply(&self) -> Result<()> {
        let online = fs::read_to_string("/sys/devices/system/node/has_memory")
            .or_else(|_| fs::read_to_string("/sys/devices/system/node/online"));
        let online = online.ok().and_then(|text| nodes(&text)).unwrap_or_else(|| vec![0]);
        let (mode, wanted) = match self {
            Self::Local => (libc::MPOL_LOCAL, Vec::new()),
            Self::Interleave => (libc::MPOL_INTERLEAVE, online.clone()),
            Self::Nodes(nodes) => (libc::MPOL_INTERLEAVE, nodes.clone()),
        };
        if let Some(node) = wanted.iter().find(|node| !online.contains(node)) {
            let there: Vec<String> = online.iter().map(ToString::to_string).collect();
            let message = format!("there is no NUMA node {node} with memory");
            let hint = format!("nodes with memory: {}", there.join(","));
            return Err(Error::new(Kind::Usage, message).with_hint(hint));
        }
        let mut mask = [0_u64; MAX_NODES / 64];
        for node in &wanted {
            mask[node / 64] |= 1 << (node % 64);
        }
        let (place, bits) = match wanted.is_empty() {
            true => (std::ptr::null(), 0),
            false => (mask.as_ptr(), MAX_NODES),
        };
        // SAFETY: the mask has `bits` bits and outlives the call.
        let status = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, place, bits) };
        if status == 0 {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        Err(Error::io("cannot set the NUMA policy (--numa)", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_and_nodes_are_parsed() {
        assert_eq!("local".parse(), Ok(Numa::Local));
        assert_eq!("0,2-3".parse(), Ok(Numa::Nodes(vec![0, 2, 3])));
        for bad in ["", "x", "3-1", "0-99999", "1,,2"] {
            assert!(bad.parse::<Numa>().is_err(), "{bad}");
        }
    }

    #[test]
    fn node_without_memory_is_a_usage_error() {
        assert_eq!(Numa::Nodes(vec![1000]).apply().unwrap_err().kind(), Kind::Usage);
    }
}
