# shellcheck shell=bash disable=SC2154
# Sourced by scripts/test-packages: checks the properties and requirements of the binary, and every installed program.
# A part runs within a condition, where bash does not stop at a failure, so commands are joined with &&.

largest=$((15 * 1000 * 1000))
libraries='ld-linux-(x86-64|aarch64)\.so\.[0-9]|libc\.so\.6|libm\.so\.6|libgcc_s\.so\.1'

fail() {
    echo "test-packages: $*" >&2
    return 1
}

test_binary() {
    local size needed
    size="$(stat -c %s "$binary")" &&
        needed="$(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')" &&
        echo "size: $size bytes; starts in $(start_up) ms; needs glibc $(newest_glibc) and" $needed || return 1
    [[ "$size" -lt "$largest" ]] || fail "$size bytes are too many" || return 1
    [[ -n "$needed" ]] && ! grep -vxE "$libraries" <<<"$needed" || fail 'it links more than the C library'
}

# Prints the newest version of glibc that a symbol of the binary requires.
newest_glibc() {
    readelf --dyn-syms --wide "$binary" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -1 | cut -d_ -f2
}

# Prints the median of fifty start times, in milliseconds.
start_up() {
    python - "$binary" <<'PYTHON'
import statistics, subprocess, sys, time

def once():
    start = time.perf_counter()
    subprocess.run([sys.argv[1], "--version"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start

print(f"{statistics.median(once() for _ in range(50)) * 1000:.1f}")
PYTHON
}

test_cargo_install() {
    cargo install --quiet --path . --locked --root "$scratch/prefix" "${hdf5_options[@]}" && works "$scratch/prefix/bin/cute-shm"
}

# The versions in the tree are equal, and a tag of another version is refused before a package is built.
test_versions() {
    local said
    scripts/package --tag "v$version" || return 1
    said="$(scripts/package --tag "v$version.1" "$scratch/none" tarball 2>&1)" && fail 'a wrong tag is taken' && return 1
    [[ "$said" == *"Cargo.toml has version $version"* && ! -e "$scratch/none" ]] || fail "a wrong tag: $said"
}

# Installs the tarball as in docs/install.md. A second build gives the same file.
test_tarball() {
    local again="$scratch/again" tree="$scratch/local" tarball
    scripts/package --no-build "$scratch" tarball && scripts/package --no-build "$again" tarball &&
        tarball="$(echo "$scratch"/cute-shm-"$version"-linux-*.tar.gz)" && cmp "$tarball" "$again/$(basename "$tarball")" &&
        echo "$(basename "$tarball"): $(stat -c %s "$tarball") bytes" &&
        mkdir "$tree" && tar -xzf "$tarball" --strip-components=1 -C "$tree" &&
        data_is_complete "$tree/share" && cmp LICENSE "$tree/share/doc/cute-shm/LICENSE" && works "$tree/bin/cute-shm"
}

# works PROGRAM [PYTHON]: checks that the program prints its version, and that Python reads a file that it loads.
works() {
    local program="$1" python="${2:-python}"
    [[ "$("$program" --version)" == "cute-shm $version" ]] || fail "$program is not version $version" || return 1
    "$python" tests/packages/read.py write "$scratch/data.h5" &&
        "$program" load-hdf5 --quiet --persistent "$project" "$scratch/data.h5" &&
        "$python" tests/packages/read.py read "$project" &&
        "$program" unlink --quiet "$project" >/dev/null
}
