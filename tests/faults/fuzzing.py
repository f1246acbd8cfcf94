"""What the fuzzers share: random damage, limits of time and memory, and the count of outcomes.

A fuzzer is not a part of the tests: it runs for as long as one likes, and finds what becomes a
test. Input number N is always the same, so a fault is called again by its number::

    FUZZ_FROM=0 FUZZ_COUNT=2000 python -m pytest -m fuzz -s tests/faults/fuzz_data.py
"""

import copy
import os
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tnt_backbone.errors import UserError

FROM = int(os.environ.get('FUZZ_FROM', '0'))
COUNT = int(os.environ.get('FUZZ_COUNT', '100'))
SECONDS = 5.0  # of the processor
MEMORY = 2**31  # bytes that one input may add
SCALARS = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 1e-320, 1e300, -1e300, 2**31, 2**63, -(2**64)),
    *(10**400, float('nan'), float('inf'), float('-inf')),
    *(
        '',
        ' ',
        '0',
        '1',
        'nan',
        '1e999',
        '²',
        '\u0661',
        'ä',
        '猫',
        '\ud800',
        'a\nb',
        'a\0b',
        '../../a',
    ),
    *('/etc/passwd', 'http://localhost/a.jpg', 'file:///etc/passwd', 'a' * 5000, '\'"', '[1, 2]'),
)
VALUES = (*SCALARS, [], {}, [None], [[]], {'a': 1}, [0, 0, 1, 1], [[1, 2, 3]], [1e9] * 6)


class Slow(Exception):  # noqa: N818
    """An input takes too long."""


def _stop(*_: Any) -> None:
    raise Slow(f'more than {SECONDS} s')


def fuzz(attempt: Callable[[np.random.Generator, int], str], name: str) -> Counter[str]:
    """Try ``COUNT`` inputs and print what became of them.

    Args:
        attempt: Gets a random generator and the number of the input; returns one word for the
            outcome, or raises.
        name: Of the fuzzer.

    Raises:
        AssertionError: If an input led to an error that is not of ``errors.py``, took too long, or
            took too much memory.
    """
    outcomes: Counter[str] = Counter()
    faults: dict[str, list[int]] = {}
    messages: list[str] = []
    signal.signal(signal.SIGPROF, _stop)
    for number in range(FROM, FROM + COUNT):
        # for the case that the process ends without a word
        Path(tempfile.gettempdir(), f'fuzz_{name}').write_text(str(number))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            outcome = attempt(np.random.default_rng(number), number)
        except UserError as error:
            outcome = 'message'
            messages.append(f'{number}: {error}')
            if not str(error).strip():
                faults.setdefault('an empty message', []).append(number)
        except Exception as error:
            outcome = 'FAULT'
            place = error.__traceback__
            while place and place.tb_next:
                place = place.tb_next
            where = f'{place.tb_frame.f_code.co_filename}:{place.tb_lineno}' if place else ''
            text = f'{type(error).__name__}: {str(error)[:150]} ({where})'
            faults.setdefault(text, []).append(number)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        if grown > MEMORY:
            faults.setdefault(f'{grown >> 20} MB', []).append(number)
        outcomes[outcome] += 1
    sys.stdout.write(f'\n{name}: inputs {FROM} to {FROM + COUNT - 1}: {dict(outcomes)}\n')
    for text, numbers in faults.items():
        sys.stdout.write(f'  {len(numbers)} x {text}: {numbers[:5]}\n')
    if 'FUZZ_SHOW' in os.environ:
        sys.stdout.write(''.join(f'    {text[:400]}\n' for text in messages))
    assert not faults
    return outcomes


def damage_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a file that was cut off, or with other bits, bytes or parts."""
    kind = rng.integers(6)
    array = bytearray(data)
    if kind == 0:
        return data[: rng.integers(len(data))]
    if kind == 1:
        for place in rng.integers(len(data), size=rng.integers(1, 9)):
            array[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        place = int(rng.integers(len(data)))
        array[place : place + int(rng.integers(1, 65))] = rng.bytes(int(rng.integers(65)))
    elif kind == 3:  # in the header
        for place in rng.integers(min(len(data), 128), size=rng.integers(1, 5)):
            array[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
    elif kind == 4:
        first, second = sorted(rng.integers(len(data), size=2))
        array[first:second] = b''
    else:
        first, second = sorted(rng.integers(len(data), size=2))
        array += data[first:second]
    return bytes(array)


def places_in(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values in nested lists and dicts."""
    if isinstance(content, dict):
        parts = list(content.items())
    elif isinstance(content, list):
        parts = list(enumerate(content))
    else:
        parts = []
    return [
        place for key, value in parts for place in [(*path, key), *places_in(value, (*path, key))]
    ]


def damage_content(content: Any, rng: np.random.Generator) -> tuple[Any, list[tuple[Any, ...]]]:
    """Return nested lists and dicts with a few values changed, removed or doubled, and where."""
    content = copy.deepcopy(content)
    touched = []
    for _ in range(int(rng.integers(1, 4))):
        places = places_in(content)
        if not places:
            break
        # as many on the first level as deep inside
        depth = int(rng.integers(1, 1 + max(map(len, places))))
        places = [place for place in places if len(place) == depth] or places
        *path, key = places[int(rng.integers(len(places)))]
        touched.append((*path, key))
        node = content
        for step in path:
            node = node[step]
        kind = rng.integers(8)
        if kind == 0:
            del node[key]
        elif kind == 1 and isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
        elif kind == 2:
            node[key] = nested(int(rng.choice([3, 50, 200])))
        elif kind == 3 and isinstance(node[key], int | float):
            node[key] = str(node[key])
        elif kind == 4 and isinstance(node[key], int | float):
            node[key] = -node[key] if rng.random() < 0.5 else node[key] * 10**6
        else:
            node[key] = copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])
    return content, touched


def nested(depth: int) -> list[Any]:
    """Return lists in lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value
