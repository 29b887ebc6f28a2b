# shellcheck shell=bash
# Sourced by scripts/test-slurm: the cluster, helpers of the cases, and the functions that run and report cases.

user=cuteuser # slurm-up.sh creates this user
passed=0 failed=0 skipped=0
reason=

start_cluster() {
    install -m 755 "$binary" "$cluster/cute-shm"
    python3 tests/slurm/make_files.py "$cluster/data" || return 1
    SLURM_UP_CPUS=8 SLURM_UP_EXTRA=MinJobAge=10 SLURM_UP_TESTUSER=$user \
        bash "$shared/slurm-up.sh" "$cluster" >"$cluster/up.log" 2>&1 || return 1
    # shellcheck disable=SC1091
    source "$cluster/env.sh"
    # Each node needs its own /tmp/cute-shm, as on real machines, so that both can have a project of the same name.
    [[ -d /tmp/cute-shm ]] || { mkdir -m 1777 /tmp/cute-shm && made_root=1; }
    local node
    for node in n1 n2; do
        on_node $node mount -t tmpfs -o size=8m,mode=1777 root /tmp/cute-shm || return 1
    done
    # The accounts and the path of the program depend on the site. Nothing else is changed.
    set_hook epilog contrib/slurm/epilog
    set_hook taskprolog contrib/slurm/task-prolog
}

# set_hook NAME FILE: installs a script as that hook, by rename, because the old one may be running.
set_hook() {
    sed "s|/usr/bin/cute-shm|$cluster/cute-shm|g; s|/etc/cute-shm/|$cluster/data/|g" "$2" >"$cluster/hooks/$1.new"
    chmod 755 "$cluster/hooks/$1.new"
    mv "$cluster/hooks/$1.new" "$cluster/hooks/$1.real"
}
no_hook() { rm -f "$cluster/hooks/$1.real"; }

# Runs cute-shm on a node as root. on_node starts commands on a node.
cute() { # NODE ARG...
    local node=$1
    shift
    on_node "$node" env -i "$cluster/cute-shm" "$@"
}
as_user() { timeout 60 runuser -u $user -- env SLURM_CONF="$SLURM_CONF" cute="$cluster/cute-shm" data="$cluster/data" "$@"; }

# submit SBATCH-OPTION... -- SCRIPT: submits a job of the user, and sets job.
submit() {
    local options=()
    while [[ "$1" != -- ]]; do
        options+=("$1")
        shift
    done
    job=$(as_user sbatch --parsable -D /tmp -o "$cluster/log/out.%j" -e "$cluster/log/err.%j" \
        "${options[@]}" --wrap "$2")
}

until_true() { # SECONDS CONDITION: tries ten times a second
    local tries=$(($1 * 10))
    until eval "$2"; do
        tries=$((tries - 1))
        [[ $tries -gt 0 ]] || return 1
        sleep 0.1
    done
}
# A controller that does not answer counts as busy.
idle() { until_true "${1:-30}" 'jobs=$(squeue -h) && [[ -z "$jobs" ]]'; }
state_of() { scontrol show job "$1" 2>/dev/null | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p'; }
called() { grep -ahc "^=== $1 .* job=$2 " "$cluster"/log/hooks.*.log | awk '{ n += $1 } END { print n + 0 }'; }

# Prints the file names in the shared memory of a node, without unused lock files, separated by blanks.
left() { (cd "$(node_shm "$1")" && ls -A) | tr '\n' ' '; }
project_is() { # NODE PROJECT STATE|none
    local listed state
    listed=$(cute "$1" list -s --json 2>/dev/null) || return 1
    state=$(python3 -c 'import json, sys
for one in json.load(sys.stdin)["projects"]:
    if one["name"] == sys.argv[1]: print(one["state"])' "$2" <<<"$listed") || return 1
    [[ "${state:-none}" == "$3" ]]
}
# Prints the raw bytes of an array on a node.
bytes_of() { # NODE PROJECT KEY
    local segment
    segment=$(cute "$1" show "$2" --json | python3 -c 'import json, sys
for array in json.load(sys.stdin)["project"]["arrays"]:
    if array["key"] == sys.argv[1]: print(array["segment"])' "$3")
    [[ -n "$segment" ]] && cat "$(node_shm "$1")/$segment"
}

# want WHAT CONDITION: the first condition that does not hold is the failure of the case.
want() {
    [[ -z "$reason" ]] || return 1
    eval "$2" || {
        reason="$1"
        return 1
    }
}
clean() { want "nothing is left on n1: $(left n1)" '[[ -z "$(left n1)" ]]' && want "nothing is left on n2: $(left n2)" '[[ -z "$(left n2)" ]]'; }

run_cases() {
    local name begun wanted=("$@")
    for name in "${cases[@]}"; do
        [[ ${#wanted[@]} -eq 0 || " ${wanted[*]} " == *" $name "* ]] || continue
        reason='' skip='' begun=$SECONDS
        "case_$name"
        if [[ -n "$skip" ]]; then
            skipped=$((skipped + 1))
            printf 'skip %-18s %s\n' "$name" "$skip"
        elif [[ -z "$reason" ]]; then
            passed=$((passed + 1))
            printf 'ok   %-18s %s (%d s)\n' "$name" "$title" $((SECONDS - begun))
        else
            failed=$((failed + 1))
            printf 'FAIL %-18s not so: %s\n' "$name" "$reason"
            settle
        fi
    done
    printf '%d passed, %d skipped, %d failed\n' $passed $skipped $failed
    [[ $failed -eq 0 && $passed -gt 0 ]]
}

# After a failure: clean the cluster for the next case.
settle() {
    { tail -n 5 "$cluster/log/err.$job" && scontrol show job "$job" | grep -E 'JobState|StartTime|Restarts'; } 2>/dev/null |
        sed 's/^/     | /'
    scancel -u $user 2>/dev/null
    scancel -u root 2>/dev/null
    bash "$shared/slurm-up.sh" "$cluster" >/dev/null 2>&1
    local node
    for node in n1 n2; do scontrol update nodename=$node state=resume >/dev/null 2>&1; done
    idle 20
    for node in n1 n2; do
        on_node $node find /dev/shm /tmp/cute-shm -mindepth 1 -delete
    done
    set_hook epilog contrib/slurm/epilog
    no_hook prolog
}
