"""The image that belongs to a label file."""

import pytest

from tnt_backbone.new_config.pairs import nearest


def test_the_nearest_of_equal_names(tmp_path):
    images = [tmp_path / f'images/{part}/1.jpg' for part in 'ab']
    assert nearest(images, tmp_path / 'annots/b/1.xml') == images[1]
    with pytest.raises(ValueError, match=r'Several images fit .*annots/1.xml'):
        nearest(images, tmp_path / 'annots/1.xml')
    two = [tmp_path / 'images/1.jpg', tmp_path / 'images/1.png']
    assert nearest(two, tmp_path / 'annots/1.xml', '1.png') == two[1]
    # masks that lie nearer than the images, as of the Oxford-IIIT pets
    pets = [tmp_path / 'annotations/trimaps/1.png', tmp_path / 'images/1.jpg']
    for name in ('1.jpg', ''):
        assert nearest(pets, tmp_path / 'annotations/xmls/1.xml', name) == pets[1]
    beside = [tmp_path / 'images/1.jpg', tmp_path / 'small/1.jpg']
    assert nearest(beside, tmp_path / 'small/1.xml', '1.jpg') == beside[1]
    masks = [tmp_path / 'annots/1.png', tmp_path / 'images/1.jpg']
    assert nearest(masks, tmp_path / 'annots/1.xml', '1.jpg') == masks[1]
    assert nearest(masks, tmp_path / 'annots/1.xml', '') == masks[0]
