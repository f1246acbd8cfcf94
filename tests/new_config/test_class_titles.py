"""Names of classes that are numbers or ImageNet's codes."""

import json

import pytest
from PIL import Image

from tnt_backbone.new_config.class_titles import names_of_codes

NUMBERS = ('0', '1', '2')
SYNSETS = ('n02085620', 'n02119022', 'n02123045')
ANIMALS = ('dog', 'red fox', 'cat')
WORDS = list(zip(SYNSETS, ANIMALS, strict=True))
MACHINE_IDS = ('/m/0bt9lr', '/m/0306r', '/g/01yrx_')
OPEN_IMAGES = ''.join(f'{m},{n}\n' for m, n in zip(MACHINE_IDS, ANIMALS, strict=True)) + '/m/0,x\n'
CARD = '---\nfeatures:\n  - name: label\n    dtype:\n      class_label: {{names: {}}}\n---\n'
CSV = '0,dog\n1,red fox\n2,cat\n'


@pytest.mark.parametrize(
    ('codes', 'name', 'text'),
    [
        (NUMBERS, 'a.json', json.dumps(dict(zip(NUMBERS, ANIMALS, strict=True)))),
        (NUMBERS, 'a.json', json.dumps({name: i for i, name in enumerate(ANIMALS)})),
        (NUMBERS, 'a.csv', 'id,name\n' + CSV),
        (NUMBERS, 'meta/a.txt', 'dog 0\nred fox 1\ncat 2\n'),
        (NUMBERS, 'classes.txt', 'dog\nred fox\ncat\n'),
        (NUMBERS, 'labels.txt', '0: dog\n1: red fox\n2: cat\n'),
        (NUMBERS, 'classes.txt', '0 dog\n1 red fox\n2 cat\n'),
        (NUMBERS, 'synsets.txt', 'dog\nred fox\ncat\n'),  # Datumaro
        (NUMBERS, 'README.md', CARD.format("{'0': dog, '1': red fox, '2': cat}")),
        (NUMBERS, 'README.md', CARD.format('[dog, red fox, cat]')),
        (MACHINE_IDS, 'class-descriptions-boxable.csv', 'LabelName,DisplayName\n' + OPEN_IMAGES),
        (SYNSETS, 'words.txt', '\n'.join(f'{c}\t{n}, x' for c, n in WORDS)),
        (SYNSETS, 'a.txt', '\n'.join(f'{c} {n}' for c, n in [('n99999999', 'bird'), *WORDS])),
    ],
)
def test_a_file_names_them(tmp_path, codes, name, text):
    (tmp_path / 'meta').mkdir()
    (tmp_path / name).write_text(text)
    names, (said,) = names_of_codes(tmp_path, codes)
    assert names == ANIMALS
    assert str(tmp_path / name) in said
    # the order is that of the classes
    assert names_of_codes(tmp_path, codes[::-1])[0] == ANIMALS[::-1]


def test_synonyms_that_others_have_are_kept(tmp_path):
    lines = ('crane, bird', 'red fox', 'crane, machine')
    (tmp_path / 'words.txt').write_text('\n'.join(map(' '.join, zip(SYNSETS, lines, strict=True))))
    assert names_of_codes(tmp_path, SYNSETS)[0] == lines


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('solution.csv', 'id,label\n0,2\n1,0\n2,1\n'),  # images and classes
        ('images.txt', '0 a.jpg\n1 b.jpg\n2 c.jpg\n'),
        ('breeds.csv', CSV + '3,cow\n'),  # of images, perhaps
        ('some.csv', '0,dog\n1,red fox\n'),
        ('same.csv', '0,dog\n1,dog\n2,cat\n'),
        ('classes.txt', 'dog\ncat\n'),
        ('other.txt', 'dog\nred fox\ncat\n'),
        ('list.json', '["dog", "red fox", "cat"]'),
        ('damaged.json', '{"0"'),
        ('README.md', '# Pets\n0 dog\n1 red fox\n2 cat\n'),
        ('README.md', CARD.format('[dog, cat]')),
    ],
)
def test_what_names_no_classes_is_passed_over(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert names_of_codes(tmp_path, NUMBERS) == (NUMBERS, [])


def test_a_short_table_of_images_names_no_classes(tmp_path):
    """Of a validation split with one image per class; the names have no endings."""
    for i in range(3):
        Image.new('RGB', (2, 2)).save(tmp_path / f'val{i}.png')
    (tmp_path / 'val_1.csv').write_text('id_code,diagnosis\nval0,0\nval1,1\nval2,2\n')
    assert names_of_codes(tmp_path, NUMBERS) == (NUMBERS, [])


def test_two_opinions_and_names_of_their_own(tmp_path):
    (tmp_path / 'a.csv').write_text(CSV)
    assert names_of_codes(tmp_path, ('0', '1', 'two')) == (('0', '1', 'two'), [])
    (tmp_path / 'b.csv').write_text(CSV)  # says the same
    assert names_of_codes(tmp_path, NUMBERS)[0] == ANIMALS
    (tmp_path / 'c.csv').write_text('0,cat\n1,red fox\n2,dog\n')
    names, (said,) = names_of_codes(tmp_path, NUMBERS)
    assert names == NUMBERS
    assert {'a.csv', 'c.csv'} <= {word.strip(',').rpartition('/')[2] for word in said.split()}
