"""What facts about torch, GPUs and mmcv mean."""

import pytest

from tnt_backbone.doctor import libraries
from tnt_backbone.doctor.finding import NOTE, OK, PROBLEM
from tnt_backbone.doctor.libraries import check_index, check_libraries

TORCH = {
    'name': 'torch', 'version': '2.11.0+cu130', 'cuda': '13.0', 'has_gpu': False, 'devices': [],
    'distributed': True, 'nccl': True, 'nccl_version': None, 'warnings': [],
}  # fmt: skip
GPU = {'name': 'H200', 'capability': [9, 0], 'free': 130 * 2**30, 'total': 139 * 2**30}


def judge(**changes):
    found = check_libraries({'torch': {**TORCH, **changes}})
    return {finding.name: finding for finding in found}


def with_gpus(*devices, **changes):
    return judge(has_gpu=True, devices=list(devices), nccl_version='2.27.7', **changes)


def test_no_gpu_is_no_problem(monkeypatch):
    monkeypatch.setattr(libraries, 'DRIVERS', ())
    assert {finding.status for finding in judge().values()} == {OK}


@pytest.mark.parametrize(
    ('changes', 'fix'),
    [
        ({'cuda': None, 'version': '2.11.0+cpu'}, 'whl/cu130'),
        (
            {'warnings': ['CUDA initialization: The NVIDIA driver on your system is too old']},
            'whl/cu126',
        ),
        ({}, 'unset CUDA_VISIBLE_DEVICES'),
    ],
)
def test_a_gpu_that_torch_does_not_see_is_a_problem(changes, fix, monkeypatch, tmp_path):
    monkeypatch.setattr(libraries, 'DRIVERS', (str(tmp_path),))
    finding = judge(**changes)['GPU']
    assert finding.status == PROBLEM
    assert fix in finding.fix


def test_each_gpu_is_judged():
    other = {'error': 'CUDA error: no kernel image is available for execution on the device'}
    busy = {**GPU, 'free': 2**30}
    found = with_gpus(GPU, {'name': 'RTX 5090', **other}, busy)
    assert [found[f'GPU {i}'].status for i in range(3)] == [OK, PROBLEM, NOTE]
    assert 'whl/cu130' in found['GPU 1'].fix
    assert '1.0 of 139.0' in found['GPU 2'].text
    assert found['NCCL'].text == '2.27.7'


def test_several_gpus_need_nccl():
    assert with_gpus(GPU, GPU, nccl=False)['NCCL'].status == PROBLEM
    assert with_gpus(GPU, nccl=False)['NCCL'].status == NOTE
    assert judge(distributed=False)['NCCL'].status == PROBLEM


def pair(torch, vision, monkeypatch, wanted='2.11.0'):
    monkeypatch.setattr(libraries, 'requires', lambda _: ['numpy', f'torch=={wanted}'])
    facts = {'torch': {'version': torch}, 'torchvision': {'version': vision}}
    (finding,) = check_index(facts)
    return finding


def test_torch_and_torchvision_of_two_indexes_are_a_problem(monkeypatch):
    assert pair('2.11.0+cpu', '0.26.0+cpu', monkeypatch).status == OK
    assert pair('2.11.0', '0.26.0+cu130', monkeypatch).status == OK  # as some indexes name builds
    assert pair('2.11.0a0+gitabc', '0.26.0+cu130', monkeypatch, wanted='2.11.0a0').status == PROBLEM
    finding = pair('2.11.0+cpu', '0.26.0+cu130', monkeypatch)
    assert finding.status == PROBLEM
    assert finding.fix.endswith(
        'torch==2.11.0 torchvision==0.26.0 --index-url https://download.pytorch.org/whl/cpu'
    )
    finding = pair('2.11.0+cpu', '0.25.0+cpu', monkeypatch, wanted='2.10.0')
    assert finding.status == PROBLEM
    assert finding.fix.endswith('torch==2.10.0 torchvision==0.25.0')
    assert check_index({'torch': {'error': 'x'}, 'torchvision': {'skipped': 'torch'}}) == []


@pytest.mark.parametrize(
    ('packages', 'status', 'fix'),
    [
        ({'mmcv': '2.1.0'}, PROBLEM, 'mmcv==2.1.0'),
        ({'onedl-mmcv': '2.3.6'}, PROBLEM, '--no-binary onedl-mmcv onedl-mmcv==2.3.6'),
        ({'mmcv-lite': '2.1.0'}, NOTE, 'bash tools/setup_env.sh'),
    ],
)
def test_missing_operators_are_a_problem_of_the_full_mmcv(packages, status, fix, monkeypatch):
    monkeypatch.setattr(
        libraries, 'installed', lambda names: {n: packages[n] for n in names if n in packages}
    )
    (finding,) = check_libraries({'mmcv.ops': {'compiled': False}})
    assert finding.status == status
    assert finding.fix.endswith(fix)


def test_no_compiler_is_a_note():
    facts = {'inner block': {'cpu': 'it cannot be compiled (c++ not found)', 'gpu': None}}
    (finding,) = check_libraries(facts)
    assert (finding.status, finding.fix) == (NOTE, 'sudo apt install g++')


def test_without_a_library_only_its_configs_fail():
    absent = {'error': "No module named 'mmcv'", 'missing': 'mmcv'}
    (alone,) = check_libraries({'mmcv': absent})
    assert alone.status == NOTE
    _, beside = check_libraries({'mmengine': {'version': '0.10.7'}, 'mmcv': absent})
    assert beside.status == PROBLEM
