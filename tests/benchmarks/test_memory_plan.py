"""The table of memory: its cells are those of ``memory.py``."""

import sys

import machine
import memory_plan


def test_asks_for_each_size_and_way_once(monkeypatch, capsys):
    asked = []

    def measured(_, model, step):
        asked.append((model, tuple(step.shape), step.batch, step.dtype))
        return 1.0, len(asked)

    monkeypatch.setattr(machine, 'in_fresh_process', measured)
    arguments = ['TNT:ti', 'T2TViT:7', '--shapes', '32x64', '--batches', '2', '--dtypes', 'float32']
    monkeypatch.setattr(sys, 'argv', ['memory_plan.py', *arguments])
    memory_plan.main()
    ways = ["TNT:ti+inner_backend='reference'", 'TNT:ti', 'TNT:ti+with_cp=True']
    ways += ['T2TViT:7', 'T2TViT:7+with_cp=True']
    assert asked == [(model, (32, 64), 2, 'float32') for model in ways]
    rows = capsys.readouterr().out.splitlines()[-2:]
    assert rows[0] == '| TNT:ti, 2, float32 | 1.00 | 2.00 | 3.00 |'
    assert rows[1] == '| T2TViT:7, 2, float32 | 4.00 |  | 5.00 |'


def test_on_a_gpu_fused_is_the_kernels():
    assert memory_plan.options('TNT:s', 'fused', 'cuda') == "+inner_backend='triton'"
    assert memory_plan.options('TNT:s', 'with_cp', 'cuda') == "+with_cp=True+inner_backend='triton'"
    assert memory_plan.options('T2TViT:14', 'with_cp', 'cuda') == '+with_cp=True'
