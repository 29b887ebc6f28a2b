#!/bin/sh
#BSUB -n 8 -R "span[ptile=4]" -M 40GB
# blaunch -z runs a command once on each host of the list.
hosts=$(sort -u "$LSB_DJOB_HOSTFILE" | tr '\n' ' ')
blaunch -z "$hosts" /usr/bin/cute-shm load-hdf5 train /data/train.h5 --persistent --ensure --quiet --no-progress
mpiexec python3 train.py
