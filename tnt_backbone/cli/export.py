"""Write a trained model as a file that needs no torch to predict.

    tnt export best.pth --out mine.onnx --pictures photos/
    tnt export best.pth --out mine.xml --pictures photos/    # OpenVINO
    tnt predict mine.onnx photos/

With --pictures the file is compared with the checkpoint, on at least 50 pictures; what was found is
written beside it (mine.parity.json). A file that disagrees is not kept, and the exit status is 1.
With --int8 it is their accuracies that are compared, on the test data of the checkpoint's config.
Detectors, and segmentors that slide a window, take pictures of any size. Other files take pictures
of one size after the test pipeline: of --size, or of the first picture.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import ExistingFileError, InputError, MissingPackageError
from ..predict.pictures import find_pictures
from ..run.find_config import find_config
from .common import (
    add_cfg_options,
    add_trust,
    errors_of_the_user,
    make_folder,
    make_parser,
    parse_cfg_options,
    require_checkpoint,
)

TOOL = 'tnt export'
ENDINGS = {'onnx': '.onnx', 'openvino': '.xml'}
# Kinds of files, and the packages that write them: the module and the extra that has it
FORMATS = {
    '.onnx': {'onnx': 'export', 'onnxscript': 'export', 'onnxruntime': 'export'},
    '.xml': {'onnx': 'export', 'onnxscript': 'export', 'openvino': 'openvino'},
}

INT8 = {'onnxruntime': 'export'}  # what quantizes, also for OpenVINO
ENDS = {'.onnx': ['.onnx'], '.xml': ['.xml', '.bin']}  # of the files of one network
PARTS = ('boxes', 'masks')  # further networks of a detector


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        metavar='FILE',
        help='file to write: .onnx, or .xml for OpenVINO',
    )
    parser.add_argument(
        '--format', choices=ENDINGS, help='kind of file, if the name of --out does not end in it'
    )
    parser.add_argument(
        '--pictures', nargs='+', default=[], metavar='SOURCE', help='pictures to check it with'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='of the pictures after the test pipeline (default: of the first one of --pictures)',
    )
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        '--half',
        action='store_true',
        help='weights in half precision: half the file; the check refuses nothing, it reports',
    )
    precision.add_argument(
        '--int8',
        action='store_true',
        help='compute in 8 bits, in the ranges of --pictures; the check compares accuracies on the '
        'test data of the config, and allows 1 point to be lost',
    )
    parser.add_argument('--config', help='config file instead of the one in the checkpoint')
    add_cfg_options(parser)
    add_trust(parser)
    parser.add_argument('--force', action='store_true', help='overwrite files that exist')
    args = parser.parse_args(argv)
    if args.format and not args.out.suffix:
        args.out = args.out.with_suffix(ENDINGS[args.format])
    if args.format and args.out.suffix != ENDINGS[args.format]:
        parser.error(
            f'--out {args.out} does not end in {ENDINGS[args.format]}, which --format '
            f'{args.format} writes. Leave out one of them'
        )
    if args.size and min(args.size) < 1:
        parser.error(f'--size {args.size[0]} {args.size[1]}: 1 is the least')
    if args.int8 and not args.pictures:
        parser.error('--int8 needs --pictures SOURCE, which the ranges of values are measured on')
    if args.cfg_options and not args.int8:
        parser.error('--cfg-options changes the test data of --int8. Pass --int8, or leave it out')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL):
        passed = _export(args)
    if not passed:
        sys.exit(1)


def _export(args: argparse.Namespace) -> bool:
    if args.out.suffix not in FORMATS:
        raise InputError(f'--out {args.out}: it must end in {" or ".join(FORMATS)}')
    names = [args.out.stem, *(f'{args.out.stem}.{part}' for part in PARTS)]
    for file in (args.out.with_name(name + end) for name in names for end in ENDS[args.out.suffix]):
        if file.exists() and not args.force:
            raise ExistingFileError(f'{file} exists. Pass another --out, or --force')
    packages = {**(INT8 if args.int8 else {}), **FORMATS[args.out.suffix]}
    for module, extra in packages.items():
        if find_spec(module) is None:  # told now, not after the network was traced
            raise MissingPackageError(
                f'{module} is not installed, which --out {args.out.name} needs. Run: pip install '
                f"'tnt-backbone[{extra}]'"
            )
    require_checkpoint(args.checkpoint)
    if args.config:
        find_config(args.config)
    pictures = find_pictures(args.pictures)
    if any(picture.is_video for picture in pictures):
        raise InputError(f'--pictures {args.pictures}: it has a video; pass pictures')

    from ..exported.export import export_model, needs_size
    from ..exported.formats import not_written
    from ..exported.model import ExportedModel
    from ..exported.parity import compare
    from ..exported.sizes import parted_by_size, require_one_size
    from ..predict.load import load_model

    _require_enough(args, len(pictures))
    make_folder(args.out.parent, '--out')
    trained = load_model(args.checkpoint, config=args.config, device='cpu', trust=args.trust)
    size = args.size and (int(args.size[0]), int(args.size[1]))
    is_of_one_size = needs_size(trained) or (size and not trained.slides)
    if is_of_one_size and not (size or pictures):
        raise InputError('pass --size HEIGHT WIDTH, or --pictures SOURCE to check the file with')
    # what is wrong with pictures is told before the network is traced
    sizes, damaged = parted_by_size(trained, pictures)
    for error in damaged:
        print(f'skipped: {error}', file=sys.stderr)
    pictures = list(chain.from_iterable(sizes.values()))
    _require_enough(args, len(pictures))
    if is_of_one_size and trained.task != 'detection':
        size = size or next(iter(sizes))
        require_one_size(size, sizes)
    with TemporaryDirectory(dir=args.out.parent, prefix=f'.{args.out.stem}.') as folder:
        part = Path(folder, args.out.name)
        found: dict[str, Any] | None
        if args.int8:
            found = _export_integer(args, trained, part, size, pictures)
        else:
            export_model(trained, part, size, half=args.half)
            found = compare(trained, ExportedModel(part), pictures) if pictures else None
        if found and not found['passed'] and not args.half:
            print(f'{TOOL}: not written: {_text(found)}')
            print(json.dumps(found, indent=2))
            return False
        report = args.out.with_suffix('.parity.json')
        try:
            if found:
                Path(folder, report.name).write_text(json.dumps(found, indent=2) + '\n')
            else:
                report.unlink(missing_ok=True)  # of a file before
            for file in sorted(Path(folder).iterdir(), key=lambda file: file == part):
                os.replace(file, args.out.with_name(file.name))  # the first file last
        except OSError as error:
            raise not_written(args.out, error) from error
    if found:
        print(f'{args.out}: {"compared" if args.half else "checked"}, {_text(found)}')
    else:
        print(f'{args.out}: written, not checked. Pass --pictures SOURCE to check it')
    return True


def _require_enough(args: argparse.Namespace, number: int) -> None:
    from ..exported.parity import LEAST

    if args.pictures and number < LEAST:
        raise InputError(
            f'--pictures has {number} readable pictures, and a check needs {LEAST}. Pass more of '
            'them, such as those of the training, or --size HEIGHT WIDTH instead, which writes the '
            'file without a check'
        )


def _export_integer(
    args: argparse.Namespace, trained: Any, part: Path, size: Any, pictures: list[Any]
) -> dict[str, Any]:
    """Write the file; return how accurate it is."""
    from ..exported.accuracy import compare_accuracies, load_test_data
    from ..exported.integer import export_integer
    from ..exported.model import ExportedModel
    from ..predict.load import BUILT_IN
    from ..run.checkpoint_file import config_of_checkpoint
    from ..run.config import read_config
    from ..run.preflight import TEST_KEYS, check_testing, require_keys
    from ..run.pretrained import drop_pretrained

    options: dict[str, Any] = {
        'options': parse_cfg_options(args.cfg_options),
        **{'work_dir': None, 'launcher': 'none'},
    }
    path = str(BUILT_IN.get(args.checkpoint, args.checkpoint))
    if args.config:
        cfg = read_config(args.config, **options)
    else:
        cfg = config_of_checkpoint(path, trust=args.trust, **options)
    require_keys(cfg, TEST_KEYS, 'a comparison of accuracies')
    cfg.load_from = path
    drop_pretrained(cfg)
    check_testing(cfg)
    dataset = load_test_data(cfg, trained)
    export_integer(trained, part, size, pictures)
    return compare_accuracies(cfg, dataset, trained, ExportedModel(part))


def _text(found: dict[str, Any]) -> str:
    if 'metrics' in found:
        parts = [
            f'{name} {metric["checkpoint"]:.2f} -> {metric["file"]:.2f}'
            for name, metric in found['metrics'].items()
        ]
        allowed = f'{found["allowed"]:g} point may be lost'
        return f'{", ".join(parts)} on {found["pictures"]} pictures; {allowed}'
    return (
        f'{found["equal"]:.4%} equal on {found["pictures"]} pictures; {found["required"]:.1%} is '
        'required'
    )
