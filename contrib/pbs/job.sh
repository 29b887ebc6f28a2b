#!/bin/sh
#PBS -l select=2:ncpus=8:mem=40gb
# PBS has no srun: pbs_tmrsh (PBS Pro, OpenPBS) runs a command on a node of the job. It passes no environment, so
# env sets PBS_JOBID: the project then lists this job, and the epilogue of the job removes the project.
cd "$PBS_O_WORKDIR" || exit 1
nodes=$(sort -u "$PBS_NODEFILE" | wc -l)
index=0
for host in $(sort -u "$PBS_NODEFILE"); do
    # Each node loads its part of the rows. Without --shard every node loads all rows.
    pbs_tmrsh "$host" /usr/bin/env PBS_JOBID="$PBS_JOBID" /usr/bin/cute-shm load-hdf5 big /data/big.h5 \
        --shard "$index/$nodes" --persistent --ensure --quiet --no-progress &
    index=$((index + 1))
done
wait
mpiexec python3 train.py
