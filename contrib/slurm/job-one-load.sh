#!/bin/sh
#SBATCH --nodes=2 --ntasks-per-node=4 --mem=40G
# Every node loads the file once, then all tasks of a node attach to it. --mem covers the arrays: their pages
# are charged to the job that writes them.
set -e

# One task a node. --persistent: it outlives this step; the epilog removes it when the job has ended.
srun --ntasks-per-node=1 /usr/bin/cute-shm load-hdf5 train /data/train.h5 --persistent --ensure --no-progress

srun python3 train.py    # cute_shm.shm_to_arrays("train")
