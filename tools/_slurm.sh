# Starts a Python tool of this folder with srun; slurm_train.sh and slurm_test.sh source this file.

SLURM_VARIABLES='variables:
  GPUS            total number of processes, one per GPU (default: 8)
  GPUS_PER_NODE   number of processes per machine (default: GPUS, but at most 8)
  CPUS_PER_TASK   CPU cores per process (default: 5)
  SRUN_ARGS       more options for srun, separated by blanks
  PORT            port of the first machine (default: 29500)'

# slurm_launch PARTITION JOB_NAME TOOL [ARGUMENTS OF THE TOOL ...]
slurm_launch() {
  local partition=$1 job_name=$2 tool=$3 gpus=${GPUS:-8} per_node
  shift 3
  per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
  local -a srun_args
  read -ra srun_args <<< "${SRUN_ARGS:-}"
  # shellcheck source=_python.sh
  source "$(dirname "${BASH_SOURCE[0]}")/_python.sh"
  if [[ -n ${PORT:-} ]]; then export MASTER_PORT=$PORT; fi
  exec srun --partition="$partition" --job-name="$job_name" --gres="gpu:$per_node" --ntasks="$gpus" \
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
    ${srun_args[@]+"${srun_args[@]}"} "$PYTHON" -u "$ROOT/tools/$tool" "$@" --launcher=slurm
}
