"""Every folder of MMDetection's and MMSegmentation's configs, with its ResNet replaced by ours.

Slow (about half a minute a config), so not part of the suite:

    bash tools/test.sh -m slow tests/sweep            # one config a folder
    bash tools/test.sh -m slow tests/sweep --all      # all configs with a ResNet

A config that does not run with its own backbone on this machine is skipped. The outcomes are kept
in ``work_dirs/sweep/outcomes.json``; ``python tests/sweep/test_sweep.py`` prints them as a table.
"""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import mmdet
import mmseg
import pytest
from mmengine.config import Config

HERE = Path(__file__).parent
OUTCOMES = HERE.parents[1] / 'work_dirs' / 'sweep' / 'outcomes.json'
LIBRARIES = {
    library.__name__: Path(library.__file__).parent / '.mim' / 'configs'
    for library in (mmseg, mmdet)
}
RESNETS = ('ResNet', 'ResNetV1c', 'ResNetV1d', 'ResNeXt')
TIMEOUT = 900  # seconds


def has_resnet(path: Path) -> bool:
    try:
        backbone = Config.fromfile(path, import_custom_modules=False).model.backbone
        return backbone.type.split('.')[-1] in RESNETS
    except Exception:  # a fragment, or a config of a part that is not installed
        return False


def choose(*, every: bool) -> list[Path]:
    """Configs with a ResNet: the first of each folder, or all."""
    chosen = []
    for root in LIBRARIES.values():
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            paths = (path for path in sorted(folder.glob('*.py')) if has_resnet(path))
            chosen += list(paths) if every else [path for path in [next(paths, None)] if path]
    return chosen


def pytest_generate_tests(metafunc):
    wanted = metafunc.config.getoption('markexpr') == 'slow'
    every = metafunc.config.getoption('all_configs', default=False)
    paths = choose(every=every) if wanted else []  # reading the configs takes a minute
    metafunc.parametrize('path', paths, ids=[f'{path.parent.name}/{path.stem}' for path in paths])


def note(path: Path, outcome: dict[str, str]) -> None:
    """Add an outcome to the file, beside other processes."""
    OUTCOMES.parent.mkdir(parents=True, exist_ok=True)
    with OUTCOMES.open('a+') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        outcomes = json.loads(file.read() or '{}')
        library = path.parents[3].name
        outcomes[f'{library}/{path.parent.name}/{path.name}'] = outcome
        file.seek(0)
        file.truncate()
        json.dump(outcomes, file, indent=1, sort_keys=True)


@pytest.mark.slow
def test_config(path):
    result = subprocess.run(
        [sys.executable, HERE / 'swapping.py', path],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    lines = result.stdout.splitlines()
    outcome = json.loads(lines[-1]) if lines else {'stock': f'exit {result.returncode}: no result'}
    note(path, outcome)
    if outcome['stock'] != 'ok':
        pytest.skip(f'with its own backbone: {outcome["stock"]}')
    failed = {name: text for name, text in outcome.items() if not text.startswith('ok')}
    assert not failed


def table() -> str:
    """Count the outcomes, and name what failed."""
    outcomes = json.loads(OUTCOMES.read_text())
    families = ['TNT', 'PyramidTNT', 'T2TViT']
    lines = [
        '| library | configs | run with their own | ' + ' | '.join(families) + ' |',
        '| - ' * 6 + '|',
    ]
    notes = []
    for library in LIBRARIES:
        rows = {key: row for key, row in outcomes.items() if key.startswith(f'{library}/')}
        ran = {key: row for key, row in rows.items() if row['stock'] == 'ok'}
        counts = [sum(row[family].startswith('ok') for row in ran.values()) for family in families]
        lines.append(
            f'| {library} | {len(rows)} | {len(ran)} | ' + ' | '.join(map(str, counts)) + ' |'
        )
        for key, row in rows.items():
            said = {name: text for name, text in row.items() if text != 'ok'}
            notes += [f'- {key}: {name}: {text}' for name, text in said.items()]
    return '\n'.join([*lines, '', *notes])


if __name__ == '__main__':
    sys.stdout.write(table() + '\n')
