"""Published weights: fetched once, from the first place that has them, and kept."""

import functools
import http.server
import os
import runpy
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tnt_backbone import TNT, T2TViT
from tnt_backbone.backbones import BACKBONES
from tnt_backbone.checkpoints import published
from tnt_backbone.checkpoints.published import PUBLISHED, resolve_checkpoint

# (mean, standard deviation) of red, green and blue in 0 to 1, as their authors' scripts say; CIFAR:
# transfer_learning.py of T2T-ViT, one for both data sets
PIXELS = {
    'ImageNet': [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)],
    'CIFAR': [(0.4914, 0.2023), (0.4822, 0.1994), (0.4465, 0.2010)],
    'halves': [(0.5, 0.5)] * 3,
}
TINY = {'depth': 1, 'word_dims': 4, 'word_heads': 1, 'sentence_dims': 8, 'sentence_heads': 1}


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A web server on this machine: its folder, its address, and the log of its requests."""
    folder = tmp_path / 'host'
    folder.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(Handler, directory=folder)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    yield folder, f'http://127.0.0.1:{server.server_port}', asked
    server.shutdown()
    server.server_close()


def publish(monkeypatch, *places):
    row = replace(PUBLISHED['tnt_s'], file_name='tiny.pth.tar', places=list(places))
    monkeypatch.setitem(published.PUBLISHED, 'tiny', row)


def test_fetched_once_and_kept(host, monkeypatch, tmp_path):
    folder, address, asked = host
    weights = TNT(TINY, img_size=16)
    torch.save(weights.state_dict(), folder / 'there.pth')
    publish(monkeypatch, f'{address}/missing.pth', f'{address}/there.pth')
    backbone = TNT(TINY, img_size=16, init_cfg=dict(type='Pretrained', checkpoint='tnt://tiny'))
    backbone.init_weights()
    assert torch.equal(backbone.sentence_pos, weights.sentence_pos)
    assert [path for path in asked if path == '/missing.pth'], 'the first place is asked first'
    del asked[:]
    assert resolve_checkpoint('tnt://tiny') == str(tmp_path / 'hub/checkpoints/tiny.pth.tar')
    assert not asked, 'a cached file is not asked for again'
    assert [path.name for path in (tmp_path / 'hub/checkpoints').iterdir()] == ['tiny.pth.tar']


def test_a_web_page_is_not_kept(host, monkeypatch, tmp_path):
    folder, address, _ = host
    (folder / 'login.pth').write_text('<html>please log in</html>')
    publish(monkeypatch, f'{address}/login.pth')
    with pytest.raises(FileNotFoundError, match=r'(?s)login\.pth.*web page'):
        resolve_checkpoint('tnt://tiny')
    assert not list((tmp_path / 'hub/checkpoints').iterdir())


def test_unreachable_places_are_all_named_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    places = ('http://127.0.0.1:9/a.pth', 'http://127.0.0.1:9/b.pth')
    publish(monkeypatch, *places)
    with pytest.raises(FileNotFoundError) as error:
        resolve_checkpoint('tnt://tiny')
    for text in (
        'tiny.pth.tar',
        *places,
        '--weights FILE',
        '--from-scratch',
        str(tmp_path / 'hub'),
    ):
        assert text in str(error.value)


def test_unknown_names_and_missing_files():
    with pytest.raises(ValueError, match=r"'tnt://tnt_xl'.*\btnt://tnt_s\b.*docs/weights\.md"):
        resolve_checkpoint('tnt://tnt_xl')
    with pytest.raises(FileNotFoundError, match='--weights FILE'):
        resolve_checkpoint('nowhere/weights.pth')


@pytest.mark.parametrize('name', PUBLISHED)
def test_rows_of_the_table(name):
    row = PUBLISHED[name]
    (family,) = (backbone for backbone in BACKBONES if backbone.__name__ == row.family)
    assert row.arch in family.VARIANTS
    assert row.places or row.by_hand
    assert all('openmmlab.com' not in place for place in row.places), 'that host is gone'
    kind = row.data.split('-')[0] if family is T2TViT else 'halves'
    assert [*zip(row.mean, row.std, strict=True)] == [
        (pytest.approx(255 * mean), pytest.approx(255 * std)) for mean, std in PIXELS[kind]
    ]
    with torch.device('meta'):
        family(row.arch, img_size=row.img_size, **row.options)


def test_files_that_only_a_person_can_fetch(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    with pytest.raises(FileNotFoundError, match=r'https://pan\.baidu\.com/\S+ \(password \w+\)'):
        resolve_checkpoint('tnt://pyramid_tnt_s')


def test_names_of_timms_hub(monkeypatch, tmp_path):
    folder = tmp_path / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    kept = folder / 'timm-tnt_s_patch16_224.in1k.safetensors'
    kept.write_bytes(b'')
    assert resolve_checkpoint('timm/tnt_s_patch16_224.in1k') == str(kept)


def test_the_page_says_what_the_table_says():
    """After a change of the table: python tools/weights_table.py."""
    tool = Path(__file__).parents[2] / 'tools' / 'weights_table.py'
    module = runpy.run_path(str(tool))
    page = module['PAGE'].read_text()
    assert module['fill'](page) == page


def test_processes_that_start_together_download_once(tmp_path):
    """Two processes ask one slow server for the same weights."""
    weights = tmp_path / 'w.pth'
    torch.save({'weight': torch.ones(2)}, weights)
    requests = []

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            time.sleep(1)
            content = weights.read_bytes()
            self.send_response(200)
            self.send_header('Content-Length', str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = (
        'import sys; from tnt_backbone.checkpoints import resolve_checkpoint; '
        'print(resolve_checkpoint(sys.argv[1]))'
    )
    url = f'http://127.0.0.1:{server.server_port}/w.pth'
    environment = {**os.environ, 'TORCH_HOME': str(tmp_path / 'hub'), 'OMP_NUM_THREADS': '1'}
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', code, url],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    paths = {process.communicate(timeout=120)[0].strip().splitlines()[-1] for process in processes}
    server.shutdown()
    assert len(requests) == 1
    (path,) = paths
    assert torch.load(path, weights_only=True)['weight'].tolist() == [1, 1]
    assert not list(Path(path).parent.glob('*.part'))
