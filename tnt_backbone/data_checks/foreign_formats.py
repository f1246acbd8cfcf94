"""Files of other formats than COCO's: how each is recognised, and what to do with it.

One table for ``tnt new``, ``tnt check`` and the look before training. Commands of other tools were
run, and their output was read by this package.
"""

import codecs
import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from ..datasets.decodable import POINTER

HEAD = 65536  # characters of a text file that are looked at
HINT = re.compile(r'sep=.\r?\n', re.IGNORECASE)  # Excel's first line of a table


class Known(NamedTuple):
    """A format that is known by its files.

    Attributes:
        name: The format, as its users call it.
        advice: What to do.
    """

    name: str
    advice: str

    def __str__(self) -> str:
        """Return both, for a message."""
        return f'{self.name}. {self.advice}'


def is_createml(content: Any) -> bool:
    """Return whether the content of a JSON file is Apple CreateML's list of boxes."""
    return _all_have(content, ('image', 'imagefilename'), ('annotations', 'annotation'))


def is_via(content: Any) -> bool:
    """Return whether the content of a JSON file is a project or export of VIA 1 or 2."""
    images = content.get('_via_img_metadata', content) if isinstance(content, dict) else None
    if not isinstance(images, dict) or not images:
        return False
    return all(
        isinstance(image, dict) and isinstance(image.get('regions'), dict | list)
        for image in images.values()
    ) and _all_have(list(images.values()), ('filename',), ('regions',))


def is_panoptic(content: Any) -> bool:
    """Return whether the content of a JSON file is COCO's panoptic format."""
    return _has(content, 'images', 'annotations', 'categories') and _has(
        _first(content['annotations']), 'segments_info'
    )


def is_via_table(cells: list[str]) -> bool:
    """Return whether the first row of a CSV file is VIA's."""
    return {'region_shape_attributes', 'region_attributes'} <= {cell.strip() for cell in cells}


def _all_have(content: Any, *keys: tuple[str, ...]) -> bool:
    return (
        isinstance(content, list)
        and bool(content)
        and all(
            isinstance(entry, dict) and all(any(key in entry for key in some) for some in keys)
            for entry in content
        )
    )


def first_row(file: Path) -> list[str]:
    """Return the cells of the first row of a table, without a byte order mark."""
    text = _head(file)
    return next(csv.reader(text.splitlines()[:1], delimiter=delimiter(text)), [])


def without_hint(text: str) -> str:
    """Return the text of a table without Excel's first line ``sep=;``, which is no row."""
    found = HINT.match(text)
    return text[found.end() :] if found else text


def delimiter(text: str) -> str:
    """Return what separates the cells of a table, by its first line."""
    line = text.partition('\n')[0]
    # | also separates labels in a cell
    return (
        '|' if '|' in line and not any(m in line for m in ',;\t') else max(',;\t', key=line.count)
    )


def root_tag(file: Path) -> str:
    """Return the name of the outermost element of an XML file, or an empty text."""
    try:
        return next(ElementTree.iterparse(file, ['start']))[1].tag
    except (ElementTree.ParseError, OSError, StopIteration, ValueError, LookupError):
        return ''


def is_labelme_xml(file: Path) -> bool:
    """Return whether an XML file is of LabelMe's web tool; Pascal VOC has the same outermost tag.

    What tells the two apart is the first of their own elements.
    """
    if root_tag(file) != 'annotation':
        return False
    own = {'imagesize': True, 'polygon': True, 'segm': True, 'size': False, 'bndbox': False}
    try:
        parsed = ElementTree.iterparse(file, ['start'])
        return next((own[node.tag] for _, node in parsed if node.tag in own), False)
    except (ElementTree.ParseError, OSError, ValueError, LookupError):
        return False


def encoding_of(file: Path) -> str:
    """Return the encoding of a text file: UTF-16 if it has its mark, as of Excel, else UTF-8."""
    with file.open('rb') as opened:
        return (
            'utf-16'
            if opened.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            else 'utf-8-sig'
        )


def is_pointer(file: Path) -> bool:
    """Return whether a file is what Git LFS leaves of one that was not downloaded."""
    if not file.is_file():
        return False
    with file.open('rb') as opened:
        return opened.read(len(POINTER)) == POINTER


def _head(file: Path) -> str:
    with file.open(encoding=encoding_of(file), errors='replace') as opened:
        return without_hint(opened.read(HEAD))


# ------------------------------------------------------------------ the table

READ_HERE = 'tnt new --data FOLDER reads it. Pass the folder that holds the file and the images'
DATUMARO = (
    "Convert it: pip install 'datumaro[cli]', then datum convert -i FOLDER -if {} -o OUT "
    '-f coco_instances -- --save-media'
)
TABLE = (
    'write a CSV file with the columns filename, xmin, ymin, xmax, ymax, class (corners in '
    'pixels), which tnt new --data FOLDER reads'
)
CLASSIFIER = (
    'For a classifier, tnt new --data FOLDER reads it --from a config of MMPretrain, if it has the '
    'columns filename and label, and the folder holds the images'
)
EXPORT = 'Export the data again in the format of COCO, YOLO or Pascal VOC'
LABEL_STUDIO = (
    "Export the project again as 'COCO' or 'YOLO', or classes of images as 'CSV'. They are read"
)
FIFTYONE = (
    'Export it again with dataset_type=fiftyone.types.COCODetectionDataset, or with '
    'ImageClassificationDirectoryTree for a classifier'
)

MOT = Known('MOTChallenge (gt.txt)', DATUMARO.format('mot_seq'))
VIA_3 = Known(
    'VIA 3 (VGG Image Annotator)',
    "Export it in COCO's format from VIA. Of several attributes of the regions, delete all but the "
    'class before',
)

GEOJSON = Known(
    'GeoJSON (xView, SpaceNet)', f'Its outlines may be places on the earth. In pixels, {TABLE}'
)

# Of JSON files, by their content; the first that fits
OF_CONTENT: tuple[tuple[Callable[[Any], Any], Known], ...] = (
    (is_createml, Known('Apple CreateML', READ_HERE)),
    (is_via, Known('VIA (VGG Image Annotator)', READ_HERE)),
    (
        lambda c: _has(c, 'metadata', 'view', 'attribute'),
        VIA_3,
    ),
    (lambda c: is_supervisely(c) or is_supervisely_meta(c), Known('Supervisely', READ_HERE)),
    (
        lambda c: _has(c, 'items', 'categories') or _has(c, 'dm_format_version'),
        Known('Datumaro', DATUMARO.format('datumaro')),
    ),
    (
        lambda c: _has(c, 'assets', 'tags') or _has(c, 'asset', 'regions'),
        Known('VoTT', DATUMARO.format('vott_json')),
    ),
    (
        lambda c: _has(c, 'annotations', 'item') or _has(c, 'annotations', 'schema_ref'),
        Known(
            'Darwin (V7)',
            'Convert it: pip install darwin-py, mkdir OUT, then darwin convert coco FOLDER OUT',
        ),
    ),
    (
        lambda c: _has(_first(c), 'data_row', 'projects'),
        Known(
            'Labelbox',
            'Convert the lines of boxes: pip install labelformat, then labelformat convert --task '
            'object-detection --input-format labelbox --input-file FILE.ndjson --category-names '
            'cat,dog --output-format coco --output-file OUT.json',
        ),
    ),
    (
        lambda c: _has(_first(c), 'data', 'annotations') or _has(_first(c), 'data', 'completions'),
        Known('Label Studio (JSON)', LABEL_STUDIO),
    ),
    (
        lambda c: _has(_first(c), 'annotation_id', 'lead_time'),
        Known('Label Studio (JSON-MIN)', LABEL_STUDIO),
    ),
    (
        lambda c: _has(c, 'classes', 'labels') and isinstance(c['labels'], dict),
        Known('FiftyOne', FIFTYONE),
    ),
    (
        lambda c: _has(c, 'samples') and _has(_first(c['samples']), 'filepath'),
        Known('FiftyOne', FIFTYONE),
    ),
    (
        lambda c: _has(c, 'labels') and _has(_first(c['labels']), 'data', 'labels'),
        Known('FiftyOne (manifest)', FIFTYONE),
    ),
    (
        lambda c: _has(c, 'filename', 'labels') and _has(c['labels'], 'objects'),
        Known('FiftyOne (labels of an image)', FIFTYONE),
    ),
    (
        lambda c: _has(_first(c), 'image_url', 'label'),
        Known(
            'Azure Machine Learning (JSON in lines)',
            f'Its boxes (topX, topY, bottomX, bottomY) are shares of the image: {TABLE}',
        ),
    ),
    (
        lambda c: _has(c, 'item1') and _has(c['item1'], 'bounding_box'),
        Known(
            'DeepFashion2',
            "Convert it with deepfashion2_to_coco.py of its repository, which writes COCO's format",
        ),
    ),
    (
        lambda c: _has(_first(c), 'image', 'prefix', 'suffix'),
        Known('PaliGemma or Florence-2 (JSON in lines)', EXPORT),
    ),
    (lambda c: _has(_first(c), 'messages'), Known('OpenAI (JSON in lines)', EXPORT)),
    (
        lambda c: _has(c, 'label_classes', 'images'),
        Known('Hasty', "Export the project again in 'COCO' format"),
    ),
    (
        lambda c: _has(_first(c), 'task_id', 'response') or _has(_first(c), 'task_id', 'params'),
        Known('Scale', f'{EXPORT}, or {TABLE}'),
    ),
    (
        lambda c: (
            _has(c, 'instances', 'metadata')
            or _has(_first(c), 'instances', 'metadata')
            or _has(_first(c), 'className', 'type')
        ),
        Known('SuperAnnotate', f'{EXPORT}, or {TABLE}'),
    ),
    (
        lambda c: _has(_first(c), 'name', 'labels') or _has(c, 'name', 'frames'),
        Known('BDD100K or Scalabel', f'Convert the boxes (box2d): {TABLE}'),
    ),
    (lambda c: _has(c, 'info', 'objects'), Known('ISAT', f'{EXPORT} from ISAT')),
    (lambda c: _has(c, 'type', 'features'), GEOJSON),
    (
        lambda c: _has(c, 'videos', 'annotations') and not c.get('images'),
        Known('YouTube-VIS (videos)', f'Convert the boxes of its frames: {TABLE}'),
    ),
    (
        lambda c: _has(c, 'metainfo', 'data_list') or _has(_first(c), 'filename', 'ann'),
        Known("OpenMMLab's own list", f'Name it as ann_file in a config of your own, or {TABLE}'),
    ),
    (
        lambda c: _has(_first(c), 'file_name', 'annotations'),
        Known(
            'Detectron2',
            f'detectron2.data.datasets.convert_to_coco_json writes it in COCO format. Or {TABLE}',
        ),
    ),
    (
        lambda c: _has(_first(c), 'filename', 'detection'),
        Known('ODVG (Grounding DINO)', f'Convert its boxes: {TABLE}'),
    ),
    (
        lambda c: _has_values(c, list, 'cam_R_m2c') or _has_values(c, list, 'bbox_obj'),
        Known('BOP', "Make scene_gt_coco.json with its toolkit (bop_toolkit), which is COCO's"),
    ),
    (
        lambda c: _has(c, 'captures'),
        Known('Unity Perception', f"Convert it to COCO's format with Unity's tools, or {TABLE}"),
    ),
    (
        lambda c: _has(_first(c), 'regions', 'originalImageUri') or _has_values(c, dict, 'bbox'),
        Known('a list of images with boxes, as of Custom Vision or Kvasir', f'Convert it: {TABLE}'),
    ),
    (
        lambda c: _has(_first(c), 'label_hash', 'data_units'),
        Known('Encord', "Export the project again in COCO's format"),
    ),
    (
        lambda c: isinstance(c, dict) and all(_is_labelled(*pair) for pair in c.items()) and c,
        Known('images and classes (JSON)', f'{CLASSIFIER}. Write it as such a CSV file'),
    ),
    (
        lambda c: _has(c, 'imgHeight', 'objects'),
        Known(
            'Cityscapes (polygons)',
            'For a segmentor, start --from a config of Cityscapes without --data '
            f'(docs/segmentation.md). For a detector, {TABLE}',
        ),
    ),
    (
        lambda c: _has(_first(c), 'source-ref'),
        Known(
            'SageMaker Ground Truth (manifest)',
            f'Convert its annotations: {TABLE}. For a classifier, write the columns filename and '
            'label',
        ),
    ),
    (
        lambda c: _has(_first(c), 'file_name', 'objects'),
        Known('Hugging Face (metadata.jsonl)', READ_HERE),
    ),
    (
        lambda c: _has(_first(c), 'ID', 'gtboxes'),
        Known('CrowdHuman (odgt)', f'Convert its boxes: {TABLE}'),
    ),
    (
        is_panoptic,
        Known(
            "COCO's panoptic data",
            'Start --from a panoptic config without --data (docs/detection.md). For boxes and '
            'masks of objects, pass the instances_*.json',
        ),
    ),
    (
        lambda c: _has(_first(c), 'image_id', 'category_id', 'score'),
        Known(
            "COCO's results",
            'They are predictions, not annotations. Pass the file with images, annotations and '
            'categories',
        ),
    ),
    (
        lambda c: _has(c, 'shapes', 'imagePath'),
        Known('LabelMe', READ_HERE),
    ),
)
# Of other files, by their endings
OF_ENDING = {
    '.tfrecord': Known('TFRecord', f'{EXPORT}, or {TABLE}'),
    '.tfrecords': Known('TFRecord', f'{EXPORT}, or {TABLE}'),
    '.records': Known('TFRecord', f'{EXPORT}, or {TABLE}'),
    '.record': Known('TFRecord', f'{EXPORT}, or {TABLE}'),
    '.parquet': Known(
        'Parquet (Hugging Face)',
        "Write its pictures to files, such as with pip install datasets and load_dataset('parquet',"
        f' data_files=FILE). For a classifier, into a folder per class. For a detector, {TABLE}',
    ),
    '.arrow': Known(
        'Arrow (Hugging Face)',
        'Write its pictures to files, such as with pip install datasets and load_from_disk('
        f'FOLDER). For a classifier, into a folder per class. For a detector, {TABLE}',
    ),
    '.gz': Known('a packed file', 'Unpack it: gunzip FILE, or tar xf FILE'),
    '.zip': Known('a packed file', 'Unpack it: unzip FILE'),
    '.tar': Known('a packed file', 'Unpack it: tar xf FILE'),
    '.mat': Known(
        'MATLAB',
        'Read it with scipy.io.loadmat. For a classifier, write a CSV file with the columns '
        f'filename and label. For a detector, {TABLE}',
    ),
    '.h5': Known('HDF5', 'Write its pictures and labels to files (docs/tutorial.md)'),
    '.pkl': Known('a pickle of Python', 'Write its pictures and labels to files'),
    '.npz': Known(
        'NumPy',
        'Write the arrays as PNG files, such as Image.fromarray(array.astype(numpy.uint8)).save('
        "'labels/train/NAME.png')",
    ),
}
OF_ENDING |= {'.npy': OF_ENDING['.npz'], '.hdf5': OF_ENDING['.h5'], '.tgz': OF_ENDING['.gz']}
OF_ENDING |= {
    '.pickle': OF_ENDING['.pkl'],
    '.tfrec': OF_ENDING['.tfrecord'],
    '.geojson': GEOJSON,
    '.xlsx': Known('a spreadsheet', 'Save it as a CSV file in UTF-8'),
    '.xls': Known('a spreadsheet', 'Save it as a CSV file in UTF-8'),
    '.nii': Known('NIfTI', 'Write its slices as PNG files, such as with pip install nibabel'),
    '.dcm': Known('DICOM', 'Write its pictures as PNG files, such as with pip install pydicom'),
}
# Of other files, by patterns of their names
OF_NAME = (
    (r'.*\.tfrec(ords?)?-\d+-of-\d+', OF_ENDING['.tfrecord']),
    (r'.*\.nii\.gz', OF_ENDING['.nii']),
    (
        r'(data|test)_batch(_\d)?|.*-idx\d-ubyte',
        Known(
            'CIFAR or MNIST',
            'Start --from a config of that data set without --data (docs/datasets.md). Or write '
            'the pictures into a folder per class',
        ),
    ),
    (
        r'metadata\.parquet',
        Known(
            'Hugging Face (metadata.parquet)',
            'Write it as metadata.jsonl, which is read: python -c "import pandas; pandas.'
            "read_parquet('metadata.parquet').to_json('metadata.jsonl', orient='records', "
            'lines=True)", with pip install pandas pyarrow',
        ),
    ),
    (r'.*_bbx_gt\.txt', Known('WIDER FACE', DATUMARO.format('wider_face'))),
    (
        r'task-\d+-annotation-\d+-.*\.(png|npy)',
        Known('Label Studio (brush)', "Export the project again as 'Brush labels to COCO'"),
    ),
)
AUTOML = ('TRAIN', 'TRAINING', 'VALIDATE', 'VALIDATION', 'TEST', 'UNASSIGNED')  # splits
# Names of columns, in small letters
RUN_LENGTHS = ('encodedpixels', 'rle', 'rle_mask', 'encoding', 'segmentation')
BOXES = ('bbox', 'bboxes', 'boxes', 'boxesstring', 'annotations', 'objects')
LINES = ('.jsonl', '.ndjson', '.manifest', '.odgt')  # JSON in each line
# Of text files, by the cells of a row
OF_ROW: tuple[tuple[Callable[[list[str]], bool], Known], ...] = (
    (is_via_table, Known('VIA (VGG Image Annotator)', READ_HERE)),
    (lambda row: row[:1] != [] and row[0].startswith('# Exported using VGG'), VIA_3),
    (
        lambda row: {'annotation_id', 'lead_time'} <= {*row},
        Known('Label Studio (CSV)', "For a detector, export the project again as 'COCO' or 'YOLO'"),
    ),
    (
        lambda row: len(row) > 2 and row[0].upper() in AUTOML,
        Known(
            'Google AutoML or Vertex AI (CSV)',
            f'Boxes are shares of the image: {TABLE}. For a classifier, write the columns split, '
            'filename and label',
        ),
    ),
    (
        lambda row: not {cell.strip().lower() for cell in row}.isdisjoint(RUN_LENGTHS),
        Known(
            'a table of run lengths (Kaggle)',
            'Draw the masks of each image into one label map, a PNG file (docs/tutorial.md), for a '
            'segmentor. Run lengths usually are pairs of a start and a length, which count pixels '
            'from 1, down the columns: for start, length in pairs: flat[start - 1 : start - 1 + '
            'length] = 1, with flat = numpy.zeros(height * width, numpy.uint8), then '
            'flat.reshape(width, height).T',
        ),
    ),
    (lambda row: len(row) in (9, 10) and all(map(is_number, row)), MOT),
    (
        lambda row: any(re.fullmatch(r'pixels|pixel_?\d+', cell.strip().lower()) for cell in row),
        Known('a table of pixels', 'Write its pictures as PNG files, into a folder per class'),
    ),
    (
        lambda row: not {cell.strip().lower() for cell in row}.isdisjoint(BOXES),
        Known(
            'a table with a column bbox',
            'Its numbers may be corners, a corner and sizes, or a centre and sizes. If you know '
            f'which: {TABLE}',
        ),
    ),
    (
        lambda row: len(row) == 2,
        Known(
            'a table of two columns, such as images and their classes',
            CLASSIFIER,
        ),
    ),
    (
        lambda row: len(row) > 2,
        Known(
            'a table (CSV)',
            'For a detector, tnt new --data FOLDER reads it if it has the columns filename, xmin, '
            'ymin, xmax, ymax, class, and the folder holds the images. ' + CLASSIFIER,
        ),
    ),
)


POINTER_OF_LFS = Known("Git LFS's pointers to files that were not downloaded", 'Run git lfs pull')


def name_content(content: Any) -> Known | None:
    """Return which format the content of a JSON file has, if it is a known one."""
    return next((known for fits, known in OF_CONTENT if fits(content)), None)


def name_file(path: Path) -> Known | None:
    """Return which format a file has, if it is a known one; JSON files by :func:`name_content`."""
    ending, name = path.suffix.lower(), path.name.lower()
    if is_pointer(path):
        return POINTER_OF_LFS
    if known := next((known for form, known in OF_NAME if re.fullmatch(form, name)), None):
        return known
    if ending in OF_ENDING or not path.is_file():
        return OF_ENDING.get(ending)
    if ending == '.xml' and root_tag(path) == 'annotations':
        return Known('CVAT (XML)', READ_HERE)
    if ending == '.xml' and is_labelme_xml(path):
        return Known('LabelMe (XML)', READ_HERE)
    if ending in LINES:
        try:
            return name_content([json.loads(_head(path).partition('\n')[0])])
        except (ValueError, RecursionError):
            return None
    if ending == '.csv':
        row = first_row(path)
        return next((known for fits, known in OF_ROW if fits(row)), None)
    if ending != '.txt':
        return None
    lines = [line.split() for line in _head(path).splitlines()[:3]]
    if any(is_dota_row(cells) for cells in lines):
        return Known('DOTA', READ_HERE)
    if lines and is_kitti_row(lines[0]):
        return Known('KITTI', READ_HERE)
    if lines and len(lines[0]) > 1 and all(cell.count(',') == 4 for cell in lines[0][1:]):
        return Known('YOLO in Keras (a line per image)', f'Convert its boxes: {TABLE}')
    if lines and is_visdrone_row(lines[0]):
        return Known('VisDrone', READ_HERE)
    cells = ''.join(lines[0]).rstrip(',').split(',') if lines else []
    return MOT if len(cells) in (9, 10) and all(map(is_number, cells)) else None


def is_dota_row(cells: list[str]) -> bool:
    """Return whether a row is DOTA's: four corners, a class, and maybe how difficult it is."""
    return len(cells) in (9, 10) and all(map(is_number, cells[:8])) and not is_number(cells[8])


def is_kitti_row(cells: list[str]) -> bool:
    """Return whether a row is KITTI's: a class, three numbers, a box, seven numbers."""
    return len(cells) in (15, 16) and not is_number(cells[0]) and all(map(is_number, cells[1:]))


def is_visdrone_row(cells: list[str]) -> bool:
    """Return whether a row is VisDrone's: left, top, width, height, 0 or 1, class, two numbers."""
    numbers = ''.join(cells).rstrip(',').split(',')
    return (
        len(numbers) == 8
        and all(number.isascii() and number.lstrip('-').isdigit() for number in numbers)
        and numbers[4] in ('0', '1')
        and len(numbers[5]) < 3
        and 0 <= int(numbers[5]) < 12
    )


def is_supervisely(content: Any) -> bool:
    """Return whether the content of a JSON file is an image's of Supervisely."""
    return _has(content, 'objects', 'size') and isinstance(content['objects'], list)


def is_supervisely_meta(content: Any) -> bool:
    """Return whether the content of a JSON file is a project's of Supervisely."""
    return _has(content, 'classes', 'tags') and _all_have(
        content['classes'], ('title',), ('shape',)
    )


def _has(content: Any, *keys: str) -> bool:
    return isinstance(content, dict) and set(keys) <= set(content)


def _is_labelled(name: Any, label: Any) -> bool:
    """Return whether an entry of a dict is the name of a file with a class."""
    return bool(
        re.fullmatch(r'.*\.(jpe?g|png|bmp|tiff?|webp)', name, re.IGNORECASE)
    ) and isinstance(label, str | int)


def _has_values(content: Any, kind: type, key: str) -> bool:
    """Return whether a dict has values of a kind, which have a key."""
    value = next(iter(content.values()), None) if isinstance(content, dict) else None
    return isinstance(value, kind) and _has(_first(value), key)


def _first(content: Any) -> Any:
    return content[0] if isinstance(content, list) and content else content


def is_number(text: str) -> bool:
    """Return whether a text is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
