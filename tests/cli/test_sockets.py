"""No command opens a connection on its own: each does its work where one is an error."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tnt_backbone.cli import tnt
from tnt_backbone.exported.formats import FORMATS

# Each command runs in a fork of one process that has imported the libraries, one after the other.
# Python calls the hook for every socket, also in threads and in processes that are forked later.
SCRIPT = """
import json, os, sys, traceback
import mmdet.apis, torch
from tnt_backbone.cli import tnt

def refuse(event, arguments):
    local = event == 'socket.connect' and isinstance(arguments[1], str)  # between processes
    if event in EVENTS and not local:
        print(f'{event} {arguments[1:]}', file=sys.stderr, flush=True)
        traceback.print_stack()
        os._exit(99)

EVENTS = ('socket.connect', 'socket.bind', 'socket.getaddrinfo', 'socket.gethostbyname',
          'socket.gethostbyaddr', 'socket.sendto', 'socket.sendmsg')
for command in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        sys.addaudithook(refuse)
        sys.argv = ['tnt', *command]
        status = 0
        try:
            tnt.main()
        except SystemExit as error:
            status = error.code or 0
        sys.stdout.flush()
        os._exit(status)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f'{command[0]}: exit status {os.waitstatus_to_exitcode(status)}')
"""
STOCK = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
WORK = [
    ['configs', 'retinanet'],
    ['new', 'new.py', '--from', STOCK, '--backbone', 'tnt_s'],
    ['check', 'tiny.py'],
    ['train', 'tiny.py', '--work-dir', 'work'],
    ['test', 'tiny.py', 'work/epoch_1.pth', '--work-dir', 'work'],
    ['predict', 'work/epoch_1.pth', 'coco/images/0.jpg', '--out', 'seen', '--score', '0'],
    ['browse', 'tiny.py', '--out', 'browse.html'],
    ['report', 'work'],
    ['look', 'work/epoch_1.pth', 'coco/images/0.jpg', '--out', 'looked'],
    ['embed', 'work/epoch_1.pth', 'coco/images/0.jpg', '--out', 'vectors.npz'],
    ['plan', 'retinanet_tnt_s_coco', '--gpus', '2', '--memory', '24G'],
    ['publish', 'work/epoch_1.pth', 'small.pth'],
    ['convert', 'work/epoch_1.pth', 'timm.pth', '--to', 'timm'],
    ['flops', 'tiny.py', '--shape', '64'],
]  # fmt: skip
INSTALLED = ['.onnx', *(['.xml'] if find_spec('openvino') else [])]
EXPORTS = [
    *(['export', 'tnt://digits', '--out', f'mine{suffix}'] for suffix in INSTALLED),
    *(['predict', f'mine{suffix}', 'coco/images', '--out', suffix] for suffix in INSTALLED),
]


def run(folder, commands):
    return subprocess.run(
        [sys.executable, '-c', SCRIPT, json.dumps(commands)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.parametrize('commands', [WORK, EXPORTS], ids=['work', 'exports'])
@pytest.mark.usefixtures('tiny_config')  # tiny.py, in tmp_path
def test_no_command_opens_a_connection(tmp_path, commands):
    done = run(tmp_path, commands)
    assert done.returncode == 0, done.stderr[-3000:]


def test_every_command_and_format_is_tried():
    tried = {command[0] for command in WORK + EXPORTS}
    # doctor looks for a free port itself; app serves: test_app.py looks at its sockets
    assert tried | {'doctor', 'app'} == set(tnt.COMMANDS)
    assert set(INSTALLED) <= set(FORMATS)


@pytest.mark.slow
def test_a_connection_is_noticed(tmp_path):
    done = run(tmp_path, [['predict', 'tnt://digits', 'http://127.0.0.1:9/a.jpg']])
    assert 'exit status 99' in done.stderr
