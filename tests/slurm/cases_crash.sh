# shellcheck shell=bash disable=SC2034,SC2016
# Cases in which a process dies: loader, keeper, slurmd.

cases+=(kill_loader kill_keeper slurmd_restarted epilog_never_ran)

case_kill_loader() {
    told='kill -9 of the loader: exit 5, nothing stays, the job goes on'
    submit -N1 -w n1 -- "$load shot \$data/large.h5; echo load=\$?"
    want 'it is caught loading' 'catch n1 shot' && kill -9 "$loader" && kill -CONT "$keeper"
    want 'the job ends' idle
    want 'the keeper says memory' 'grep -q "^load=5" "$cluster/log/out.$job"'
    clean
}

case_kill_keeper() {
    told='kill -9 of the keeper of a held project and of one that loads: the next epilog reaps, of whatever user'
    submit -N1 -n1 -w n1 -- '"$cute" load-hdf5 held $data/small.h5 --no-progress & echo $!
        sleep 2; "$cute" load-hdf5 shot $data/large.h5 --no-progress & wait; exec sleep 100'
    want 'one is held' 'until_true 20 "project_is n1 held live"'
    want 'one is caught loading' 'catch n1 shot'
    kill -9 "$keeper" "$(head -1 "$cluster/log/out.$job")"
    want 'both are abandoned' 'until_true 10 "project_is n1 held abandoned && project_is n1 shot abandoned"'
    # The epilog of root's job removes the projects of all users that the locks prove dead.
    timeout 30 srun -n1 -w n1 true
    want 'the epilog of another user reaps them' 'until_true 10 "project_is n1 held none && project_is n1 shot none"'
    scancel "$job"
    want 'the job ends' idle && clean
}

case_slurmd_restarted() {
    told='slurmd killed, the job ends, slurmd restarted: its epilog then reaps'
    submit -N1 -w n1 -- "$load late \$data/small.h5; sleep 2"
    want 'live' 'until_true 20 "project_is n1 late live"'
    kill -9 "$(slurmd_pid n1)"
    sleep 2.5
    want 'while slurmd is dead it stays' 'project_is n1 late live'
    bash "$shared/slurm-up.sh" "$cluster" >/dev/null 2>&1
    want 'the job ends' idle && clean
}

case_epilog_never_ran() {
    told='a job whose epilog never ran: the node check finds it by the list of jobs, and leaves what runs'
    no_hook epilog
    submit -N1 -w n1 -- "$load lost \$data/small.h5"
    want 'it is left over' 'idle && project_is n1 lost live'
    set_hook epilog contrib/slurm/epilog
    submit -N1 -w n1 -- "$load here \$data/small.h5; exec sleep 100"
    want 'a running job has its own' 'until_true 20 "project_is n1 here live"'
    sed "s|/usr/bin/cute-shm|$cluster/cute-shm|g; s|timeout 20|timeout 2|" contrib/slurm/node-check >"$cluster/log/check"
    on_node n1 env -i SLURM_CONF="$SLURM_CONF" SLURMD_NODENAME=n1 bash "$cluster/log/check" >/dev/null
    want 'the leftover is gone' 'project_is n1 lost none'
    want "the running job's is not" 'project_is n1 here live'
    on_node n1 env -i SLURM_CONF=/nonexistent SLURMD_NODENAME=n1 bash "$cluster/log/check" >/dev/null 2>&1
    want 'without an answer nothing is done' 'project_is n1 here live'
    scancel "$job"
    want 'the job ends' idle && clean
}
