"""The command: what it refuses at once, and that it ends cleanly."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from tnt_backbone.cli import app


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--port', '70000'], '--port 70000'),
        (['--port', '-1'], '--port -1'),
        (['--max-megabytes', '0'], '--max-megabytes 0'),
        (['--max-megapixels', 'nan'], '--max-megapixels nan'),
        (['--max-seconds', '-3'], '--max-seconds -3'),
        (['--max-seconds', 'inf'], '--max-seconds inf'),
    ],
)
def test_wrong_numbers_are_refused(arguments, said, capsys):
    with pytest.raises(SystemExit) as exit_:
        app.main(['tnt://digits', *arguments])
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err


def test_what_is_missing_is_said_before_the_model_is_loaded(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(app, 'load', lambda args: pytest.fail('loaded'))
    cases = [
        ([str(tmp_path / 'nowhere.pth')], 'nowhere.pth'),
        (['tnt://digits', '--config', 'nowhere.py'], 'nowhere.py'),
        (['tnt://digits', '--host', '192.0.2.1'], '--host 192.0.2.1'),
    ]
    for arguments, said in cases:
        with pytest.raises(SystemExit) as exit_:
            app.main(arguments)
        assert exit_.value.code == 2
        assert said in capsys.readouterr().err


def test_options_for_checkpoints_are_refused_with_an_exported_file():
    for option in ('--config', '--trust', '--device'):
        args = app.parse_args(['a.onnx', option, 'cpu'])
        with pytest.raises(ValueError, match=rf'{option}.*a\.onnx'):
            app.load(args)


def test_it_listens_here_only_unless_asked():
    args = app.parse_args(['tnt://digits'])
    assert (args.host, args.port) == ('127.0.0.1', None)


# Python calls the hook for every socket; what is bound or connected is written down.
SCRIPT = """
import json, sys
from tnt_backbone.cli import tnt
def note(event, arguments):
    if event in ('socket.connect', 'socket.bind', 'socket.getaddrinfo'):
        address = arguments[1] if event != 'socket.getaddrinfo' else arguments[:2]
        print('SOCKET', json.dumps([event, str(address)]), file=sys.stderr, flush=True)
sys.addaudithook(note)
sys.argv = ['tnt', 'app', 'tnt://digits', '--port', '0']
tnt.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_it_serves_this_machine_only_and_ends_cleanly(tmp_path, number):
    env = {**os.environ, 'TMPDIR': str(tmp_path), 'HTTP_PROXY': 'http://192.0.2.1:9'}
    process = subprocess.Popen(
        [sys.executable, '-c', SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=env,
    )  # fmt: skip
    line = process.stdout.readline()
    address = re.search(r'http://127\.0\.0\.1:\d+/', line)[0]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    assert opener.open(address).status == 200
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert 'Traceback' not in errors
    assert list(tmp_path.glob('tnt_app_*')) == []  # uploads are deleted
    found = [json.loads(part[7:]) for part in errors.splitlines() if part.startswith('SOCKET')]
    internet = [entry for entry in found if '/' not in entry[1]]  # not a path of a socket
    assert internet
    here = re.compile(r"^\(b?'(127\.0\.0\.1|localhost)', (\d+|None)\)$")
    assert [entry for entry in internet if not here.match(entry[1])] == []
