#!/usr/bin/env bash
# Makes the environment of this repository: torch, the OpenMMLab libraries with compiled operators,
# the tools and this package in editable form. Run it again at any time: it does only what is missing.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: bash tools/setup_env.sh [--stack openmmlab|onedl] [--torch-index URL] [--python EXE] [--no-compile]

  --stack        openmmlab (default): mmcv, mmdet, mmsegmentation, mmpretrain, in .venv
                 onedl: their maintained forks, in .venv-onedl
  --torch-index  where torch and torchvision come from, such as https://download.pytorch.org/whl/cu126.
                 Without this option, a machine without a GPU gets the CPU build if the index
                 TNT_BACKBONE_CPU_INDEX has it (default https://download.pytorch.org/whl/cpu).
  --python       the Python to build on: 3.11, 3.12 or 3.13
  --no-compile   mmcv's operators come from torch and torchvision (tools/_mmcv_ext.py), so no compiler is needed.
                 Some are missing, and raise an error that names them. Compiled operators that are already there
                 stay. A later run without this option compiles them.
  --keep         do not compile the operators of an environment that was made with --no-compile
The environment remembers --torch-index and --python; rm -rf .venv forgets them.
TNT_BACKBONE_CACHE holds the compiled mmcv wheels and their logs (default ~/.cache/tnt_backbone).
EOF
}

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PINS="$ROOT/requirements/pins.txt"
CACHE="${TNT_BACKBONE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tnt_backbone}"

die() { # WHAT [HOW TO FIX IT]...
  printf '\nERROR: %s\n' "$1" >&2
  shift
  if (($#)); then printf '  %s\n' "$@" >&2; fi
  exit 1
}
step_number=0
step() { printf '[%d/6] %4ds  %s\n' $((++step_number)) "$SECONDS" "$1"; }
detail() { printf '             %s\n' "$1"; }

STACK=openmmlab TORCH_INDEX='' CPU_INDEX='' PYTHON_OPTION='' NO_COMPILE='' KEEP=''
while (($#)); do
  case "$1" in
    -h | --help) usage && exit 0 ;;
    --no-compile) NO_COMPILE=1 && shift && continue ;;
    --keep) KEEP=1 && shift && continue ;;
    --stack | --torch-index | --python) [[ -n ${2:-} ]] || die "$1 needs a value." "See: bash tools/setup_env.sh --help" ;;
    *) die "unknown option: $1" "Allowed: --stack, --torch-index, --python, --no-compile, --keep. See: bash tools/setup_env.sh --help" ;;
  esac
  case "$1" in
    --stack) STACK=$2 ;;
    --torch-index) TORCH_INDEX=$2 ;;
    --python) PYTHON_OPTION=$2 ;;
  esac
  shift 2
done

case "$STACK" in
  openmmlab) VENV="$ROOT/.venv" MMCV=mmcv EXTRA=openmmlab ;;
  onedl) VENV="$ROOT/.venv-onedl" MMCV=onedl-mmcv EXTRA=onedl ;;
  *) die "unknown stack: $STACK" "Allowed: --stack openmmlab (default) or --stack onedl" ;;
esac
if [[ $STACK$NO_COMPILE == onedl1 ]]; then
  die "--no-compile does not work with --stack onedl: mmcv-lite is published for the stack openmmlab only." \
    "Leave out --stack:       bash tools/setup_env.sh --no-compile" \
    "or compile the operators: bash tools/setup_env.sh --stack onedl"
fi

# ---- The stamp: what an environment was made from
STAMP="$VENV/tnt_backbone.stamp"

stamp_value() { # KEY
  if [[ -f $STAMP ]]; then sed -n "s|^$1=||p" "$STAMP"; fi
}

recipe() { # the path counts because an editable install and the scripts of an environment hold it
  {
    cat "$PINS" "$ROOT/setup.py" "$ROOT/tools/setup_env.sh"
    printf '%s\n' "$ROOT" "$STACK" "$TORCH_INDEX"
  } | sha256sum | cut -d ' ' -f 1
}

write_stamp() { # RECIPE OPERATORS
  printf '%s\n' "recipe=$1" "ops=$2" "gpu_compiler=$(gpu_compiler)" "torch_index=$TORCH_INDEX" \
    "cpu_index=$CPU_INDEX" "python=$BASE_PYTHON" > "$STAMP"
}

up_to_date() {
  local gpu_now
  [[ -n $NO_COMPILE || $(stamp_value ops) != none ]] || return 1
  [[ $(stamp_value recipe) == "$(recipe)" ]] || return 1
  if [[ -n $PYTHON_OPTION && $(python_version "$PYTHON_OPTION") != "$(python_version "$VENV/bin/python")" ]]; then return 1; fi
  if [[ -n $(stamp_value cpu_index) ]] && has_gpu; then return 1; fi # its torch cannot use the GPU
  gpu_now=$(gpu_compiler) # a GPU with its compiler that was not there before is worth compiling for
  [[ -n $NO_COMPILE || -z $gpu_now || $gpu_now == "$(stamp_value gpu_compiler)" ]] || return 1
  "$VENV/bin/python" -I -c 'import sys
from importlib.util import find_spec
sys.exit(not all(map(find_spec, sys.argv[1:])))' torch mmengine mmcv mmdet mmseg mmpretrain tnt_backbone 2>/dev/null
}

# ---- What the machine has

pin() { sed -n "s/^$1==//p" "$PINS"; } # NAME: its version in the pins

python_version() { # EXE: '3.11', or nothing where it does not run (a pyenv shim may exist and fail)
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

find_python() { # sets BASE_PYTHON
  local candidates tried='' exe version
  candidates=("$(stamp_value python)" python3.11 python3.12 python3.13 python3)
  if [[ -n $PYTHON_OPTION ]]; then candidates=("$PYTHON_OPTION"); fi
  for exe in "${candidates[@]}"; do
    version=$(python_version "$exe")
    if [[ $version =~ ^3\.1[123]$ ]]; then
      # the Python below an active .venv, since that is about to go
      BASE_PYTHON=$("$exe" -c 'import sys; print(sys._base_executable)')
      return
    fi
    if [[ -n $exe ]]; then tried+=" $exe (${version:-does not run})"; fi
  done
  die "no Python 3.11, 3.12 or 3.13 found. Tried:$tried" \
    "Install one:      sudo apt install python3.11 python3.11-venv python3.11-dev" \
    "or with uv:       uv python install 3.11" \
    "Name it:          bash tools/setup_env.sh --python /path/to/python3.11"
}

find_nvcc() { command -v "${CUDA_HOME:-/none}/bin/nvcc" || command -v nvcc || command -v /usr/local/cuda/bin/nvcc || true; }

nvcc_version() { { "$1" --version 2>/dev/null || true; } | sed -n 's/.*release \([0-9.]*\).*/\1/p'; } # EXE: nothing where it does not run

has_gpu() { nvidia-smi -L 2>/dev/null | grep -q '^GPU'; }

gpu_compiler() { # '9.0 nvcc 13.0' where there are a GPU and nvcc, else nothing
  local gpu nvcc
  nvcc=$(find_nvcc)
  if [[ -z $nvcc ]]; then return; fi
  gpu=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sort -u | tr '\n' ' ') || return 0
  if [[ -n $gpu ]]; then printf '%snvcc %s' "$gpu" "$(nvcc_version "$nvcc")"; fi
}

check_compiler() {
  command -v "${CXX:-c++}" >/dev/null || die "no C++ compiler (${CXX:-c++}) found; mmcv's operators must be compiled." \
    "Debian, Ubuntu:  sudo apt install g++" \
    "conda:           conda install -c conda-forge gxx" \
    "Without one:     bash tools/setup_env.sh --no-compile   (docs/install.md says what then works)"
  local include
  include=$("$BASE_PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [[ -f $include/Python.h ]] || die "Python.h is not in $include; mmcv's operators cannot be compiled without it." \
    "Debian, Ubuntu:     sudo apt install python$(python_version "$BASE_PYTHON")-dev" \
    "or another Python:  bash tools/setup_env.sh --python /path/to/python3.11" \
    "Without it:         bash tools/setup_env.sh --no-compile   (docs/install.md says what then works)"
}

check_disk() {
  local folder free_gb
  for folder in "$ROOT" "$CACHE"; do
    free_gb=$(($(df -Pk "$folder" | awk 'NR == 2 {print $4}') / 1024 / 1024))
    ((free_gb >= 8)) || die "$folder has $free_gb GB free; about 8 GB are needed." \
      "See what is full:  df -h $(printf '%q' "$folder")" \
      "The caches can lie elsewhere:  export TNT_BACKBONE_CACHE=/big/disk/tnt UV_CACHE_DIR=/big/disk/uv"
  done
}

find_uv() { # sets UV
  for UV in uv "$CACHE/bin/uv"; do
    if "$UV" --version >/dev/null 2>&1; then return; fi
  done
  detail 'uv not found: fetching it with pip'
  TEMPORARY=$(mktemp -d "$CACHE/uv.XXXXXX")
  "$BASE_PYTHON" -m venv "$TEMPORARY/venv" >"$TEMPORARY/log" 2>&1 || die "$BASE_PYTHON cannot make a virtual environment." \
    "Debian, Ubuntu:  sudo apt install python$(python_version "$BASE_PYTHON")-venv" "$(tail -n 3 "$TEMPORARY/log")"
  "$TEMPORARY/venv/bin/python" -m pip install --retries 1 --constraint "$PINS" uv >"$TEMPORARY/log" 2>&1 ||
    die "pip could not fetch uv: is the network up?" \
      "A mirror:  export PIP_INDEX_URL=URL UV_DEFAULT_INDEX=URL" "$(tail -n 3 "$TEMPORARY/log")"
  mv "$TEMPORARY/venv/bin/uv" "$CACHE/bin/uv"
  rm -r "$TEMPORARY"
}

ask_index() { # NAME [UV'S OPTIONS]: one small request, through uv so that its proxy and certificates are tried
  local answer
  answer=$(printf '%s==%s\n' "$1" "$(pin "$1")" | UV_HTTP_RETRIES=1 "$UV" pip compile --quiet --no-deps \
    --python "$BASE_PYTHON" --refresh-package "$@" - 2>&1) || die "the package index cannot be reached, or does not have $1 $(pin "$1")." \
    "A mirror:               export UV_DEFAULT_INDEX=URL PIP_INDEX_URL=URL (for torch: --torch-index URL)" \
    "A proxy:                export HTTPS_PROXY=URL" \
    "Only from uv's cache:   UV_OFFLINE=1 bash tools/setup_env.sh" "$answer"
}

check_network() {
  if [[ -n ${UV_OFFLINE:-} ]]; then return; fi
  ask_index six
  if [[ -n $TORCH_INDEX ]]; then ask_index torch --default-index "$TORCH_INDEX"; fi
}

choose_torch() { # sets CPU_INDEX where torch's CPU build is taken from, or to nothing, and TORCH_PACKAGES
  local index="${TNT_BACKBONE_CPU_INDEX-https://download.pytorch.org/whl/cpu}"
  local cpu_packages=("torch==$(pin torch)+cpu" "torchvision==$(pin torchvision)+cpu")
  CPU_INDEX='' TORCH_PACKAGES=(torch torchvision)
  if [[ -n $TORCH_INDEX ]]; then
    detail "from $TORCH_INDEX"
  elif has_gpu; then
    detail "from the default index: there is a GPU"
  elif [[ -n $index ]] && printf '%s\n' "${cpu_packages[@]}" | UV_HTTP_RETRIES=0 timeout 10 "$UV" pip compile \
    --quiet --no-deps --python "$BASE_PYTHON" --default-index "$index" - >/dev/null 2>&1; then
    CPU_INDEX=$index TORCH_PACKAGES=("${cpu_packages[@]}")
    detail "the CPU build from $index: there is no GPU, so CUDA's libraries are not needed"
  else
    detail "from the default index, perhaps with CUDA's libraries: ${index:-no other index} did not offer ${cpu_packages[0]} in 10 s"
  fi
}

choose_operators() { # sets OPS (cpu or cu130-sm90), TORCH (its version) and NOTE (what the user should know)
  local cuda capabilities nvcc version=''
  IFS=, read -r TORCH cuda capabilities < <("$VENV/bin/python" -c 'import torch
gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
capabilities = sorted({"%d.%d" % torch.cuda.get_device_capability(gpu) for gpu in gpus})
print(torch.__version__, torch.version.cuda or "", ";".join(capabilities), sep=",")') ||
    die "torch does not import in $VENV; the lines above say why."
  nvcc=$(find_nvcc) OPS=cpu
  if [[ -n $nvcc ]]; then version=$(nvcc_version "$nvcc"); fi
  if [[ -z $capabilities ]]; then
    NOTE="torch sees no GPU${version:+ (but there is nvcc $version)}: mmcv's operators are for the CPU."
    if [[ ${CUDA_VISIBLE_DEVICES-all} != '' ]] && has_gpu; then
      NOTE="there is a GPU, but torch $TORCH cannot use it (its CUDA is ${cuda:-none}, nvidia-smi shows the driver's):
        mmcv's operators are for the CPU. A torch for this driver: --torch-index https://download.pytorch.org/whl/cu126"
    fi
  elif [[ -z $nvcc ]]; then
    NOTE="there is a GPU but no nvcc: mmcv's operators are for the CPU only, detectors will fail on the GPU.
        Install the CUDA $cuda toolkit (conda install -c nvidia cuda-toolkit=$cuda, or NVIDIA's packages), run this again."
  elif [[ ${version%%.*} != "${cuda%%.*}" ]]; then
    NOTE="nvcc is $version but torch has CUDA $cuda: mmcv's operators are for the CPU only, detectors will fail on the GPU.
        Set CUDA_HOME to a CUDA ${cuda%%.*} toolkit and run this again, or take a torch for your nvcc with --torch-index."
  else
    export TORCH_CUDA_ARCH_LIST="${TORCH_CUDA_ARCH_LIST:-$capabilities}"
    # nvcc itself says where its toolkit lies; the nvcc on PATH may be a wrapper
    CUDA_HOME=$(realpath "$("$nvcc" --dryrun -x cu /dev/null 2>&1 | sed -n 's/^#\$ TOP=//p')")
    # torch's own CUDA packages have the headers (cusparse.h and others) that a small toolkit does not have
    CPATH="${CPATH:+$CPATH:}$(printf '%s\n' "$VENV"/lib/python*/site-packages/nvidia/*/include | paste -sd :)"
    export CUDA_HOME CPATH
    OPS="cu${cuda/./}-sm${TORCH_CUDA_ARCH_LIST//[ ;.+]/}"
    NOTE="mmcv's operators are for the CPU and for CUDA $cuda, compute capability $TORCH_CUDA_ARCH_LIST."
  fi
}

# ---- Making it

TEMPORARY='' WATCHER=''
clean_up() {
  # a background process that is ended at once still has the traps, but not what they clean up
  [[ $BASHPID == "$$" ]] || return 0
  if [[ -n $WATCHER ]]; then kill "$WATCHER" 2>/dev/null || true; fi
  if [[ -n $TEMPORARY ]]; then rm -rf "$TEMPORARY"; fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

install() {
  "$UV" pip install --python "$VENV/bin/python" --constraints "$CONSTRAINTS" "$@" ||
    die "uv could not install; its message is above." "Fix that and run this again: nothing is downloaded or compiled twice."
}

watch_build() { # LOG: a live line about the compilation, so that nobody thinks that it hangs
  local count start=$SECONDS format='             %s files compiled, %ds\n' pause=30
  if [[ -t 1 ]]; then format='\r             %s files compiled, %ds ' pause=2; fi
  while sleep "$pause" >/dev/null 2>&1 8>&- 9>&-; do # it outlives the watcher, and holds neither a pipe nor a lock
    count=$(grep -aoE '^ *\[[0-9]+/[0-9]+\]' "$1" 2>/dev/null | tail -n 1 | tr -d '[] ' || true)
    printf "$format" "${count:-0}" $((SECONDS - start))
  done
}

prepare_sources() { # LOG [--units N]: mmcv's sources in TEMPORARY/source
  "$VENV/bin/python" "$ROOT/tools/_mmcv_sources.py" "$MMCV==$(pin "$MMCV")" "$TEMPORARY" "${@:2}" >"$1" 2>&1 ||
    die "the sources of $MMCV $(pin "$MMCV") could not be fetched." \
      "A mirror:  export PIP_INDEX_URL=URL UV_DEFAULT_INDEX=URL" "$(tail -n 3 "$1")"
}

compile_sources() ( # LOG: TEMPORARY/source into a wheel in TEMPORARY/wheel
  # A GPU that the operators are not for is hidden: mmcv's setup.py would compile for it.
  if [[ $OPS == cpu ]]; then export CUDA_VISIBLE_DEVICES='' FORCE_CUDA=0; fi
  # CFLAGS replaces Python's own flags, so they are repeated; -g0 leaves out what only a debugger reads.
  export CFLAGS="-O3 -g0 -DNDEBUG -fwrapv -fPIC ${CFLAGS:-}"
  # No cache of pip's: it does not know for which torch a wheel was compiled.
  PATH="$VENV/bin:$PATH" TMPDIR="$TEMPORARY" MMCV_WITH_OPS=1 "$VENV/bin/python" -m pip wheel --verbose \
    --no-cache-dir --no-build-isolation --no-deps --wheel-dir "$TEMPORARY/wheel" "$TEMPORARY/source" >>"$1" 2>&1
)

build_wheel() { # FOLDER: compiles mmcv's wheel into it
  local log
  check_compiler
  log="$CACHE/logs/$(basename "$1").log"
  TEMPORARY=$(mktemp -d "$CACHE/wheels/.building.XXXXXX")
  # a process for each core, with 2.5 GB of free memory for each
  export MAX_JOBS="${MAX_JOBS:-$(awk -v cores="$(nproc)" '/^MemAvailable/ {
    fit = int($2 / 2.5e6) + 1; print fit < cores ? fit : cores}' /proc/meminfo)}"
  detail "compiling with $MAX_JOBS processes, log: $log"
  prepare_sources "$log" --units "$MAX_JOBS"
  watch_build "$log" &
  WATCHER=$!
  if ! compile_sources "$log"; then
    mv "$log" "$log.joined"
    printf '\n'
    detail "the joined files do not compile (why: $log.joined); compiling the original ones, which takes longer"
    prepare_sources "$log"
    compile_sources "$log" || {
      tail -n 30 "$log" >&2
      die "compiling $MMCV failed; the lines above are the end of $log" \
        "Out of memory?          MAX_JOBS=1 bash tools/setup_env.sh --stack $STACK" \
        "CUDA does not compile?  CUDA_VISIBLE_DEVICES= bash tools/setup_env.sh --stack $STACK   (operators for the CPU)"
    }
  fi
  kill "$WATCHER" && WATCHER=''
  printf '\n'
  "$VENV/bin/python" -m zipfile -l "$TEMPORARY"/wheel/*.whl | grep '^mmcv/_ext\..*so' >/dev/null ||
    die "the wheel of $MMCV was built without operators; see $log"
  [[ -d $1 ]] || mv -T "$TEMPORARY/wheel" "$1" # another checkout may have been quicker
}

install_without_compiling() { # sets OPS, EXTRA and NOTE
  local packages
  MMCV=mmcv-lite EXTRA=openmmlab-lite OPS=none
  NOTE="mmcv's operators come from torch and torchvision; those that are missing raise an error that names them.
        To compile all of them: bash tools/setup_env.sh"
  step "$MMCV $(pin "$MMCV"), with operators from torch and torchvision"
  install "$MMCV"
  packages=$("$VENV/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  # a link, as this package is installed in editable form
  ln -s "$ROOT/tools/_mmcv_ext.py" "$packages/mmcv/_ext.py"
}

check_environment() { # calls what breaks when binaries do not suit each other
  "$VENV/bin/python" -I - "$OPS" <<'EOF'
import sys, warnings
from importlib.util import find_spec

warnings.simplefilter('ignore')
import cv2, mmcv.ops, mmdet.utils, mmengine, mmpretrain.utils, mmseg.utils, numpy, torch, torchvision

for library in (mmdet, mmseg, mmpretrain):
    library.utils.register_all_modules()  # imports all their models, data sets and metrics
cuda = sys.argv[1] != 'cpu' and (sys.argv[1] != 'none' or torch.cuda.is_available())
for device in ['cpu', 'cuda'] if cuda else ['cpu']:
    # boxes 0 and 1 overlap by 81 / 119: the second is dropped
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]], device=device)
    scores = torch.tensor([0.9, 0.8, 0.7], device=device)
    for nms in (lambda *args: mmcv.ops.nms(*args)[1], torchvision.ops.nms):
        kept = nms(boxes, scores, 0.5).tolist()
        assert kept == [0, 2], f'nms on {device} kept boxes {kept}, not [0, 2]'
assert find_spec('tnt_backbone'), 'tnt_backbone is not installed'
modules = (torch, torchvision, mmcv, mmengine, mmdet, mmseg, mmpretrain, numpy, cv2)
print(' ' * 13 + ', '.join(f'{module.__name__} {module.__version__}' for module in modules))
EOF
}

make_environment() {
  local tag wheel_folder="$CACHE/wheels/$MMCV-$(pin "$MMCV")-torch$(pin torch)"
  cd "$ROOT" # uv reads [tool.uv] of pyproject.toml there
  step "Checking compiler, disk and network"
  tag="cp$(python_version "$BASE_PYTHON" | tr -d .)"
  [[ -n $NO_COMPILE ]] || compgen -G "$wheel_folder*-$tag/*.whl" >/dev/null || check_compiler
  check_disk
  find_uv
  check_network
  detail "Python $(python_version "$BASE_PYTHON") ($BASE_PYTHON), $("$UV" --version)"

  step "Virtual environment $VENV"
  # Always from scratch: what an interrupted or older run left cannot be trusted, and uv's cache makes it quick.
  # The stamp goes first and stays, so that a half-made environment is known as this script's.
  mkdir -p "$VENV"
  write_stamp incomplete "${NO_COMPILE:+none}"
  find "$VENV" -mindepth 1 -maxdepth 1 ! -name "${STAMP##*/}" -exec rm -rf {} +
  "$UV" venv --quiet --allow-existing --python "$BASE_PYTHON" "$VENV"

  step "torch, torchvision and build tools"
  CONSTRAINTS=$PINS
  choose_torch
  if [[ -n $TORCH_INDEX$CPU_INDEX ]]; then
    # Both from one index: a torchvision for another torch has no torchvision::nms. It brings its own CUDA
    # libraries, so their pins do not count. The next command adds what else they need.
    CONSTRAINTS="$VENV/constraints.txt"
    grep -vE '^(nvidia|cuda|triton)' "$PINS" > "$CONSTRAINTS"
    install --no-deps --default-index "${TORCH_INDEX:-$CPU_INDEX}" "${TORCH_PACKAGES[@]}"
  fi
  install torch torchvision numpy ninja packaging pip psutil setuptools wheel

  if [[ -n $NO_COMPILE ]]; then
    install_without_compiling
  else
    choose_operators
    wheel_folder="$CACHE/wheels/$MMCV-$(pin "$MMCV")-torch$TORCH-$OPS-$tag"
    step "$MMCV $(pin "$MMCV") with its compiled operators ($OPS)"
    detail "$NOTE"
    exec 8>"$CACHE/logs/$(basename "$wheel_folder").lock"
    if command -v flock >/dev/null && ! flock -n 8; then
      detail "another setup_env.sh compiles the same operators; waiting for it" && flock 8
    fi
    if [[ -d $wheel_folder ]]; then detail "compiled before: $wheel_folder"; else build_wheel "$wheel_folder"; fi
    exec 8>&-
    install "$wheel_folder"/*.whl
  fi

  step "Libraries of the stack $STACK, tools, and this package in editable form"
  install --no-build-isolation --editable ".[$EXTRA,demo,docs,test]"

  step "Importing every library and calling the operators"
  if ! check_environment; then
    [[ -z $NO_COMPILE ]] || die "the environment in $VENV does not work; the lines above say where." \
      "Compile the operators instead:  bash tools/setup_env.sh"
    die "the environment in $VENV does not work; the lines above say where." \
      "Compile the operators again:  rm -r $(printf '%q' "$wheel_folder"); bash tools/setup_env.sh --stack $STACK"
  fi
  write_stamp "$(recipe)" "$OPS"
  printf 'Ready after %ds. Activate it with:  source %q\nNote: %s\n' "$SECONDS" "$VENV/bin/activate" "$NOTE"
}

main() {
  TORCH_INDEX="${TORCH_INDEX:-$(stamp_value torch_index)}"
  if [[ -n $KEEP && $(stamp_value ops) == none ]]; then NO_COMPILE=1; fi
  if ! up_to_date; then
    if [[ -e $VENV && ! -f $STAMP ]]; then
      die "$VENV was not made by this script; nothing was changed." "Move it away:  mv $(printf '%q %q' "$VENV" "$VENV.old")"
    fi
    find_python
    mkdir -p "$CACHE"/{bin,wheels,logs} 2>/dev/null || die "cannot write to $CACHE" "Name another place:  export TNT_BACKBONE_CACHE=/path"
    exec 9>"$ROOT/.venv.lock"
    if command -v flock >/dev/null && ! flock -n 9; then
      printf 'Another setup_env.sh is at work; waiting for it.\n' && flock 9
    fi
    up_to_date || make_environment
  fi
  printf '%s is ready (stack %s, mmcv operators: %s).\n' "${VENV#"$ROOT"/}" "$STACK" "$(stamp_value ops)"
}

main
