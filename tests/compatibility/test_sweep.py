"""Every folder of MMDetection's and MMSegmentation's configs, with its ResNets replaced by ours.

Slow, so not part of the suite:

    bash tools/test.sh -m slow tests/compatibility            # one config per folder
    bash tools/test.sh -m slow tests/compatibility --all      # all configs with a ResNet

Outcomes are added to ``tools/compatibility/outcomes.csv``. Configs that are there for the installed
versions are not run again, except with ``--again``. ``python tools/compatibility/page.py`` writes
the page from that file.

A config is skipped if it does not run with its own backbone on this machine, or if a Swin
Transformer of the right widths fails as ours do.
"""

import pytest
import sweep


def pytest_generate_tests(metafunc):
    wanted = metafunc.config.getoption('markexpr') == 'slow'
    every = metafunc.config.getoption('all_configs', default=False)
    paths = sweep.choose(every=every) if wanted else []  # reading the configs takes a minute
    metafunc.parametrize('path', paths, ids=[sweep.key_of(path) for path in paths])


@pytest.mark.slow
def test_config(path, request):
    row = sweep.try_config(path, again=request.config.getoption('again', default=False))
    if row['own'] != 'ok':
        pytest.skip(f'with its own backbone: {row["own"]}')
    failed = {family: row[family] for family in sweep.FAMILIES if row[family][:2] != 'ok'}
    if failed and row['Swin'] != 'ok':
        pytest.skip(f'with any other backbone: {row["Swin"]}; {failed}')
    assert not failed
