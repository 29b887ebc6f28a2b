#!/bin/sh
#SBATCH --nodes=1
# No hooks needed: the arrays live as long as the command, and go with it, however it ends.
exec /usr/bin/cute-shm load-hdf5 train /data/train.h5 --no-progress -- python3 train.py
