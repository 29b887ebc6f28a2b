# shellcheck shell=bash disable=SC2034,SC2016
# Cases in which a process dies: loader, keeper, slurmd.

cases+=(kill_loader kill_keeper slurmd_restarted epilog_never_ran)

case_kill_loader() {
    title='kill -9 of the loader: exit 5, no files remain, the job continues'
    submit -N1 -w n1 -- "$load shot \$data/large.h5; echo load=\$?"
    want 'it is stopped during the load' 'catch n1 shot' && kill -9 "$loader" && kill -CONT "$keeper"
    want 'the job has ended' idle
    want 'the keeper reports lack of memory' 'grep -q "^load=5" "$cluster/log/out.$job"'
    clean
}

case_kill_keeper() {
    title='kill -9 of the keeper of a held project and of a loading one: the next epilog of any user removes both'
    submit -N1 -n1 -w n1 -- '"$cute" load-hdf5 held $data/small.h5 --no-progress & echo $!
        sleep 2; "$cute" load-hdf5 shot $data/large.h5 --no-progress & wait; exec sleep 100'
    want 'one is held' 'until_true 20 "project_is n1 held live"'
    want 'one is stopped during the load' 'catch n1 shot'
    kill -9 "$keeper" "$(head -1 "$cluster/log/out.$job")"
    want 'both are abandoned' 'until_true 10 "project_is n1 held abandoned && project_is n1 shot abandoned"'
    # The epilog of root's job removes the projects of all users that the locks prove dead.
    timeout 30 srun -n1 -w n1 true
    want 'the epilog of another user removes them' 'until_true 10 "project_is n1 held none && project_is n1 shot none"'
    scancel "$job"
    want 'the job has ended' idle && clean
}

case_slurmd_restarted() {
    title='slurmd killed, the job ends, slurmd restarted: its epilog then removes the project'
    submit -N1 -w n1 -- "$load late \$data/small.h5; sleep 2"
    want 'live' 'until_true 20 "project_is n1 late live"'
    kill -9 "$(slurmd_pid n1)"
    sleep 2.5
    want 'while slurmd is dead it remains' 'project_is n1 late live'
    bash "$shared/slurm-up.sh" "$cluster" >/dev/null 2>&1
    want 'the job has ended' idle && clean
}

case_epilog_never_ran() {
    title='a job whose epilog never ran: the node check finds it by the list of jobs, and keeps projects of running jobs'
    no_hook epilog
    submit -N1 -w n1 -- "$load lost \$data/small.h5"
    want 'its project remains' 'idle && project_is n1 lost live'
    set_hook epilog contrib/slurm/epilog
    submit -N1 -w n1 -- "$load here \$data/small.h5; exec sleep 100"
    want 'a running job has its own project' 'until_true 20 "project_is n1 here live"'
    sed "s|/usr/bin/cute-shm|$cluster/cute-shm|g; s|timeout 20|timeout 2|" contrib/slurm/node-check >"$cluster/log/check"
    on_node n1 env -i SLURM_CONF="$SLURM_CONF" SLURMD_NODENAME=n1 bash "$cluster/log/check" >/dev/null
    want 'the leftover project is removed' 'project_is n1 lost none'
    want "the running job's is not" 'project_is n1 here live'
    on_node n1 env -i SLURM_CONF=/nonexistent SLURMD_NODENAME=n1 bash "$cluster/log/check" >/dev/null 2>&1
    want 'without the list of jobs nothing is removed' 'project_is n1 here live'
    scancel "$job"
    want 'the job has ended' idle && clean
}
