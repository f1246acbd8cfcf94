"""Rows, logs and the order of runs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import study

COLUMNS = ('task', 'seed', 'value')


@pytest.fixture
def rows(tmp_path):
    return study.Rows(tmp_path / 'results.csv', COLUMNS, 2)


def test_rows_are_added_and_read(rows):
    assert rows.read() == []
    rows.add(dict(task='a, b', seed=0, value=0.5))
    rows.add(dict(task='c', seed='1', value=''))
    assert rows.path.read_text() == 'task,seed,value\n"a, b",0,0.5\nc,1,\n'
    assert rows.done()['a, b', '0']['value'] == '0.5'
    assert set(rows.done()) == {('a, b', '0'), ('c', '1')}


def test_a_folder_is_held_once(tmp_path):
    with study.only_one(tmp_path), pytest.raises(SystemExit, match='--out'):  # noqa: SIM117
        with study.only_one(tmp_path):
            pass
    with study.only_one(tmp_path):
        pass


def test_a_training_that_outlives_its_study_holds_the_folder(tmp_path):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/wait.py').write_text(
        'import time\nprint("up", flush=True)\ntime.sleep(60)\n'
    )
    out = tmp_path / 'out'
    program = (
        f'import sys; sys.path.insert(0, {str(Path(study.__file__).parent)!r})\n'
        f'import study; from pathlib import Path; study.ROOT = Path({str(tmp_path)!r})\n'
        f'with study.only_one(Path({str(out)!r})):\n'
        f'    study.run_tool("wait", log=Path({str(out / "log")!r}))\n'
    )
    command = [sys.executable, '-c', program]
    with subprocess.Popen(command, start_new_session=True) as process:
        wait_until(lambda: (out / 'log').exists() and (out / 'log').read_text())
        process.kill()
    with pytest.raises(SystemExit, match='in use'), study.only_one(out):
        pass
    os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: is_free(out))


def is_free(folder):
    try:
        with study.only_one(folder):
            return True
    except SystemExit:
        return False


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def write_log(folder, name, entries):
    path = folder / name / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, entries)))


def test_minutes_and_losses_of_a_run_that_went_on(tmp_path):
    write_log(
        tmp_path,
        '1',
        [dict(time=3.0, loss=9.0, step=10), dict(time=6.0, loss=7.0, step=20)],
    )
    # went on from the checkpoint of step 10; the last line is a test's
    write_log(
        tmp_path,
        '2',
        [
            dict(time=6.0, loss=6.0, step=20),
            dict(time=3.0, loss=4.0, step=40),
            {'time': 5.0, 'coco/bbox_mAP': 0.5, 'step': 40},
        ],
    )
    # 10 * 3 + 10 * 6 in the first part; 10 * 6 + 20 * 3 in the second
    assert study.minutes(tmp_path) == pytest.approx((30 + 60 + 60 + 60) / 60)
    assert study.losses(tmp_path) == (9.0, 4.0)


@pytest.mark.parametrize(
    ('output', 'name', 'value'),
    [
        ('(test) [8/8]    coco/bbox_mAP: 0.5120  coco/bbox_mAP_50: 0.9010', 'coco/bbox_mAP', 0.512),
        ('coco/bbox_mAP: 0.5120  coco/bbox_mAP_50: 0.9010', 'coco/bbox_mAP_50', 0.901),
        ('aAcc: 97.1 mIoU: 12.25\naAcc: 98.1 mIoU: 51.5', 'mIoU', 51.5),
        ('coco/bbox_mAP_s: -1.0000', 'coco/bbox_mAP_s', -1.0),
    ],
)
def test_metric_of_a_test(output, name, value):
    assert study.metric(output, name) == value


def test_a_metric_that_is_missing():
    with pytest.raises(LookupError, match='mIoU'):
        study.metric('aAcc: 97.1', 'mIoU')


def test_a_tool_runs_with_one_thread_and_its_output_is_kept(tmp_path, monkeypatch):
    tools = tmp_path / 'tools'
    tools.mkdir()
    (tools / 'echo.py').write_text(
        'import os, sys\nprint(os.environ["OMP_NUM_THREADS"], *sys.argv[1:])\n'
        'sys.exit("bad" in sys.argv)\n'
    )
    monkeypatch.setattr(study, 'ROOT', tmp_path)
    log = tmp_path / 'output.txt'
    assert study.run_tool('echo', 1, tmp_path, log=log) == f'1 1 {tmp_path}\n'
    assert study.run_tool('echo', 2, log=log) == '1 2\n'
    with pytest.raises(subprocess.CalledProcessError):
        study.run_tool('echo', 'bad', log=log)
    assert log.read_text() == f'1 1 {tmp_path}\n1 2\n1 bad\n'


def test_a_training_that_is_over_is_not_started_again(tmp_path, monkeypatch):
    calls = []

    def train(name, *arguments, log):
        calls.append((name, *arguments))
        (log.parent / 'last_checkpoint').write_text(f'{tmp_path}/iter_{len(calls)}.pth\n')

    monkeypatch.setattr(study, 'run_tool', train)
    config = tmp_path / 'run.py'
    write_log(tmp_path, '1', [dict(time=6.0, loss=1.0, step=10)])
    for _ in range(2):
        assert study.train(config, '--no-validate') == (tmp_path / 'iter_1.pth', 1.0)
    assert calls == [('train', config, '--work-dir', tmp_path, '--resume', '--no-validate')]


def test_runs_are_asked_for_again_after_each(rows):
    """What comes next may depend on the rows; a run that failed is not repeated."""
    both = threading.Barrier(2, timeout=20)

    def missing():
        done = rows.done()
        first = [('a', '0'), ('a', '1'), ('a', 'broken')]
        wanted = [*first, ('b', '0')] if ('a', '1') in done else first
        return [key for key in wanted if key not in done]

    def run(key):
        if key in {('a', '0'), ('a', '1')}:
            both.wait()  # so the two run at the same time
        if key[1] == 'broken':
            raise LookupError('no metric')
        return dict(task=key[0], seed=key[1], value=1)

    assert study.run_all(missing, run, rows, jobs=2) == [('a', 'broken')]
    assert set(rows.done()) == {('a', '0'), ('a', '1'), ('b', '0')}


def test_what_has_a_row_is_not_run(rows):
    rows.add(dict(task='a', seed='0', value=1))
    missing = [key for key in [('a', '0')] if key not in rows.done()]
    assert study.run_all(lambda: missing, pytest.fail, rows, jobs=1) == []
