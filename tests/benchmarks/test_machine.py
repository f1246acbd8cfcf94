"""How work is timed."""

import machine
import pytest


def test_in_turns(monkeypatch):
    """The round that warms up does not count; of the others the quickest does."""
    clock = {'now': 0.0}
    monkeypatch.setattr(machine.time, 'perf_counter', lambda: clock['now'])
    order = []

    def takes(name, *seconds):
        left = list(seconds)

        def run():
            order.append(name)
            clock['now'] += left.pop(0)

        return run

    taken = machine.in_turns({'a': takes('a', 1, 5, 3), 'b': takes('b', 9, 2, 4)}, rounds=2)
    assert taken == pytest.approx({'a': 3, 'b': 2})
    assert order == ['a', 'b'] * 3
