# shellcheck shell=bash disable=SC2034,SC2016
# Cases of loads in jobs: nodes, shards, tasks, arrays, other users.

cases=(one_node two_nodes shards four_tasks array side_by_side foreign as_user closed_pipes)
load='"$cute" load-hdf5 --persistent --ensure --no-progress'

case_one_node() {
    title='loaded and read in the job, removed by its epilog'
    submit -N1 -w n1 -- "srun --ntasks-per-node=1 $load one \$data/small.h5 && sleep 2"
    want 'the project becomes live' 'until_true 20 "project_is n1 one live"' &&
        want 'its bytes are those of the file' 'bytes_of n1 one /x | cmp -s - "$cluster/data/small.x"' &&
        want 'the job has ended' idle && clean
    want 'the epilog ran once' '[[ $(called epilog $job) -eq 1 ]]'
}

case_two_nodes() {
    title='one srun loads every node'
    submit -N2 -- "srun -N2 --ntasks-per-node=1 $load two \$data/small.h5 && sleep 2"
    want 'live on n1' 'until_true 20 "project_is n1 two live"'
    want 'live on n2' 'until_true 20 "project_is n2 two live"'
    want 'n1 has the bytes' 'bytes_of n1 two /x | cmp -s - "$cluster/data/small.x"'
    want 'n2 has the bytes' 'bytes_of n2 two /x | cmp -s - "$cluster/data/small.x"'
    want 'the job has ended' idle && clean
}

case_shards() {
    title='two shards: their union equals the file bit for bit, and the sizes in their JSON add up'
    submit -N2 -- "srun -N2 --ntasks-per-node=1 $load half \$data/small.h5 --shard auto --json && sleep 2"
    want 'live on both' 'until_true 20 "project_is n1 half live && project_is n2 half live"'
    want 'the union equals the file' \
        '{ bytes_of n1 half /x; bytes_of n2 half /x; } | cmp -s - "$cluster/data/small.x"'
    want 'n1 has 501 rows' '[[ $(bytes_of n1 half /x | wc -c) -eq $((501 * 129 * 4)) ]]'
    want 'the sum of sizes is the whole and a scalar each' '[[ "$(sum_of_shards)" == "n1 0/2 n2 1/2 $((1003 * 129 * 4 + 16))" ]]'
    want 'the job has ended' idle && clean
}
sum_of_shards() {
    python3 -c 'import json, sys
docs = sorted((json.loads(line) for line in open(sys.argv[1])), key=lambda doc: doc["host"])
print(*(doc["host"] + " " + doc["rows"] for doc in docs), sum(doc["size_bytes"] for doc in docs))' \
        "$cluster/log/out.$job"
}

case_four_tasks() {
    title='four tasks, loaded by the task prolog and by each task: one load, and each task has the variable'
    submit -N1 -n4 -w n1 -- 'export CUTE_SHM_FILE='"$cluster"'/data/small.h5 CUTE_SHM_PROJECT=four
        srun -n4 sh -c "echo \$CUTE_SHM_PROJECT" && '"$load"' four $CUTE_SHM_FILE --json
        unset CUTE_SHM_FILE; srun -n4 '"$load"' direct $data/small.h5 --json >'"$cluster"'/log/direct.$SLURM_JOB_ID; sleep 1'
    want 'live' 'until_true 20 "project_is n1 four live"'
    want 'the job has ended' idle
    want 'four tasks have the variable' '[[ $(grep -c "^four$" "$cluster/log/out.$job") -eq 4 ]]'
    want 'a later load in the job reuses it' 'grep -q "\"reused\":true" "$cluster/log/out.$job"'
    want 'one of four concurrent tasks loads' \
        '[[ $(grep -c "\"reused\":false" "$cluster/log/direct.$job") -eq 1 && $(grep -c "\"reused\":true" "$cluster/log/direct.$job") -eq 3 ]]'
    want 'five task prologs ran' '[[ $(called taskprolog $job) -ge 5 ]]'
    clean
}

case_array() {
    title='an array of three: each element has its own project, which its epilog removes'
    submit -N1 -n1 -w n1 --array=1-3 -- \
        "$load array\$SLURM_ARRAY_TASK_ID \$data/small.h5 && sleep \$((2 * SLURM_ARRAY_TASK_ID - 1))"
    want 'the third is loaded' 'until_true 20 "project_is n1 array3 live"'
    want 'the first is removed' 'until_true 20 "project_is n1 array1 none"'
    want 'the third remains' 'project_is n1 array3 live'
    want 'the array has ended' idle && clean
    want 'none failed' '! grep -q error "$cluster"/log/err.'"$job"'* 2>/dev/null'
}

case_side_by_side() {
    title='two jobs of one user on a node: the epilog of one keeps the project of the other and a shared one'
    submit -N1 -n1 -w n1 -- "$load mine \$data/small.h5; $load both \$data/small.h5; sleep 2"
    local first=$job
    submit -N1 -n1 -w n1 -- "$load other \$data/small.h5; $load both \$data/small.h5; while [ ! -e $cluster/log/go ]; do sleep 0.1; done"
    want 'the first ends' 'until_true 20 "[[ \$(called epilog $first) -eq 1 ]] && project_is n1 mine none"'
    want 'the other still has its project' 'project_is n1 other live'
    want 'the shared project remains' 'project_is n1 both live'
    : >"$cluster/log/go"
    want 'the second ends' idle && clean
    rm -f "$cluster/log/go"
}

case_foreign() {
    title="another user's project is neither read, replaced nor removed by a job or its epilog"
    cute n1 load-hdf5 roots "$cluster/data/small.h5" --persistent --quiet
    submit -N1 -w n1 -- '"$cute" unlink roots; echo unlink=$?; "$cute" load-hdf5 roots $data/small.h5 --persistent --overwrite; echo load=$?'
    want 'the job has ended' idle
    want 'unlink is refused' 'grep -q "^unlink=6" "$cluster/log/out.$job"'
    want 'overwrite is refused' 'grep -q "^load=6" "$cluster/log/out.$job"'
    want 'it remains' 'project_is n1 roots live'
    cute n1 unlink roots --quiet >/dev/null
    clean
}

case_as_user() {
    title='a prolog as root with --as-user: that account opens the file and owns the project'
    set_hook prolog contrib/slurm/prolog
    submit -N1 -w n1 -- 'stat -c %U /dev/shm/cute-shm.reference.*.ledger; "$cute" list -s'
    want 'the job has ended' idle
    want 'its owner is nobody' '[[ "$(head -1 "$cluster/log/out.$job")" == nobody ]]'
    want 'it remains after the job' 'project_is n1 reference live'
    cute n1 load-hdf5 secret "$cluster/data/secret.h5" --as-user $user --persistent --quiet >/dev/null 2>&1
    local code=$?
    want 'a file that the user may not read is refused' "[[ $code -eq 6 ]]"
    no_hook prolog
    # The loader dies with its keeper, even after the change of credentials.
    (cute n1 load-hdf5 orphan "$cluster/data/large.h5" --as-user $user --persistent --quiet --no-progress &) 2>/dev/null
    want 'a load as the user is caught' 'catch n1 orphan'
    want 'both run as the user' '[[ "$(stat -c %U /proc/$keeper /proc/$loader | sort -u)" == $user ]]'
    kill -9 "$keeper"
    want 'its loader is dead' "until_true 5 '! grep -q ^State:.*[RSDT] /proc/$loader/status 2>/dev/null'"
    cute n1 gc --all-users --quiet >/dev/null
    cute n1 unlink reference --quiet >/dev/null 2>&1 || on_node n1 runuser -u nobody -- "$cluster/cute-shm" unlink reference >/dev/null
    clean
}

case_closed_pipes() {
    title='hooks with closed or broken pipes, without PATH and HOME, with nothing to do: exit 0'
    local codes
    codes=$(on_node n1 env -i SLURM_JOB_ID=999 SLURM_JOB_UID=1 bash -c '
        "$0" >&- 2>&- <&-; echo $?
        { "$0" 2>&1; echo $? >&3; } 3>&1 >/dev/full
        "$1" gc --job 999 --user 1 --best-effort --json | true; echo "${PIPESTATUS[0]}"
        "$1" gc --job 999 --user 1 --best-effort >/dev/full 2>&1; echo $?' \
        "$cluster/hooks/epilog.real" "$cluster/cute-shm" 2>/dev/null | tr '\n' ' ')
    want "every status is 0: $codes" '[[ "'"$codes"'" == "0 0 0 0 " ]]'
    clean
}
