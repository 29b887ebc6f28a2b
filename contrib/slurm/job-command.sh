#!/bin/sh
#SBATCH --nodes=1
# Needs no hooks: the arrays are removed when the command exits, however it exits.
exec /usr/bin/cute-shm load-hdf5 train /data/train.h5 --no-progress -- python3 train.py
