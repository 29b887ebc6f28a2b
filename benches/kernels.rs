//! The inner loops of a load on one core, in GB of decoded bytes per second: the best of several rounds.
//!
//!     cargo bench --bench kernels -- [FILE.h5 ...]
//!
//! Decodes the chunks of the first chunked dataset of each given file, outside libhdf5.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use hdf5_filters::{Decoder, Pipeline};
use hdf5_reader::{ChunkIndex, Filter, Inventory};

/// The size of a chunk, as in many files: larger than the caches of a core.
const BYTES: usize = 2 << 20;
const ROUNDS: usize = 30;

/// Decodes chunk after chunk into one buffer.
struct Chunks {
    pipeline: Pipeline,
    decoder: Decoder,
    decoded: Vec<u8>,
}

impl Chunks {
    fn new(filters: &[Filter], bytes: u64) -> Option<Self> {
        let pipeline = Pipeline::new(filters, bytes)?;
        Some(Self { pipeline, decoder: Decoder::default(), decoded: Vec::new() })
    }

    fn decode(&mut self, stored: &[u8]) -> Result<&[u8], hdf5_filters::Error> {
        self.pipeline.decode(&mut self.decoder, 0, (stored, usize::MAX), &mut self.decoded)?;
        Ok(&self.decoded)
    }
}

/// Prints the best round.
fn best(what: &str, bytes: usize, mut round: impl FnMut()) {
    let seconds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        round();
        begun.elapsed().as_secs_f64()
    });
    let seconds = seconds.fold(f64::INFINITY, f64::min);
    #[allow(clippy::cast_precision_loss)] // only for display
    let speed = bytes as f64 / seconds / 1e9;
    println!("{what:<40} {speed:6.2} GB/s");
}

fn shuffles() {
    let source: Vec<u8> = (0..=255).cycle().take(BYTES).collect();
    let (mut target, mut planes) = (vec![0; BYTES], Vec::new());
    best("copy", BYTES, || black_box(&mut target[..]).copy_from_slice(black_box(&source)));
    for size in [2, 4, 8, 16, 12] {
        let whole = BYTES / size / 8 * size * 8;
        let (source, target) = (&source[..whole], &mut target[..whole]);
        best(&format!("unshuffle, elements of {size} bytes"), whole, || {
            hdf5_filters::unshuffle(size, black_box(source), target);
        });
        best(&format!("unbitshuffle, elements of {size} bytes"), whole, || {
            // In blocks, like the filter.
            let block = 8192 / size / 8 * 8 * size;
            for (from, to) in source.chunks_exact(block).zip(target.chunks_exact_mut(block)) {
                hdf5_filters::unbitshuffle(size, black_box(from), &mut planes, to).expect("memory");
            }
        });
    }
}

/// Numbers of a few bits: scaleoffset's integers and floats, and nbit's.
fn packed() {
    // Sizes in bytes and bits of a number.
    for (size, bits) in [(1_u32, 5_u32), (2, 11), (4, 11), (4, 20), (8, 20), (8, 60)] {
        let count = u32::try_from(BYTES).expect("a few MiB") / size;
        let code: Vec<u8> = (0..=255).cycle().take(BYTES).collect();
        let header = [&bits.to_le_bytes()[..], &[8], &[0; 16]].concat();
        let scaled = [&header[..], &code].concat();
        let integers = [2, 0, count, 0, size, 0, 0, 0];
        decode(&format!("scaleoffset, {bits} bits to {size} bytes"), 6, &integers, &scaled);
        let filled = [2, 0, count, 0, size, 0, 0, 1];
        decode("  with a fill value", 6, &filled, &scaled);
        if size >= 4 {
            decode("  to floats", 6, &[0, 2, count, 1, size, 0, 0, 0], &scaled);
        }
        let code = &code[..(BYTES / size as usize * bits as usize).div_ceil(8)];
        decode("  nbit", 5, &[8, 0, count, 1, size, 0, bits, 0], code);
    }
}

fn decode(what: &str, id: i32, params: &[u32], stored: &[u8]) {
    let mut params = params.to_vec();
    if id == 6 {
        params.resize(20, 0);
    }
    let filter = Filter { id, name: String::new(), optional: false, params };
    let mut chunks = Chunks::new(&[filter], BYTES as u64).expect("known filters");
    best(what, BYTES, || {
        black_box(chunks.decode(black_box(stored)).expect("a chunk").len());
    });
}

fn inventory(path: &Path) -> Inventory {
    let options = hdf5_reader::Options {
        select: &|_| true,
        seen: &mut |_| {},
        rows: None,
        keep_going: false,
        external: cute_shm::External::Allow,
    };
    hdf5_reader::inventory(path, options).expect("an HDF5 file")
}

fn chunks(path: &Path) {
    let all = inventory(path);
    let found = (0..all.datasets.len()).find_map(|n| Some((n, all.chunk_index(n).ok()??)));
    let Some((number, index)) = found else { return fields(path, &all) };
    let (shape, dataset) = (&index.chunk, &all.datasets[number]);
    let bytes = shape.iter().product::<u64>() * dataset.element_size;
    let mut chunks = Chunks::new(&dataset.storage.filters, bytes).expect("known filters");
    let stored = read(path, &index);
    let names: Vec<&str> = dataset.storage.filters.iter().map(|f| f.name.as_str()).collect();
    let decoded = usize::try_from(bytes).unwrap_or(0) * stored.len();
    best(&format!("decode {}", names.join(" + ")), decoded, || {
        for chunk in &stored {
            black_box(chunks.decode(black_box(chunk)).expect("a chunk").len());
        }
    });
}

/// Returns the first chunks, up to 32 MiB of stored bytes.
fn read(path: &Path, index: &ChunkIndex) -> Vec<Vec<u8>> {
    let file = File::open(path).expect("the file");
    let mut room = 32 << 20;
    let mut stored = Vec::new();
    for chunk in &index.stored {
        let mut bytes = vec![0; usize::try_from(chunk.size).expect("a chunk")];
        room -= i64::try_from(bytes.len()).expect("a chunk");
        if room < 0 {
            break;
        }
        file.read_exact_at(&mut bytes, chunk.address).expect("a chunk");
        stored.push(bytes);
    }
    stored
}

/// Returns the fields of the first compound.
fn fields(path: &Path, all: &Inventory) {
    let Some(table) = all.datasets.iter().find(|dataset| dataset.fields().len() > 1) else {
        return println!("{}: neither chunks nor a compound", path.display());
    };
    let size = usize::try_from(table.element_size).expect("an element");
    let elements = vec![1; BYTES / size * size];
    let mut target = Vec::new();
    best(&format!("pick {} fields of {size} bytes", table.fields().len()), elements.len(), || {
        for leaf in table.fields() {
            hdf5_reader::pick(leaf, size, black_box(&elements[..]).into(), &mut target);
        }
    });
}

fn main() {
    shuffles();
    packed();
    for path in std::env::args().skip(1).filter(|arg| !arg.starts_with("--")) {
        chunks(Path::new(&path));
    }
}
