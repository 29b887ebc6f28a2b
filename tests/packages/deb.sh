# shellcheck shell=bash disable=SC2154
# Sourced by scripts/test-packages: tests the Debian package, unpacked, in an empty root, and on this machine.

# The lintian tag to ignore: a package outside of Debian closes no bug in Debian's tracker.
not_ours='initial-upload-closes-no-bugs'

test_deb() {
    local tree="$scratch/tree" share="$scratch/tree/usr/share"
    scripts/package --no-build "$scratch" deb &&
        deb="$(echo "$scratch"/cute-shm_"$version"-1_*.deb)" &&
        echo "$(basename "$deb"): $(stat -c %s "$deb") bytes, needs $(dpkg-deb --field "$deb" Depends)" &&
        [[ "$(dpkg-deb --field "$deb" Depends)" == *'libc6 (>= 2.'* ]] && dpkg-deb --extract "$deb" "$tree" && works "$tree/usr/bin/cute-shm" &&
        pages_are_found "$share/man" &&
        cmp completions/cute-shm.bash "$share/bash-completion/completions/cute-shm" &&
        cmp completions/_cute-shm "$share/zsh/vendor-completions/_cute-shm" &&
        cmp completions/cute-shm.fish "$share/fish/vendor_completions.d/cute-shm.fish" &&
        cmp contrib/tmpfiles.d/cute-shm.conf "$tree/usr/lib/tmpfiles.d/cute-shm.conf" &&
        diff -r -x tmpfiles.d contrib "$share/doc/cute-shm/examples"
}

# Checks for every manual page of the checkout, compressed or not.
pages_are_found() {
    local page
    for page in man/*.1; do
        gzip -cd "$1/man1/$(basename "$page").gz" | cmp - "$page" || return 1
    done
    ! command -v man >/dev/null || man -M "$1" -w cute-shm-load-hdf5
}

# Installs into an empty root, like the build of an image: without dependencies, and with scripts that use DPKG_ROOT.
test_deb_in_root() {
    local root="$scratch/root"
    mkdir -p "$root/var/lib/dpkg/"{info,updates,triggers} && touch "$root/var/lib/dpkg/"{status,available} &&
        dpkg --root="$root" --force-script-chrootless --force-depends --install "$deb" &&
        [[ -x "$root/usr/bin/cute-shm" ]] || return 1
    if command -v systemd-tmpfiles >/dev/null; then
        [[ "$(stat -c %a "$root/tmp/cute-shm")" == 1777 ]] || fail 'postinst makes no root for all users' || return 1
    fi
    dpkg --root="$root" --force-script-chrootless --purge cute-shm && [[ ! -e "$root/usr/bin/cute-shm" ]]
}

test_lintian() {
    lintian --allow-root --fail-on error,warning --suppress-tags "$not_ours" "$deb"
}

# Installs and purges on this machine. /tmp/cute-shm remains if it existed before or is in use.
test_deb_installed() {
    local had_root=
    [[ ! -e /tmp/cute-shm ]] || had_root=1
    apt_get install "$deb" && works /usr/bin/cute-shm
    local status=$?
    apt_get purge cute-shm && [[ ! -e /usr/bin/cute-shm && ! -e /usr/lib/tmpfiles.d/cute-shm.conf ]] || status=1
    [[ -n "$had_root" ]] || rmdir --ignore-fail-on-non-empty /tmp/cute-shm
    return $status
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=120 "$@" >/dev/null
}
