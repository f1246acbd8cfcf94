#!/usr/bin/env bash
# Trains inside a slurm job, and lets the job come back when its time is over. slurm_train.sh submits it with REQUEUE=1.
#
# usage: _slurm_batch.sh ROOT WORK_DIR CONFIG [options of tools/train.py]
#
# slurm sends SIGUSR1 some minutes before the time limit. srun passes it on to the processes, which end with exit
# status 75 after an iteration (tnt_backbone/engine/stop_on_signal.py). Then the job is put back into the queue. It
# starts with this script again, and --resume goes on. ROOT is an argument because slurm runs a copy of this file.
set -uo pipefail

RESUMABLE=75 IDLE_STARTS=3
ROOT=$1 WORK_DIR=$2
shift 2
export MASTER_PORT=${MASTER_PORT:-$((20000 + SLURM_JOB_ID % 10000))} # two jobs may share a machine

last_checkpoint() { cat "$WORK_DIR/last_checkpoint" 2>/dev/null || true; }
before=$(last_checkpoint)

# All processes end with 75, but not in the same second: srun must not kill the others when the first has ended.
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=0 --wait=120 \
  "$PYTHON" -u "$ROOT/tools/train.py" "$@" --work-dir="$WORK_DIR" --resume --launcher=slurm &
srun=$!
trap 'echo "SIGUSR1: the time is nearly over, the training ends after its iteration"; kill -USR1 "$srun"' USR1
while kill -0 "$srun" 2>/dev/null; do wait "$srun"; done # a signal ends wait, too
wait "$srun"
status=$?

if ((status != RESUMABLE)); then exit "$status"; fi
# Starts in a row without a new checkpoint: an epoch that takes longer than the time limit would start for ever.
count=$WORK_DIR/slurm_idle_starts
if [[ $(last_checkpoint) != "$before" || ${SLURM_RESTART_COUNT:-0} == 0 ]]; then echo 0 > "$count"; fi
if [[ $(last_checkpoint) == "$before" ]]; then echo $(($(cat "$count") + 1)) > "$count"; fi
idle=$(cat "$count")
if ((idle >= IDLE_STARTS)); then
  printf '%s\n' "ERROR: $idle starts in a row have saved no checkpoint, so the job is not started again. Give it more time" \
    "(SRUN_ARGS=--time=...), or save more often: --cfg-options default_hooks.checkpoint.by_epoch=False" \
    "default_hooks.checkpoint.interval=500" >&2
  exit 1
fi
scontrol requeue "$SLURM_JOB_ID"
