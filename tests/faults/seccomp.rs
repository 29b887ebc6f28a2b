//! System calls that a kernel lacks or a container forbids: a filter makes them fail for a command and
//! all its processes.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// One rule: the call `number` fails with `errno`, if bits of one of its arguments are set.
#[derive(Clone, Copy)]
pub struct Deny {
    number: i64,
    errno: i32,
    /// The index of the argument, and the bits that must all be set.
    bits: Option<(u32, u32)>,
}

impl Deny {
    pub fn call(number: i64, errno: i32) -> Self {
        Self { number, errno, bits: None }
    }

    /// Only if all of `bits` are set in the argument `index` (from 0).
    pub fn with_bits(number: i64, errno: i32, index: u32, bits: i32) -> Self {
        Self { number, errno, bits: Some((index, bits.cast_unsigned())) }
    }
}

/// Threads cannot be created, processes can: `clone3` hides its flags from a filter, and the C library uses
/// `clone` where it is missing.
pub fn no_threads() -> Vec<Deny> {
    vec![
        Deny::call(libc::SYS_clone3, libc::ENOSYS),
        Deny::with_bits(libc::SYS_clone, libc::EAGAIN, 0, libc::CLONE_THREAD),
    ]
}

/// Makes these calls fail in the command.
pub fn deny<'a>(command: &'a mut Command, rules: &[Deny]) -> &'a mut Command {
    let program = program(rules);
    // SAFETY: two system calls, both safe between fork and exec; the filter is copied into the kernel.
    unsafe {
        command.pre_exec(move || {
            let filter = libc::sock_fprog {
                len: u16::try_from(program.len()).expect("a short filter"),
                filter: program.as_ptr().cast_mut(),
            };
            let none = 0_u64;
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, none, none, none) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, 2_u64, &raw const filter, none, none) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command
}

/// Returns the filter as a classic BPF program: seccomp(2).
fn program(rules: &[Deny]) -> Vec<libc::sock_filter> {
    let load = |offset| instruction(0x20, 0, 0, offset);
    let allow = instruction(0x06, 0, 0, libc::SECCOMP_RET_ALLOW);
    let mut all = Vec::new();
    for rule in rules {
        let fail = instruction(
            0x06,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | u32::try_from(rule.errno).expect("an error number"),
        );
        let number = u32::try_from(rule.number).expect("a number of a system call");
        // struct seccomp_data: nr at 0, the arguments from 16 on, the low half first.
        let test = match rule.bits {
            None => vec![],
            Some((index, bits)) => vec![
                load(16 + 8 * index),
                instruction(0x54, 0, 0, bits),
                instruction(0x15, 0, 1, bits),
            ],
        };
        all.push(load(0));
        all.push(instruction(0x15, 0, u8::try_from(test.len() + 1).expect("short"), number));
        all.extend(test);
        all.push(fail);
    }
    all.push(allow);
    all
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}
