//! Compares the library with a parallel memcpy and, if an interpreter with the Python package is given, with
//! `arrays_to_shm` and `shm_to_arrays`. Runs interleaved rounds, and prints best and median.
//!
//!     CUTE_SHM_TEST_PYTHON=.venv/bin/python cargo bench --bench api -- [MIB] [ROUNDS]

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use cute_shm::{Node, Tree};
use memmap2::MmapOptions;

/// The maximum number of arrays. The package takes two descriptors for each, so the limit of open files can be lower.
fn arrays() -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    10_000.min(usize::try_from(most / 2).unwrap_or(usize::MAX).saturating_sub(50))
}

const PYTHON: &str = r"
import resource, sys, time
import numpy as np, cute_shm
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
project, mib = sys.argv[1], int(sys.argv[2])
data = np.ones(mib << 17)
for line in sys.stdin:
    begun = time.perf_counter()
    if line == 'share\n':
        cute_shm.arrays_to_shm(project, {'data': data}, persistent=True)
    else:
        arrays = cute_shm.shm_to_arrays(line.strip())
    seconds = time.perf_counter() - begun
    if line == 'share\n':
        cute_shm.unlink(project)
    else:
        del arrays
    print(seconds, flush=True)
";

struct Python(Child, ChildStdin, BufReader<ChildStdout>);

impl Python {
    fn start(project: &str, mib: usize) -> Option<Self> {
        let mut child = Command::new(std::env::var_os("CUTE_SHM_TEST_PYTHON")?)
            .args(["-c", PYTHON, project, &mib.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
        Some(Self(child, stdin, BufReader::new(stdout)))
    }

    fn time(&mut self, line: &str) -> Option<f64> {
        writeln!(self.1, "{line}").ok()?;
        let mut answer = String::new();
        self.2.read_line(&mut answer).ok()?;
        answer.trim().parse().ok()
    }
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let (mib, rounds) =
        (numbers.first().copied().unwrap_or(1024), numbers.get(1).copied().unwrap_or(7));
    let project = format!("bench-api-{}", std::process::id());
    let node = Node::default();
    let data = ndarray::Array1::<f64>::ones(mib << 17);
    let mut tree = Tree::new();
    tree.array("data", &data).expect("a path");
    let mut python = Python::start(&project, mib);
    if python.is_none() {
        println!("without Python: set CUTE_SHM_TEST_PYTHON");
    }

    let (mut memcpy, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        memcpy.push(parallel_memcpy(&project, data.as_slice().expect("one axis")));
        let begun = Instant::now();
        let guard = node.share(&project).hold(&tree).expect("memory");
        ours.push(begun.elapsed().as_secs_f64());
        drop(guard);
        theirs.extend(python.as_mut().and_then(|python| python.time("share")));
    }
    println!("{mib} MiB from an ndarray to shared memory, {rounds} rounds");
    tell("parallel memcpy", &mut memcpy, &mut []);
    tell("cute_shm (Rust)", &mut ours, &mut memcpy.clone());
    tell("arrays_to_shm", &mut theirs, &mut ours.clone());

    let arrays = arrays();
    let small: Vec<[f64; 4]> = vec![[1.0; 4]; arrays];
    let mut tree = Tree::new();
    for (n, numbers) in small.iter().enumerate() {
        tree.array(&format!("group{}/a{n}", n % 10), numbers).expect("a path");
    }
    let _guard = node.share(&project).hold(&tree).expect("memory");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        let attached = node.open(&project).expect("a project");
        ours.push(begun.elapsed().as_secs_f64());
        drop(attached);
        theirs.extend(python.as_mut().and_then(|python| python.time(&project)));
    }
    println!("attach of {arrays} arrays, {rounds} rounds");
    tell("cute_shm (Rust)", &mut ours, &mut []);
    tell("shm_to_arrays", &mut theirs, &mut ours.clone());
    if let Some(Python(mut child, stdin, _)) = python {
        drop(stdin);
        let _ = child.wait();
    }
}

/// Prints best and median, and the ratio of the medians to `base`.
fn tell(name: &str, times: &mut [f64], base: &mut [f64]) {
    let Some((best, median)) = summary(times) else { return };
    let ratio = summary(base).map_or_else(String::new, |(b, m)| {
        format!("  {:.2} x in the median, {:.2} x at best", median / m, best / b)
    });
    println!("  {name:16} best {best:.3} s  median {median:.3} s{ratio}");
}

fn summary(times: &mut [f64]) -> Option<(f64, f64)> {
    times.sort_by(f64::total_cmp);
    Some((*times.first()?, times[times.len() / 2]))
}

/// The reference: a mapped file of that size on the same tmpfs, filled by one thread per processor.
fn parallel_memcpy(project: &str, data: &[f64]) -> f64 {
    let path = format!("/dev/shm/{project}.yardstick");
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let begun = Instant::now();
    let file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
    let bytes = size_of_val(data);
    file.set_len(bytes as u64).expect("room");
    // SAFETY: no other process uses the file.
    let mut map = unsafe { MmapOptions::new().len(bytes).map_mut(&file) }.expect("a mapping");
    // SAFETY: every number is a valid sequence of bytes.
    let from = unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<u8>(), bytes) };
    let piece = bytes.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (from, to) in from.chunks(piece).zip(map.chunks_mut(piece)) {
            scope.spawn(move || to.copy_from_slice(from));
        }
    });
    drop(map);
    let seconds = begun.elapsed().as_secs_f64();
    std::fs::remove_file(path).expect("its own file");
    seconds
}
