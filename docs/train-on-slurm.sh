#!/bin/bash
# Train a generator on a Slurm cluster for as long as it takes: before its time limit the job saves its state,
# requeues itself, and resumes where it stopped.
#
#   sbatch docs/train-on-slurm.sh COHORT RUN [options of `morphoscope generate train`]
#
# Adapt the lines below to your cluster. One task per node: torchrun starts a process for each of its GPUs.
#SBATCH --job-name=morphoscope
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=morphoscope-%j.log
#SBATCH --signal=B:USR1@300
# The last line requests a signal to this script 300 seconds before the end: enough time to finish an iteration
# and to save. `--shutdown-timeout` below gives the processes of torchrun almost the same time.
set -u
cohort=$1
run=$2
shift 2

out_of_time=
stop() {
  out_of_time=yes
  scancel --signal=TERM "$SLURM_JOB_ID.0" # the tasks of the first step; srun itself would kill them at once
}
trap stop USR1
trap : TERM # of scancel, which tells the tasks as well: wait below until they have saved, and end

head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun \
  --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "${SLURM_GPUS_ON_NODE:-1}" \
  --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$head_node:29500" \
  --shutdown-timeout 280 \
  -m -- morphoscope.apps generate train "$cohort" --run "$run" --device cuda "$@" &
step=$!
wait "$step"
code=$?
while kill -0 "$step" 2>/dev/null; do # a wait ends with a signal, not only with the training
  wait "$step"
  code=$?
done
if [ -n "$out_of_time" ]; then
  echo "Requeued; the state is in $run."
  exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
