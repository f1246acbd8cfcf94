"""Time for one picture, from the file on, with a checkpoint and with files of tnt export, in turns.

    python benchmarks/exported.py best.pth mine.onnx mine.xml --pictures photos/

The first picture of the folder is predicted again and again. The least time of each counts, as
other programs on the machine can only add to it. OMP_NUM_THREADS is the number of threads. The time
of the processor is the sum over them, and does not contain what other programs took.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from tnt_backbone.exported.model import ExportedModel
from tnt_backbone.predict.load import load_model
from tnt_backbone.predict.pictures import find_pictures


def main() -> None:
    """Measure and print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('checkpoint')
    parser.add_argument('files', nargs='+')
    parser.add_argument('--pictures', required=True)
    parser.add_argument('--rounds', type=int, default=30)
    args = parser.parse_args()

    picture = find_pictures([args.pictures])[:1]
    models: dict[str, Any] = {args.checkpoint: load_model(args.checkpoint, device='cpu')}
    models |= {file: ExportedModel(file) for file in args.files}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for number in range(args.rounds + 1):
        for name, model in models.items():
            wall, processor = time.perf_counter(), time.process_time()
            list(model.stream(picture))
            if number:  # the first one warms up
                taken = (time.perf_counter() - wall, time.process_time() - processor)
                times[name].append(taken)
    for name, all_taken in times.items():
        wall, processor = (min(taken) * 1000 for taken in zip(*all_taken, strict=True))
        print(f'{Path(name).name}: {wall:.1f} ms, {processor:.1f} ms of the processor')


if __name__ == '__main__':
    main()
