#!/bin/sh
#SBATCH --nodes=4 --ntasks-per-node=1
# Every node loads a quarter of the rows of each array, and reads only that part of the file.
set -e

# auto: SLURM_NODEID of SLURM_NNODES. Each node prints one JSON object with its host name and rows.
loads=$(srun /usr/bin/cute-shm load-hdf5 big /data/big.h5 --shard auto --persistent --ensure --json --no-progress)
printf '%s\n' "$loads" |
    jq -s '{nodes: length, size_bytes: map(.size_bytes) | add, hosts: map({(.host): .rows}) | add}'

srun python3 train.py
