"""What the command prints, and its exit status."""

import json

import pytest

from tnt_backbone.cli import doctor
from tnt_backbone.doctor import examine as module
from tnt_backbone.doctor.finding import NOTE, OK, PROBLEM, Finding


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        doctor.main(arguments)
    return ended.value.code


@pytest.mark.parametrize(('status', 'expected'), [(OK, 0), (NOTE, 0), (PROBLEM, 1)])
def test_problems_are_status_1(status, expected, monkeypatch, capsys):
    findings = [Finding('disk', OK, '9 GiB'), Finding('ports', status, '7 is in use', 'PORT=8')]
    monkeypatch.setattr(module, 'examine', lambda *args: iter(findings))
    assert run() == expected
    said = capsys.readouterr().out
    assert ('PORT=8' in said) == (status != OK)
    assert said.splitlines()[-1] == ('1 problem' if expected else '0 problems')
    assert run('--json') == expected
    assert json.loads(capsys.readouterr().out)[1] == {
        'name': 'ports', 'status': status, 'text': '7 is in use', 'fix': 'PORT=8',
    }  # fmt: skip


def test_a_log_is_searched(tmp_path, capsys, monkeypatch):
    log = tmp_path / 'log'
    log.write_bytes(b'\xff loss: 1.0\n' + b'E1 received 0 items of ancdata\n')
    assert run('--error', str(log)) == 1
    assert 'ulimit -n' in capsys.readouterr().out
    log.write_text('loss: 1.0\n')
    assert run('--error', str(log)) == 0
    capsys.readouterr()
    monkeypatch.setattr('sys.stdin', ['CUDA out of memory'])
    assert run('--error', '-', '--json') == 1
    assert json.loads(capsys.readouterr().out)[0]['name'] == 'memory of the GPU'


def test_wrong_use(tmp_path, capsys):
    assert run('--error', f'{tmp_path}/none') == 2
    assert f'{tmp_path}/none' in capsys.readouterr().err
    assert run('a.py', '--error', 'log') == 2
    assert 'a.py' in capsys.readouterr().err
