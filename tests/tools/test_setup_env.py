"""tools/setup_env.sh: what it refuses and with which advice, and that the pins are complete.

The script runs on a copy of the files it reads, on machines where something is missing. No test
downloads or compiles. The environment that runs these tests shows that it makes a working one.
"""

import fcntl
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = 'http://127.0.0.1:9/simple'  # the discard port: nothing answers


@pytest.fixture
def checkout(tmp_path):
    """The files of the repository that setup_env.sh reads."""
    names = ('setup.py', 'pyproject.toml', 'requirements/pins.txt', 'tools/setup_env.sh')
    for name in (*names, 'tools/_mmcv_sources.py'):
        target = tmp_path / 'a checkout' / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return tmp_path / 'a checkout'


@pytest.fixture
def setup_env(checkout, tmp_path):
    """Runs the script in the checkout, without network and with some programs replaced."""
    programs = tmp_path / 'programs'
    programs.mkdir()

    def run(*options, replaced=None, **environment):
        for name, script in (replaced or {}).items():
            (programs / name).write_text(f'#!/bin/sh\n{script}\n')
            (programs / name).chmod(0o755)
        kept = {key: os.environ[key] for key in ('PATH', 'HOME')}
        return subprocess.run(
            ['bash', checkout / 'tools/setup_env.sh', *options],
            env=kept
            | {
                'PATH': f'{programs}:{kept["PATH"]}',
                'TNT_BACKBONE_CACHE': str(tmp_path / 'cache'),
                'UV_DEFAULT_INDEX': NOWHERE,
                'PIP_INDEX_URL': NOWHERE,
                'PIP_RETRIES': '0',
                'PIP_CONFIG_FILE': os.devnull,
            }
            | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


# A Python that works is the one that runs the tests, whatever else the machine has.
USABLE = {'python3.11': f'exec {sys.executable!r} "$@"'}
PLENTY = {'df': 'printf "Filesystem 1024-blocks Used Available\\n/dev/x 9 9 999999999\\n"'}
COMPILER = {'c++': 'exit 0'}


@pytest.mark.parametrize(
    ('options', 'messages'),
    [
        (['--stak', 'onedl'], ['--stak', '--torch-index']),
        (['--stack', 'mmcv1'], ['mmcv1', '--stack openmmlab', '--stack onedl']),
        (['--stack'], ['--stack', '--help']),
        (
            ['--stack', 'onedl', '--no-compile'],
            ['--stack onedl', 'setup_env.sh --no-compile'],
        ),
    ],
)
def test_wrong_options_are_refused_with_the_right_ones(setup_env, options, messages):
    result = setup_env(*options)
    assert result.returncode == 1
    for message in messages:
        assert message in result.stderr


def test_no_usable_python(setup_env):
    """Too old, too new, or a pyenv shim without its version."""
    pythons = {
        'python3.11': 'echo "pyenv: python3.11: command not found" >&2; exit 127',
        'python3.12': 'exit 1',
        'python3.13': 'exit 1',
        'python3': 'echo 3.10',
    }
    result = setup_env(replaced=pythons)
    assert result.returncode == 1
    assert '3.11, 3.12 or 3.13' in result.stderr
    assert 'python3.11 (' in result.stderr
    assert 'python3 (3.10)' in result.stderr
    assert '--python /path/to/python3.11' in result.stderr


def test_python_option_is_not_overruled(setup_env):
    result = setup_env('--python', 'python3.14', replaced={**USABLE, 'python3.14': 'echo 3.14'})
    assert result.returncode == 1
    assert 'python3.14 (3.14)' in result.stderr
    assert 'python3.11 (' not in result.stderr


def test_no_compiler(setup_env, checkout):
    result = setup_env(replaced=USABLE, CXX='no-such-compiler')
    assert result.returncode == 1
    assert 'no-such-compiler' in result.stderr
    assert 'sudo apt install g++' in result.stderr
    assert '--no-compile' in result.stderr
    assert not (checkout / '.venv').exists()


def test_no_python_headers(setup_env, tmp_path):
    headerless = (
        'case "$*" in *sysconfig*) echo /nowhere ;; *_base_executable*) echo "$0" ;;'
        f' *) exec {sys.executable!r} "$@" ;; esac'
    )
    result = setup_env(replaced={'python3.11': headerless, **COMPILER})
    assert result.returncode == 1
    assert re.search(r'\bPython\.h\b.*/nowhere\b', result.stderr)
    assert '-dev' in result.stderr
    assert '--no-compile' in result.stderr


def test_no_disk(setup_env, checkout, tmp_path):
    full = {'df': 'printf "Filesystem 1024-blocks Used Available\\n/dev/x 9 9 3145728\\n"'}
    wheel_is_cached(tmp_path / 'cache')
    result = setup_env(replaced=USABLE | full)
    assert result.returncode == 1
    assert re.search(rf'{checkout}\b.*\b3 GB\b.*\b8 GB\b', result.stderr)
    assert 'TNT_BACKBONE_CACHE=' in result.stderr
    assert not (checkout / '.venv').exists()


def wheel_is_cached(cache):
    """A wheel of mmcv, so that a compiler is not asked for."""
    tag = f'cp3{sys.version_info.minor}'
    folder = cache / 'wheels' / f'mmcv-{pins()["mmcv"]}-torch{pins()["torch"]}-cpu-{tag}'
    folder.mkdir(parents=True)
    (folder / 'mmcv.whl').touch()


def test_no_network_leaves_what_was_there(setup_env, checkout, tmp_path):
    """Without uv, fetching it fails first; with it, the request for the index."""
    wheel_is_cached(tmp_path / 'cache')
    environment = checkout / '.venv'
    environment.mkdir()
    (environment / 'tnt_backbone.stamp').write_text('recipe=of an older commit\n')
    (environment / 'kept').touch()
    result = setup_env(replaced=USABLE | PLENTY | {'uv': 'exit 1'})
    assert result.returncode == 1
    assert re.search(r'\bpip\b.*\buv\b', result.stderr)
    no_index = 'test "$1" = --version || { echo "dns error"; exit 2; }'
    result = setup_env(replaced=USABLE | PLENTY | {'uv': no_index})
    assert result.returncode == 1
    assert f'six {pins()["six"]}' in result.stderr
    assert 'dns error' in result.stderr
    assert 'UV_DEFAULT_INDEX=URL' in result.stderr
    assert (environment / 'kept').exists(), 'it must be kept until a new one can be made'
    assert sorted(path.name for path in (tmp_path / 'cache').iterdir() if path.is_dir()) == [
        'bin',
        'logs',
        'wheels',
    ], 'temporary folders must be gone'


def test_foreign_environment_is_not_touched(setup_env, checkout):
    (checkout / '.venv').mkdir()
    (checkout / '.venv/mine').touch()
    result = setup_env(replaced=USABLE)
    assert result.returncode == 1
    assert re.search(r'\bmv .*/\.venv .*/\.venv\.old', result.stderr)
    assert (checkout / '.venv/mine').exists()


def recipe(checkout, stack='openmmlab'):
    """The hash that the script writes when an environment is complete."""
    files = [
        checkout / name for name in ('requirements/pins.txt', 'setup.py', 'tools/setup_env.sh')
    ]
    content = b''.join(file.read_bytes() for file in files) + f'{checkout}\n{stack}\n\n'.encode()
    return (
        subprocess.run(['sha256sum'], input=content, capture_output=True).stdout.split()[0].decode()
    )


@pytest.mark.parametrize(
    ('stamp', 'python', 'quick'),
    [
        ('{recipe}', 'exit 0', True),
        ('incomplete', 'exit 0', False),
        ('{recipe}', 'exit 1', False),
        ('of an older commit', 'exit 0', False),
    ],
    ids=['complete', 'interrupted', 'broken Python', 'other pins'],
)
def test_only_a_complete_environment_is_trusted(
    setup_env, checkout, tmp_path, stamp, python, quick
):
    binaries = checkout / '.venv/bin'
    binaries.mkdir(parents=True)
    (binaries / 'python').write_text(f'#!/bin/sh\n{python}\n')
    (binaries / 'python').chmod(0o755)
    values = f'recipe={stamp.format(recipe=recipe(checkout))}\nops=cpu\ngpu_compiler=\n'
    (checkout / '.venv/tnt_backbone.stamp').write_text(values)
    wheel_is_cached(tmp_path / 'cache')
    no_index = {'uv': 'test "$1" = --version', 'nvidia-smi': 'exit 1'}
    result = setup_env(replaced=USABLE | PLENTY | no_index)
    assert result.stdout.startswith('.venv ') == quick
    assert ('[1/6]' in result.stdout) != quick
    assert result.returncode == (0 if quick else 1)


# The Python of an environment whose torch sees no GPU. RECORD lists what it is asked to compile;
# joined files compile unless NOT_JOINED is set.
ENVIRONMENT_PYTHON = """#!/bin/sh
case "$*" in
  *torch.cuda*) echo 2.11.0,, ;;
  *_mmcv_sources.py*) shift; echo "sources $*" >> "$RECORD" ;;
  *"pip wheel"*)
    echo "wheel $CFLAGS" >> "$RECORD"
    if [ -n "$NOT_JOINED" ] && tail -n 2 "$RECORD" | grep -q units; then
      echo "error: Point" && exit 1
    fi
    while [ "$1" != --wheel-dir ]; do shift; done
    mkdir -p "$2" && touch "$2/mmcv.whl" ;;
  *zipfile*) echo mmcv/_ext.so ;;
  *purelib*) mkdir -p "$(dirname "$0")/../lib/mmcv"; echo "$(dirname "$0")/../lib" ;;
esac
"""
UV = """
case "$*" in
  "pip compile"*--default-index*) cat; echo "ask $*" >> "$RECORD"; test -n "$CPU_BUILD" ;;
  "pip compile"*) cat ;;
  "pip install"*) echo "$*" >> "$RECORD" ;;
  venv*) for last; do :; done; mkdir -p "$last/bin"; cp "$PYTHON_STUB" "$last/bin/python" ;;
esac
"""


@pytest.fixture
def make_environment(setup_env, tmp_path):
    """Runs the script to its end with stubs in place of uv and of the environment's Python."""
    stub = tmp_path / 'python'
    stub.write_text(ENVIRONMENT_PYTHON)
    stub.chmod(0o755)
    record = tmp_path / 'record'

    def run(*options, replaced=None, **environment):
        record.write_text('')
        stubs = USABLE | PLENTY | COMPILER | {'uv': UV, 'nvidia-smi': 'exit 1', 'nvcc': 'exit 1'}
        result = setup_env(
            *options,
            replaced=stubs | (replaced or {}),
            PYTHON_STUB=str(stub),
            RECORD=str(record),
            **environment,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout, record.read_text().splitlines()

    return run


def of_torch(record):
    """What was installed first, and whether another index was asked for it."""
    install = next(line for line in record if line.startswith('pip install'))
    asked = any(line.startswith('ask') for line in record)
    return re.sub(r'.*--constraints .*?\.txt ', '', install), asked


CPU_INDEX = 'https://download.pytorch.org/whl/cpu'


def test_without_a_gpu_torch_is_the_cpu_build(make_environment):
    output, record = make_environment(CPU_BUILD='yes')
    torch, torchvision = (f'{name}=={pins()[name]}+cpu' for name in ('torch', 'torchvision'))
    command = f'--no-deps --default-index {CPU_INDEX} {torch} {torchvision}'
    assert of_torch(record) == (command, True)
    assert CPU_INDEX in output


@pytest.mark.parametrize(
    ('environment', 'replaced', 'asked', 'source'),
    [
        ({}, {}, True, CPU_INDEX),
        ({'CPU_BUILD': 'yes'}, {'timeout': 'exit 124'}, False, CPU_INDEX),
        ({'CPU_BUILD': 'yes', 'TNT_BACKBONE_CPU_INDEX': ''}, {}, False, 'default'),
        ({'CPU_BUILD': 'yes'}, {'nvidia-smi': 'echo "GPU 0: H100"'}, False, 'GPU'),
    ],
    ids=['not offered', 'no answer in time', 'switched off', 'GPU'],
)
def test_else_torch_comes_from_the_default_index(
    make_environment, environment, replaced, asked, source
):
    output, record = make_environment(replaced=replaced, **environment)
    command, was_asked = of_torch(record)
    assert command.startswith('torch torchvision numpy')
    assert was_asked == asked
    assert source in output
    assert 'default index' in output


def test_a_torch_index_that_was_named_is_taken(make_environment):
    index = 'https://download.pytorch.org/whl/cu126'
    output, record = make_environment('--torch-index', index, CPU_BUILD='yes')
    command, _ = of_torch(record)
    assert command == f'--no-deps --default-index {index} torch torchvision'
    assert not any(CPU_INDEX in line for line in record)
    assert index in output


def test_a_gpu_that_came_later_replaces_the_cpu_build(make_environment):
    for gpu, made in (('exit 1', True), ('exit 1', False), ('echo "GPU 0: H100"', True)):
        output, record = make_environment(replaced={'nvidia-smi': gpu}, CPU_BUILD='yes')
        assert ('[1/6]' in output) == made
    assert of_torch(record)[0].startswith('torch torchvision numpy')


def test_a_background_process_that_is_ended_at_once_cleans_nothing_up(tmp_path):
    """It still has the traps of the script: the folder of the compilation was gone."""
    script = (ROOT / 'tools/setup_env.sh').read_text()
    traps = script[script.index("TEMPORARY=''") : script.index('install() {')]
    ended = 'for i in 1 2 3 4 5 6 7 8; do sleep 9 & kill $!; done; wait'
    check = f'{traps}\nTEMPORARY={tmp_path}/building; mkdir $TEMPORARY; {ended}; ls {tmp_path}'
    result = subprocess.run(['bash', '-c', check], capture_output=True, text=True)
    assert result.stdout == 'building\n'
    assert not (tmp_path / 'building').exists(), 'the script itself cleans up'


def mmcv_of(record):
    """What was compiled or installed as mmcv, and the extras of this package."""
    return [
        next(word for word in line.split() if word.startswith(('.[', 'wheel', 'mmcv-lite')))
        for line in record
        if re.search(r'^wheel| mmcv-lite| \.\[', line)
    ]


WITHOUT_COMPILER = {'CXX': 'no-such-compiler'}


def test_without_compiling_the_operators_are_ours(make_environment, checkout):
    output, record = make_environment('--no-compile', **WITHOUT_COMPILER)
    assert mmcv_of(record) == ['mmcv-lite', '.[openmmlab-lite,demo,docs,test]']
    assert 'mmcv operators: none' in output
    link = checkout / '.venv/lib/mmcv/_ext.py'
    assert link.resolve() == (checkout / 'tools/_mmcv_ext.py').resolve()


def test_the_next_run_compiles_unless_it_is_told_not_to(make_environment):
    """tools/test.sh and tools/demo.sh pass --keep, which also holds when the recipe changed."""
    make_environment('--no-compile', **WITHOUT_COMPILER)
    for option in ('--no-compile', '--keep'):
        output, record = make_environment(option, **WITHOUT_COMPILER)
        assert '[1/6]' not in output
        assert record == []
    output, record = make_environment()
    assert mmcv_of(record) == ['wheel', '.[openmmlab,demo,docs,test]']
    assert 'mmcv operators: cpu' in output
    for option in ('--no-compile', '--keep'):  # more than was asked for is kept
        output, _ = make_environment(option, **WITHOUT_COMPILER)
        assert '[1/6]' not in output
        assert 'mmcv operators: cpu' in output


def test_what_is_kept_without_operators_is_updated_without_them(make_environment, checkout):
    make_environment('--no-compile', **WITHOUT_COMPILER)
    with (checkout / 'requirements/pins.txt').open('a') as pins_file:
        pins_file.write('# changed\n')
    _, record = make_environment('--keep', **WITHOUT_COMPILER)
    assert mmcv_of(record) == ['mmcv-lite', '.[openmmlab-lite,demo,docs,test]']


OPTIMISED = 'wheel -O3 -g0 -DNDEBUG -fwrapv -fPIC'  # CFLAGS replaces the flags of Python itself


@pytest.mark.parametrize('stack', ['openmmlab', 'onedl'])
def test_mmcv_is_compiled_as_joined_files_once(make_environment, tmp_path, stack):
    output, record = make_environment('--stack', stack, MAX_JOBS='3')
    name = {'openmmlab': 'mmcv', 'onedl': 'onedl-mmcv'}[stack]
    built = [line.strip() for line in record if line.startswith(('sources', 'wheel'))]
    (sources, wheel) = built
    assert sources.startswith(f'sources {name}=={pins()[name]} {tmp_path / "cache"}')
    assert sources.endswith(' --units 3')
    assert wheel == OPTIMISED
    (wheels,) = (tmp_path / 'cache/wheels').iterdir()
    assert [path.name for path in wheels.iterdir()] == ['mmcv.whl']
    assert '.joined' not in output


def test_two_checkouts_compile_once(make_environment, checkout, tmp_path):
    """The second one waits, and takes the wheel of the first."""
    make_environment()
    (wheels,) = (tmp_path / 'cache/wheels').iterdir()
    shutil.rmtree(checkout / '.venv')
    elsewhere = wheels.rename(tmp_path / 'elsewhere')
    with (tmp_path / f'cache/logs/{wheels.name}.lock').open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def end_of_the_first():
            elsewhere.rename(wheels)
            fcntl.flock(lock, fcntl.LOCK_UN)

        timer = threading.Timer(2, end_of_the_first)
        timer.start()
        output, record = make_environment()
        timer.join()
    assert 'waiting' in output
    assert not [line for line in record if line.startswith('wheel ')]


def test_files_that_do_not_compile_when_joined_are_compiled_singly(make_environment, tmp_path):
    output, record = make_environment(NOT_JOINED='yes', MAX_JOBS='3', CFLAGS='-march=native')
    built = [line for line in record if line.startswith(('sources', 'wheel'))]
    assert ['--units' in line for line in built] == [True, False, False, False]
    assert built[1::2] == [f'{OPTIMISED} -march=native'] * 2
    (explanation,) = (line for line in output.splitlines() if '.joined' in line)
    (log,) = (tmp_path / 'cache/logs').glob('*.joined')
    assert str(log) in explanation
    assert 'error: Point' in log.read_text()


def pins():
    """Name -> version of requirements/pins.txt."""
    lines = (ROOT / 'requirements/pins.txt').read_text().splitlines()
    requirements = [Requirement(line) for line in lines if not line.startswith('#')]
    for requirement in requirements:
        assert re.fullmatch(r'==[^*]+', str(requirement.specifier)), requirement
    return {canonicalize_name(each.name): str(each.specifier)[2:] for each in requirements}


def test_every_installed_distribution_is_pinned():
    if not (Path(sys.prefix) / 'tnt_backbone.stamp').exists():
        pytest.skip('this environment was not made by tools/setup_env.sh')
    installed = {
        canonicalize_name(each.name): each.version.split('+')[0]
        for each in importlib.metadata.distributions(path=[*site_packages()])
    }
    installed.pop('tnt-backbone')
    assert len(installed) > 50
    pinned = pins()
    assert {name: pinned.get(name) for name in installed} == installed


def site_packages():
    # not sys.path: setuptools adds the folder of what it brings along
    return {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}


def test_installing_the_package_brings_no_openmmlab_library():
    """Upstream's distributions would be installed over the forks', or the reverse."""
    script = (
        'import setuptools; setuptools.setup = lambda **given: print('
        '*given["install_requires"], "|", *given["extras_require"]["onedl"]);'
        'exec(open("setup.py").read())'
    )
    result = subprocess.run(
        [sys.executable, '-c', f'__file__ = "setup.py"; {script}'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    required, forks = (part.split() for part in result.stdout.split('|'))
    assert required == ['torch']
    assert not {'mmcv', 'mmengine', 'mmdet', 'mmsegmentation', 'mmpretrain'} & set(forks)
