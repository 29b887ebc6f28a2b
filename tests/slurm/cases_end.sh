# shellcheck shell=bash disable=SC2034,SC2016
# Cases of job ends: cancelled, out of time, with a failed prolog, requeued.

cases+=(scancel_load scancel_job time_limit failing_prolog requeue)

# Stops the processes of a running load, and sets keeper and loader.
catch() { # NODE PROJECT
    read -r keeper loader < <(python3 tests/slurm/catch.py "$(node_shm "$1")" "$cluster/cute-shm" "$2")
    [[ -n "$loader" ]]
}

case_scancel_load() {
    title='scancel during a load: no files remain'
    submit -N1 -w n1 -- "exec $load slow \$data/large.h5"
    want 'it is stopped during the load' 'catch n1 slow && project_is n1 slow loading'
    scancel "$job"
    kill -CONT "$keeper" "$loader" 2>/dev/null
    want 'the job has ended' idle && clean
    want 'it was cancelled' '[[ "$(state_of $job)" == CANCELLED ]]'
}

case_scancel_job() {
    title='scancel of a running job: held and persistent projects are removed'
    submit -N1 -w n1 -- "$load stays \$data/small.h5; exec \"\$cute\" load-hdf5 held \$data/small.h5 --no-progress"
    want 'both are live' 'until_true 20 "project_is n1 stays live && project_is n1 held live"'
    scancel "$job"
    want 'the job has ended' idle && clean
}

case_time_limit() {
    title='time limit: the epilog removes the project'
    [[ -n "$slow" ]] || { skip='takes over a minute: --slow runs it' && return; }
    submit -N1 -w n1 -t 1 -- "$load late \$data/small.h5; exec sleep 600"
    want 'live' 'until_true 20 "project_is n1 late live"'
    want 'the job has ended' 'idle 150' && clean
    want 'by its time limit' '[[ "$(state_of $job)" == TIMEOUT ]]'
}

case_failing_prolog() {
    title="the prolog of another job fails on n2: this epilog runs on both nodes and drains none"
    printf '#!/bin/bash\n[ $SLURMD_NODENAME != n2 ] || exit 7\n' >"$cluster/log/bad"
    set_hook prolog "$cluster/log/bad"
    # The batch script loads on n1. It starts as soon as the prolog of its own node is done.
    submit -N2 -- "$load early \$data/small.h5; srun true"
    want 'the job is held' 'until_true 20 "[[ \"\$(squeue -h -j $job -o %T)\" == PENDING ]]"'
    want 'n2 is drained' 'until_true 10 "sinfo -h -n n2 -o %T | grep -q ^drain"'
    no_hook prolog
    want 'the epilog ran on both' 'until_true 10 "[[ \$(called epilog $job) -ge 2 ]]"'
    want 'n1 is not drained' 'until_true 10 "[[ \$(sinfo -h -n n1 -o %T) == idle ]]"'
    scancel "$job"
    want 'n2 comes back' 'until_true 10 "scontrol update nodename=n2 state=resume 2>/dev/null"'
    want 'the cluster is idle' 'idle && until_true 15 "[[ \$(sinfo -h -n n2 -o %T) == idle ]]"'
    clean
}

case_requeue() {
    title="the late epilog of a requeued job's first run keeps the project of the second run, whose epilog removes it"
    submit -N1 -w n1 --requeue -- "$load again \$data/small.h5; exec sleep 100"
    want 'the first run is live' 'until_true 20 "project_is n1 again live"'
    scontrol requeue "$job"
    want 'the first epilog ran' 'until_true 20 "[[ \$(called epilog $job) -eq 1 ]] && project_is n1 again none"'
    local old
    old=$(grep -ah "^=== epilog .* job=$job " "$cluster"/log/hooks.0.log | awk '{ print $3 }')
    want 'it already has the higher count' \
        'grep -ah -A40 "^=== epilog .* job='"$job"' " "$cluster"/log/hooks.0.log | grep -m1 RESTART_COUNT | grep -q =1'
    # A requeued job waits for two minutes after the end of its old run. Set its start time to now until it runs. On a
    # busy machine the controller may not get to it between two updates, or ignore them: then wait without updates.
    want 'the second run is live' \
        'until_true 20 "scontrol update jobid=$job StartTime=now 2>/dev/null; project_is n1 again live" ||
         until_true 150 "project_is n1 again live"'
    want 'id and count alone would remove it' 'on_node n1 env -i SLURM_JOB_ID=$job SLURM_JOB_RESTART_COUNT=1 \
        "$cluster/cute-shm" gc --job $job --user $user --dry-run | grep -q "^would remove again "'
    # The epilog of the old run, as if it had been blocked until now.
    on_node n1 env -i SLURM_JOB_ID="$job" SLURM_JOB_RESTART_COUNT=1 "$cluster/cute-shm" \
        gc --job "$job" --user $user --before "$old" --best-effort --quiet
    want "the new run's data is there" 'project_is n1 again live'
    scancel "$job"
    want 'the job has ended' idle && clean
}
