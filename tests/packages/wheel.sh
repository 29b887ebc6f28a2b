# shellcheck shell=bash disable=SC2154
# Sourced by scripts/test-packages: tests the wheel cute-shm-cli with the Python package cute-shm in one environment.

test_wheel() {
    local venv="$scratch/venv" wheels
    scripts/package --no-build "$scratch/wheels" wheel &&
        wheels=("$scratch"/wheels/cute_shm_cli-"$version"-py3-none-manylinux_*.whl) &&
        echo "$(basename "${wheels[0]}"): $(stat -c %s "${wheels[0]}") bytes" &&
        python -m venv "$venv" &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check \
            "$(grep '^cute-shm==' scripts/requirements.txt)" "${wheels[0]}" &&
        no_file_is_in_both "$venv" && data_is_complete "$venv/share" &&
        works "$venv/bin/cute-shm" "$venv/bin/python" &&
        "$venv/bin/pip" uninstall --quiet --yes cute-shm-cli && ! [[ -e "$venv/bin/cute-shm" ]] &&
        "$venv/bin/python" -c 'import cute_shm'
}

# pip overwrites files of other packages without a warning: compare the records of both.
no_file_is_in_both() {
    "$1/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import files

ours, theirs = ({str(path.locate().resolve()) for path in files(name)} for name in ("cute-shm-cli", "cute-shm"))
if len(ours) < 20 or not theirs or ours & theirs:
    sys.exit(f"{len(ours)} and {len(theirs)} files, in both: {ours & theirs}")
PYTHON
}

# Checks each manual page, completion and hook of the checkout, byte for byte.
data_is_complete() {
    diff -r man "$1/man/man1" && diff -r contrib "$1/cute-shm" &&
        cmp completions/cute-shm.bash "$1/bash-completion/completions/cute-shm" &&
        cmp completions/_cute-shm "$1/zsh/site-functions/_cute-shm" &&
        cmp completions/cute-shm.fish "$1/fish/vendor_completions.d/cute-shm.fish"
}
