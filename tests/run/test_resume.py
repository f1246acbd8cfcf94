"""Which checkpoint a run goes on from, when some cannot be read."""

import os
import re
import shutil

import pytest
import torch
from mmengine.config import Config

from tnt_backbone.checkpoints import archive
from tnt_backbone.run.resume import find_newest, set_resume, why_not_resumable


def test_resume_takes_the_last_checkpoint_or_starts_anew(tmp_path, checkpoint):
    cfg = Config({'work_dir': str(tmp_path), 'load_from': 'coco.pth', 'resume': False})
    assert set_resume(cfg, None) == []
    assert (cfg.resume, cfg.load_from) == (False, 'coco.pth')

    cfg.work_dir = str(tmp_path / 'new')
    (note,) = set_resume(cfg, 'auto')
    assert cfg.work_dir in note
    assert (cfg.resume, cfg.load_from) == (False, 'coco.pth')

    cfg.work_dir = str(tmp_path)
    assert set_resume(cfg, 'auto') == []
    assert (cfg.resume, cfg.load_from) == (True, str(checkpoint))

    assert set_resume(cfg, 'other.pth') == []
    assert (cfg.resume, cfg.load_from) == (True, 'other.pth')


def test_resume_says_when_the_last_checkpoint_is_gone(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/gone/epoch_3.pth')
    cfg = Config({'work_dir': str(tmp_path), 'resume': True})  # the config's own way of auto
    with pytest.raises(FileNotFoundError, match=r'/gone/epoch_3\.pth.*--resume PATH'):
        set_resume(cfg, None)


@pytest.fixture
def write(tmp_path, checkpoint):
    """Write a checkpoint, each a second after the one before."""
    times = iter(range(1_700_000_000, 1_800_000_000))
    content = torch.load(checkpoint, weights_only=False)
    checkpoint.unlink()

    def write_file(name, **meta):
        path = tmp_path / name
        content['meta'] = meta
        torch.save(content, path)
        now = next(times)
        os.utime(path, (now, now))
        return path

    return write_file


def newest(folder, **options):
    path, notes = find_newest(
        Config({'work_dir': str(folder), **options.pop('cfg', {})}), **options
    )
    return path and os.path.basename(path), notes


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def flip_a_bit(path):
    """In a weight, where only the checksum tells."""
    data = bytearray(path.read_bytes())
    data[data.index(torch.ones(2).numpy().tobytes()) + 2] ^= 1
    path.write_bytes(data)


def cut_the_list_off(path):
    """The last bytes of a zip archive say what is in it."""
    os.truncate(path, path.stat().st_size - 30)


@pytest.mark.parametrize('damage', [cut, empty, flip_a_bit, cut_the_list_off])
def test_the_newest_that_can_be_read_is_taken_and_the_others_are_named(write, tmp_path, damage):
    for i in (1, 2, 3):
        path = write(f'epoch_{i}.pth')
    write('best_coco_epoch_3.pth')
    assert newest(tmp_path) == ('epoch_3.pth', [])
    damage(path)
    name, notes = newest(tmp_path)
    assert name == 'epoch_2.pth'
    assert len(notes) == 1
    assert re.search(r'--resume.*epoch_3\.pth', notes[0])
    damage(tmp_path / 'epoch_1.pth')
    damage(tmp_path / 'epoch_2.pth')
    with pytest.raises(ValueError, match='--work-dir') as error:
        newest(tmp_path)
    assert set(re.findall(r'epoch_.\.pth', str(error.value))) == {
        f'epoch_{i}.pth' for i in (1, 2, 3)
    }


def test_a_file_without_the_state_of_the_optimizer_is_passed_over(write, tmp_path):
    write('epoch_1.pth')
    torch.save({'state_dict': {'weight': torch.ones(1)}, 'meta': {}}, tmp_path / 'epoch_2.pth')
    name, (note,) = newest(tmp_path)
    assert name == 'epoch_1.pth'
    assert re.search(r'epoch_2\.pth.*message_hub, optimizer', note)


def test_a_file_of_a_training_that_diverged_is_passed_over(write, tmp_path):
    write('epoch_1.pth')
    content = torch.load(write('epoch_2.pth'), weights_only=False)
    next(iter(content['state_dict'].values()))[0] = float('nan')
    torch.save(content, tmp_path / 'epoch_2.pth')
    name, (note,) = newest(tmp_path)
    assert name == 'epoch_1.pth'
    assert re.search(r'epoch_2\.pth.*NaN', note)


def test_checksums_are_compared_once_until_the_file_changes(write, monkeypatch):
    path = write('epoch_1.pth')
    compared = []
    monkeypatch.setattr(archive, '_is_intact', lambda *entry: compared.append(entry) or True)
    assert why_not_resumable(path) is None
    entries = len(compared)
    assert entries > 0
    assert why_not_resumable(path) is None
    assert len(compared) == entries
    monkeypatch.undo()
    flip_a_bit(path)
    assert 'damaged' in why_not_resumable(path)


def test_later_epochs_of_an_older_run_are_not_taken(write, tmp_path):
    write('epoch_12.pth')
    second = write('epoch_2.pth')
    (tmp_path / 'last_checkpoint').write_text(str(second))
    assert newest(tmp_path)[0] == 'epoch_2.pth'


def test_in_a_copied_folder_the_noted_one_is_taken(write, tmp_path):
    """Copied in the order of the names, so epoch_9.pth is the newest file."""
    for i in (10, 8, 9):
        write(f'epoch_{i}.pth')
    (tmp_path / 'last_checkpoint').write_text('/before/it/was/copied/epoch_10.pth')
    assert newest(tmp_path)[0] == 'epoch_10.pth'
    write('epoch_11.pth')  # killed before it was noted
    assert newest(tmp_path)[0] == 'epoch_11.pth'


def test_other_names_and_folders(write, tmp_path):
    (tmp_path / 'elsewhere' / 'run').mkdir(parents=True)
    hook = {'filename_tmpl': 'step-{}.ckpt', 'out_dir': str(tmp_path / 'elsewhere')}
    path = write('step-3.ckpt')
    shutil.move(path, tmp_path / 'elsewhere' / 'run')
    cfg = {'default_hooks': {'checkpoint': hook}}
    assert newest(tmp_path / 'run', cfg=cfg)[0] == 'step-3.ckpt'
    (tmp_path / 'last_checkpoint').write_text('s3://bucket/epoch_3.pth')
    assert newest(tmp_path) == ('epoch_3.pth', [])


def test_a_restart_takes_only_what_its_own_run_has_written(write, tmp_path):
    old = write('epoch_12.pth')
    since = old.stat().st_mtime_ns + 1
    (tmp_path / 'last_checkpoint').write_text('/gone/epoch_12.pth')
    assert newest(tmp_path, since=since) == (None, [])
    write('epoch_1.pth')
    assert newest(tmp_path, since=since)[0] == 'epoch_1.pth'


def test_the_seed_of_the_run_is_kept(write, tmp_path):
    write('iter_100.pth', seed=7)
    cfg = Config({'work_dir': str(tmp_path)})
    set_resume(cfg, 'auto')
    assert cfg.randomness.seed == 7
    cfg = Config({'work_dir': str(tmp_path), 'randomness': {'seed': 1, 'deterministic': True}})
    set_resume(cfg, 'auto')
    assert cfg.randomness == {'seed': 1, 'deterministic': True}


def test_an_empty_note_is_none(write, tmp_path):
    (tmp_path / 'last_checkpoint').touch()
    assert newest(tmp_path) == (None, [])
    assert why_not_resumable(write('epoch_1.pth')) is None
