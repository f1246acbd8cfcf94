# Finds the Python that the tools run; every tool sources this file.
#
# Sets ROOT (the repository) and PYTHON, and puts ROOT in front of PYTHONPATH. PYTHON is, in this order:
# what the caller set, the active virtual or conda environment, the repository's .venv, python3.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [[ -z ${PYTHON:-} ]]; then
  if [[ -n ${VIRTUAL_ENV:-} ]]; then
    PYTHON="$VIRTUAL_ENV/bin/python"
  # conda's base is active in every shell of its users: that is no choice of an environment
  elif [[ -n ${CONDA_PREFIX:-} && ${CONDA_DEFAULT_ENV:-} != base ]]; then
    PYTHON="$CONDA_PREFIX/bin/python"
  elif [[ -x $ROOT/.venv/bin/python ]]; then
    PYTHON="$ROOT/.venv/bin/python"
  else
    PYTHON=python3
  fi
fi

if ! "$PYTHON" -c 'import sys
from importlib.util import find_spec
sys.exit(not (find_spec("torch") and find_spec("mmengine")))' 2>/dev/null; then
  {
    printf 'ERROR: %s does not run, or has no torch or no mmengine.\n' "$PYTHON"
    printf '  Make the environment of this repository:  bash %q\n' "$ROOT/tools/setup_env.sh"
    printf '  or name the Python of another one:        PYTHON=/path/to/bin/python bash %q\n' "$0"
  } >&2
  exit 1
fi

export ROOT PYTHON PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
