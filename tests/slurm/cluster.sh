# shellcheck shell=bash
# Sourced by scripts/test-slurm: the cluster, what cases ask of it, and how they are run and reported.

user=cuteuser # slurm-up.sh makes this user
passed=0 failed=0 skipped=0
reason=

start_cluster() {
    install -m 755 "$binary" "$cluster/cute-shm"
    python3 tests/slurm/make_files.py "$cluster/data" || return 1
    SLURM_UP_CPUS=8 SLURM_UP_EXTRA=MinJobAge=10 SLURM_UP_TESTUSER=$user \
        bash "$shared/slurm-up.sh" "$cluster" >"$cluster/up.log" 2>&1 || return 1
    # shellcheck disable=SC1091
    source "$cluster/env.sh"
    # Only a node's own /tmp/cute-shm, as on real machines, lets both nodes have a project of one name.
    [[ -d /tmp/cute-shm ]] || { mkdir -m 1777 /tmp/cute-shm && made_root=1; }
    local node
    for node in n1 n2; do
        on_node $node mount -t tmpfs -o size=8m,mode=1777 root /tmp/cute-shm || return 1
    done
    # Accounts of other users and the program's place differ from site to site; nothing else is changed.
    set_hook epilog contrib/slurm/epilog
    set_hook taskprolog contrib/slurm/task-prolog
}

# set_hook NAME FILE: our script as that hook. Moved into place, for it may be running.
set_hook() {
    sed "s|/usr/bin/cute-shm|$cluster/cute-shm|g; s|/etc/cute-shm/|$cluster/data/|g" "$2" >"$cluster/hooks/$1.new"
    chmod 755 "$cluster/hooks/$1.new"
    mv "$cluster/hooks/$1.new" "$cluster/hooks/$1.real"
}
no_hook() { rm -f "$cluster/hooks/$1.real"; }

# on_node starts commands in a node; this one runs ours there as root.
cute() { # NODE ARG...
    local node=$1
    shift
    on_node "$node" env -i "$cluster/cute-shm" "$@"
}
as_user() { timeout 60 runuser -u $user -- env SLURM_CONF="$SLURM_CONF" cute="$cluster/cute-shm" data="$cluster/data" "$@"; }

# submit SBATCH-OPTION... -- SCRIPT: a job of the user; sets job.
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
# A controller that is too busy to answer is not idle.
idle() { until_true "${1:-30}" 'jobs=$(squeue -h) && [[ -z "$jobs" ]]'; }
state_of() { scontrol show job "$1" 2>/dev/null | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p'; }
called() { grep -ahc "^=== $1 .* job=$2 " "$cluster"/log/hooks.*.log | awk '{ n += $1 } END { print n + 0 }'; }

# What lies in a node's shared memory, but lock files of nobody: names, blank between.
left() { (cd "$(node_shm "$1")" && ls -A) | tr '\n' ' '; }
project_is() { # NODE PROJECT STATE|none
    local listed state
    listed=$(cute "$1" list -s --json 2>/dev/null) || return 1
    state=$(python3 -c 'import json, sys
for one in json.load(sys.stdin)["projects"]:
    if one["name"] == sys.argv[1]: print(one["state"])' "$2" <<<"$listed") || return 1
    [[ "${state:-none}" == "$3" ]]
}
# The raw bytes of an array on a node.
bytes_of() { # NODE PROJECT KEY
    local segment
    segment=$(cute "$1" show "$2" --json | python3 -c 'import json, sys
for array in json.load(sys.stdin)["project"]["arrays"]:
    if array["key"] == sys.argv[1]: print(array["segment"])' "$3")
    [[ -n "$segment" ]] && cat "$(node_shm "$1")/$segment"
}

# want WHAT CONDITION: the first that does not hold is the case's failure.
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
            printf 'ok   %-18s %s (%d s)\n' "$name" "$told" $((SECONDS - begun))
        else
            failed=$((failed + 1))
            printf 'FAIL %-18s not so: %s\n' "$name" "$reason"
            settle
        fi
    done
    printf '%d passed, %d skipped, %d failed\n' $passed $skipped $failed
    [[ $failed -eq 0 && $passed -gt 0 ]]
}

# After a failure: let the next case find a clean cluster.
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
