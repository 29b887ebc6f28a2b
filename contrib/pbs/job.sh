#!/bin/sh
#PBS -l select=2:ncpus=8:mem=40gb
# PBS has no srun: pbs_tmrsh (PBS Pro, OpenPBS) runs a command on a node of the job. It passes no environment, so
# PBS_JOBID is given by hand: with it the project is listed as this job's, and its epilogue removes it.
cd "$PBS_O_WORKDIR" || exit 1
nodes=$(sort -u "$PBS_NODEFILE" | wc -l)
index=0
for host in $(sort -u "$PBS_NODEFILE"); do
    # A share for each node; leave --shard out to have everything on every node.
    pbs_tmrsh "$host" /usr/bin/env PBS_JOBID="$PBS_JOBID" /usr/bin/cute-shm load-hdf5 big /data/big.h5 \
        --shard "$index/$nodes" --persistent --ensure --quiet --no-progress &
    index=$((index + 1))
done
wait
mpiexec python3 train.py
