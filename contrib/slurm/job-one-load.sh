#!/bin/sh
#SBATCH --nodes=2 --ntasks-per-node=4 --mem=40G
# Every node loads the file once, then all tasks of the node attach to the arrays. --mem must cover the arrays: the
# kernel charges their pages to the job that writes them.
set -e

# One task per node. --persistent: the project outlives this step; the epilog removes it after the job.
srun --ntasks-per-node=1 /usr/bin/cute-shm load-hdf5 train /data/train.h5 --persistent --ensure --no-progress

srun python3 train.py    # cute_shm.shm_to_arrays("train")
