r"""Compare heads with and without ``word_pyramid``, on the demo's data, with several seeds.

    python -m tnt_backbone.demo data/digits
    bash tools/dist_train.sh configs/tnt_digits_classifier.py 2
    bash tools/dist_train.sh configs/retinanet_tnt_digits.py 2 \
        --weights work_dirs/tnt_digits_classifier/iter_2000.pth
    python benchmarks/word_pyramid.py work_dirs/tnt_digits_classifier/iter_2000.pth \
        work_dirs/retinanet_tnt_digits/iter_660.pth --jobs 2

As in the demo, detectors start from the classifier, and segmentors from the detector, whose blocks
they leave as they are. Every run is a training of ``tools/train.py`` with the same weights to start
from, schedule and data, in one process with one thread; only ``word_pyramid`` and the seed differ.
Results are added to WORK_DIR/results.csv, and what stands there is not run again. It ends with a
table in Markdown.
"""

import argparse
import statistics
import sys
from itertools import product
from pathlib import Path
from typing import Any

from mmengine.config import Config
from study import Key, Rows, merge, metric, only_one, run_all, train

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs'
WIDTH = 96  # of all necks
# The levels of strides 4 and 8, which words of stride 2 can be merged into; the sentences' is 8.
LEVELS = dict(out_indices=(0, 1), out_channels=None)
NECK = dict(_delete_=True, type='FPN', in_channels=[192, 192], out_channels=WIDTH, num_outs=2)
ANCHORS = dict(  # sides of 18, 23, 29 and 36, 45, 57 pixels
    type='AnchorGenerator',
    octave_base_scale=4.5,
    scales_per_octave=3,
    ratios=[1.2, 1.8, 3.0],
    strides=[4, 8],
)
HEADS: dict[str, tuple[str, str | None, str, dict[str, Any]]] = {
    # name: (config, fragment whose model replaces the config's, metric, changes)
    'RetinaNet': (
        'retinanet_tnt_digits.py',
        None,
        'coco/bbox_mAP',
        dict(neck=NECK, bbox_head=dict(anchor_generator=dict(_delete_=True, **ANCHORS))),
    ),
    'Faster R-CNN': (
        'retinanet_tnt_digits.py',
        'faster_rcnn.py',
        'coco/bbox_mAP',
        dict(
            neck=NECK,
            rpn_head=dict(
                in_channels=WIDTH,
                feat_channels=WIDTH,
                anchor_generator=dict(_delete_=True, **ANCHORS),
            ),
            roi_head=dict(
                bbox_roi_extractor=dict(out_channels=WIDTH, featmap_strides=[4, 8]),
                bbox_head=dict(in_channels=WIDTH, fc_out_channels=256, num_classes=10),
            ),
            train_cfg=dict(
                rpn_proposal=dict(nms_pre=200, max_per_img=100), rcnn=dict(sampler=dict(num=64))
            ),
            test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100), rcnn=dict(max_per_img=20)),
        ),
    ),
    'Semantic FPN': (
        'fpn_tnt_digits.py',
        None,
        'mIoU',
        dict(
            neck=dict(in_channels=[192, 192], num_outs=2),
            decode_head=dict(in_channels=[64, 64], in_index=[0, 1], feature_strides=[4, 8]),
        ),
    ),
    'UPerNet': (
        'fpn_tnt_digits.py',
        'upernet.py',
        'mIoU',
        dict(
            data_preprocessor=dict(size=None, size_divisor=16, test_cfg=dict(size_divisor=16)),
            # as Semantic FPN's in configs/fpn_tnt_digits.py, but for the background's weight: with
            # 0.7 this head finds nothing else for hundreds of iterations
            decode_head=dict(
                in_channels=[192, 192],
                in_index=[0, 1],
                num_classes=11,
                channels=64,
                dropout_ratio=0.0,
                norm_cfg=dict(_delete_=True, type='GN', num_groups=8),
                loss_decode=dict(class_weight=[0.1] + [1.0] * 10),
            ),
            auxiliary_head=None,
            test_cfg=dict(_delete_=True, mode='whole'),
        ),
    ),
}
KEYS = ('head', 'word_pyramid', 'seed', 'iterations')
COLUMNS = (*KEYS, 'value')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('classifier', type=Path, help='of configs/tnt_digits_classifier.py')
    parser.add_argument('detector', type=Path, help='of configs/retinanet_tnt_digits.py')
    parser.add_argument('--heads', nargs='+', choices=HEADS, default=list(HEADS), metavar='HEAD')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], metavar='SEED')
    parser.add_argument('--iterations', type=int, default=400, help='of 8 scenes each')
    parser.add_argument('--jobs', type=int, default=1, help='runs at the same time')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/word_pyramid'))
    return parser.parse_args()


def make_config(head: str, *, word_pyramid: bool, seed: int, iterations: int) -> Config:
    """The config of one run."""
    name, fragment, _, changes = HEADS[head]
    cfg = Config.fromfile(CONFIGS / name)
    if fragment:
        model = Config.fromfile(CONFIGS / '_base_' / 'models' / fragment).model
        pixels = {**model.data_preprocessor, **cfg.normalization}
        cfg.model = {**model, 'data_preprocessor': pixels, 'backbone': cfg.model.backbone}
    backbone = {**LEVELS, 'word_pyramid': word_pyramid}
    cfg = merge(cfg, dict(model={**changes, 'backbone': backbone}))
    cfg = merge(
        cfg,
        dict(
            train_cfg=dict(max_iters=iterations, val_interval=iterations),
            train_dataloader=dict(batch_size=8),
            randomness=dict(seed=seed),
            default_hooks=dict(checkpoint=dict(interval=iterations)),
        ),
    )
    cfg.param_scheduler[0].end = iterations // 8
    cfg.param_scheduler[1].T_max = iterations
    return cfg


def run(key: Key, args: argparse.Namespace) -> dict[str, Any]:
    """Run one training; return its row."""
    head, words, seed, iterations = key
    named = 'words' if words == str(True) else 'plain'
    folder = args.work_dir / f'{head}_{named}_{seed}_{iterations}'.replace(' ', '_')
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / 'run.py'
    make_config(
        head, word_pyramid=words == str(True), seed=int(seed), iterations=int(iterations)
    ).dump(config)
    weights = args.detector if HEADS[head][2] == 'mIoU' else args.classifier
    train(config, '--weights', weights)
    value = metric((folder / 'output.txt').read_text(), HEADS[head][2])
    return dict(zip(KEYS, key, strict=True)) | dict(value=value)


def table(rows: list[dict[str, str]]) -> str:
    """Mean and range over the seeds, in percent."""
    lines = ['| head | metric | plain | with words | difference |', '| - | - | - | - | - |']
    for head, (*_, name, _) in HEADS.items():
        values = {
            words: [
                float(row['value']) * (100 if name.startswith('coco') else 1)
                for row in sorted(rows, key=lambda row: row['seed'])
                if (row['head'], row['word_pyramid']) == (head, str(words))
            ]
            for words in (False, True)
        }
        if all(values.values()):
            cells = [
                f'{statistics.mean(v):.1f} ({min(v):.1f} to {max(v):.1f})' for v in values.values()
            ]
            gain = statistics.mean(values[True]) - statistics.mean(values[False])
            lines.append(f'| {head} | {name} | {" | ".join(cells)} | {gain:+.1f} |')
    return '\n'.join(lines)


def main() -> int:
    """Run what is missing, then print the table."""
    args = parse_args()
    rows = Rows(args.work_dir / 'results.csv', COLUMNS, len(KEYS))
    wanted = [
        (head, str(words), str(seed), str(args.iterations))
        for seed, head, words in product(args.seeds, args.heads, (False, True))
    ]

    def missing() -> list[Key]:
        done = rows.done()
        return [key for key in wanted if key not in done]

    with only_one(args.work_dir):
        failed = run_all(missing, lambda key: run(key, args), rows, args.jobs)
    print(table([row for row in rows.read() if row['iterations'] == str(args.iterations)]))
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
