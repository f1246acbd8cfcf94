"""Files of other tools are called by their format, with a way to go on."""

import json

import pytest

from tnt_backbone.data_checks.coco_file import read_coco
from tnt_backbone.data_checks.foreign_formats import name_file
from tnt_backbone.errors import InputError
from tnt_backbone.new_config.formats import recognise

BOX = {'left': 1, 'top': 2, 'width': 3, 'height': 4}
CONTENTS = {
    'Apple CreateML': [{'image': 'a.jpg', 'annotations': []}],
    'VIA (VGG Image Annotator)': {'a.jpg1': {'filename': 'a.jpg', 'size': 1, 'regions': []}},
    'VIA 3': {'project': {}, 'config': {}, 'attribute': {}, 'file': {}, 'metadata': {}, 'view': {}},
    'Supervisely': {'size': {'width': 4, 'height': 3}, 'objects': [], 'tags': []},
    'Datumaro': {'info': {}, 'categories': {'label': {}}, 'items': []},
    'VoTT': {'name': 'x', 'assets': {}, 'tags': []},
    'Darwin (V7)': {'version': '2.0', 'item': {'name': 'a.jpg'}, 'annotations': []},
    'Labelbox': [{'data_row': {}, 'media_attributes': {}, 'projects': {}}],
    'Label Studio': [{'id': 1, 'annotations': [], 'data': {'image': '/data/upload/a.jpg'}}],
    'Label Studio (JSON-MIN)': [
        {'image': '/data/upload/1/a.jpg', 'label': [], 'annotation_id': 1, 'lead_time': 1.5}
    ],
    'FiftyOne': {'classes': ['cat'], 'labels': {'a': [{'label': 0, 'bounding_box': [0, 0, 1, 1]}]}},
    'FiftyOne (manifest)': {'labels': [{'data': 'data/a.jpg', 'labels': 'labels/a.json'}]},
    'FiftyOne (labels of an image)': {'filename': 'a.jpg', 'labels': {'attrs': [], 'objects': []}},
    'DeepFashion2': {'source': 'shop', 'pair_id': 1, 'item1': {'bounding_box': [1, 2, 3, 4]}},
    'PaliGemma': [{'image': 'a.jpg', 'prefix': 'detect cat', 'suffix': '<loc0001> cat'}],
    'OpenAI': [{'messages': []}],
    'Hasty': {'project_name': 'x', 'label_classes': [], 'images': []},
    'Scale': [{'task_id': 'x', 'response': {'annotations': [BOX]}}],
    'SuperAnnotate': {'metadata': {'name': 'a.jpg'}, 'instances': []},
    'SuperAnnotate ': [{'type': 'bbox', 'className': 'cat', 'points': {}}],
    'SuperAnnotate  ': [{'metadata': {'name': 'a.jpg'}, 'instances': []}],
    'BDD100K': [{'name': 'a.jpg', 'labels': [{'category': 'car', 'box2d': {}}]}],
    'BDD100K or Scalabel': {'name': 'a', 'frames': [{'objects': []}], 'attributes': {}},
    'images and classes': {'a.jpg': 'cat', 'b.PNG': 'dog'},
    'ISAT': {'info': {'description': 'ISAT', 'name': 'a.jpg'}, 'objects': []},
    'YouTube-VIS': {'videos': [], 'annotations': [], 'categories': []},
    'GeoJSON': {'type': 'FeatureCollection', 'features': [{'type': 'Feature'}]},
    "OpenMMLab's own list": {'metainfo': {}, 'data_list': []},
    "OpenMMLab's own list ": [{'filename': 'a.jpg', 'ann': {'bboxes': []}}],
    'Detectron2': [{'file_name': 'a.jpg', 'annotations': [{'bbox_mode': 0}]}],
    'ODVG': [{'filename': 'a.jpg', 'detection': {'instances': []}}],
    'BOP': {'0': [{'cam_R_m2c': [], 'obj_id': 1}]},
    'Unity Perception': {'frame': 0, 'captures': []},
    'a list of images with boxes': [{'originalImageUri': 'x', 'regions': [{'tagName': 'cat'}]}],
    'a list of images with boxes ': {'cju0': {'height': 4, 'width': 3, 'bbox': []}},
    'Encord': [{'label_hash': 'x', 'data_units': {}}],
    'Cityscapes': {'imgHeight': 4, 'imgWidth': 3, 'objects': []},
    "COCO's results": [{'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 3, 4], 'score': 0.5}],
    'LabelMe': {'shapes': [], 'imagePath': 'a.jpg'},
}
FILES = {
    'a.ndjson': ('{"data_row": {}, "projects": {}}\n{}', 'Labelbox'),
    'out.manifest': ('{"source-ref": "s3://x/a.jpg"}\n', 'SageMaker'),
    'metadata.jsonl': ('{"file_name": "a.jpg", "objects": {}}\n', 'Hugging Face'),
    'annotation_train.odgt': ('{"ID": "a", "gtboxes": []}', 'CrowdHuman'),
    'samples.json': ('{"samples": [{"filepath": "data/a.jpg"}]}', 'COCODetectionDataset'),
    'florence.jsonl': (
        '{"image": "a.jpg", "prefix": "<OD>", "suffix": "cat<loc_1><loc_2><loc_3><loc_4>"}',
        'Florence-2',
    ),
    'tf.records': ('x', 'TFRecord'),
    'task-1-annotation-2-by-1-tag-cat-0.png': ('x', "'Brush labels to COCO'"),
    'via3.csv': (
        '# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)\n'
        '# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,x\n',
        'VIA 3',
    ),
    'project-1.csv': (
        'annotation_id,annotator,created_at,id,image,label,lead_time,updated_at\n',
        'Label Studio',
    ),
    'automl.csv': ('TRAIN,gs://x/a.jpg,cat,.1,.1,,,.3,.3,,\n', 'AutoML'),
    'wheat.csv': ('image_id,width,height,bbox,source\na,4,3,"[1, 2, 3, 4]",x\n', 'column bbox'),
    'fer.csv': ('emotion,pixels,Usage\n0,70 80,Training\n', 'a table of pixels'),
    'mnist.csv': ('label,pixel0,pixel1\n1,0,0\n', 'a table of pixels'),
    'turi.csv': ('path,annotations\na.jpg,[]\n', 'a centre and sizes'),
    'gwhd.csv': ('image_name,BoxesString,domain\n', 'column bbox'),
    'vertex.csv': ('TRAINING,gs://x/a.jpg,cat\n', 'Vertex AI'),
    'ships.csv': ('ImageId,EncodedPixels\na.jpg,1 2 5 6\n', 'run lengths'),
    'labels.csv': ('image,label\na.jpg,cat\n', 'For a classifier'),
    'other.csv': ('one,two,three\n', 'xmin, ymin, xmax'),
    'wider_face_train_bbx_gt.txt': ('0--Parade/a.jpg\n1\n', 'WIDER FACE'),
    'visdrone.txt': ('684,8,273,116,0,0,0,0\n', 'VisDrone'),
    'MOT17-02.txt': ('1,1,912,484,97,109,0,7,1\n', 'MOTChallenge'),
    'train.txt': ('images/a.jpg 1,2,3,4,0 5,6,7,8,1\n', 'Keras'),
    'gt.txt': ('1,1,10,20,30,40,1,-1,-1,-1\n', 'MOTChallenge'),
    'kitti.txt': ('Car 0.00 0 -1.5 1 2 3 4 1 1 1 1 1 1 1\n', 'KITTI'),
    'dota.txt': ('gsd:0.1\n1 2 3 2 3 4 1 4 plane 0\n', 'DOTA'),
    'cvat.xml': ('<annotations></annotations>', 'CVAT'),
    'old.xml': ('<annotation><object><polygon/></object></annotation>', 'LabelMe (XML)'),
    'train.tfrecord': ('x', 'TFRecord'),
    'train.tfrecord-00000-of-00010': ('x', 'TFRecord'),
    'a.geojson': ('{"type": "FeatureCollection", "features": []}', 'GeoJSON'),
    'brain_seg.nii.gz': ('x', 'NIfTI'),
    'labels.xlsx': ('x', 'CSV file in UTF-8'),
    'a.dcm': ('x', 'DICOM'),
    'data_batch_1': ('x', 'CIFAR'),
    'train-images-idx3-ubyte': ('x', 'MNIST'),
    'metadata.parquet': ('x', "to_json('metadata.jsonl', orient='records', lines=True)"),
    'azure.jsonl': ('{"image_url": "AmlDatastore://x/a.jpg", "label": []}\n', 'Azure'),
    'train.parquet': ('x', 'Parquet'),
    'all.json.gz': ('x', 'gunzip'),
    'maps.npy': ('x', 'as PNG files'),
}


@pytest.mark.parametrize('name', CONTENTS)
def test_json_files(tmp_path, name):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(CONTENTS[name]))
    with pytest.raises(InputError, match='is not in COCO format') as refused:
        read_coco(path)
    assert f'It is in the format of {name.strip()}' in str(refused.value)
    if name in ('Datumaro', 'VoTT', 'Scale'):  # the others are read, or need more than one file
        with pytest.raises(InputError) as refused:
            recognise(tmp_path)
        assert f'is in the format of {name}' in str(refused.value)


@pytest.mark.parametrize('name', FILES)
def test_other_files(tmp_path, name):
    text, words = FILES[name]
    (tmp_path / name).write_text(text)
    if not name.endswith('.json'):
        assert words in str(name_file(tmp_path / name))
    with pytest.raises(InputError, match=r'is not (JSON|in COCO)') as refused:
        read_coco(tmp_path / name)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('a.txt', '0 0.5 0.5 0.1 0.1\n'),
        ('b.txt', 'some words of a read-me, and commas, more\n'),
        ('c.txt', ''),
        ('d.xml', '<annotation></annotation>'),
        ('e.jsonl', 'no JSON'),
        ('f.jpg', 'x'),
    ],
)
def test_files_of_no_such_format(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert name_file(tmp_path / name) is None


def test_panoptic_data_of_coco(tmp_path):
    """The lists are COCO's, and the annotations have segments."""
    path = tmp_path / 'panoptic_train2017.json'
    segments = [{'id': 1, 'category_id': 1, 'bbox': [1, 1, 2, 2], 'area': 4, 'iscrowd': 0}]
    content = {
        'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 9, 'height': 9}],
        'annotations': [{'image_id': 1, 'file_name': 'a.png', 'segments_info': segments}],
        'categories': [{'id': 1, 'name': 'cat', 'isthing': 1}],
    }
    path.write_text(json.dumps(content))
    for read in (lambda: read_coco(path), lambda: recognise(tmp_path)):
        with pytest.raises(InputError, match=r"in the format of COCO's panoptic.*instances_"):
            read()


def test_a_coco_file_is_none_of_them(tmp_path):
    """Keys of other formats in a file of COCO's change nothing."""
    path = tmp_path / 'a.json'
    lists = {'images': [], 'annotations': [], 'categories': []}
    path.write_text(json.dumps({**lists, 'items': [], 'metadata': {}, 'instances': []}))
    assert read_coco(path).images == {}
