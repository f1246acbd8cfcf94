"""How the folders of images, of label maps and of splits are called.

Names of folders are compared without regard to capital letters.
"""

IMAGES = ('images', 'img_dir', 'JPEGImages', 'image', 'imgs', 'img')
LABELS = (
    *('labels', 'masks', 'annotations', 'ann_dir', 'SegmentationClassPNG', 'SegmentationClass'),
    *('label', 'mask', 'annotation', 'gt', 'segmentation', 'segmentations', 'groundtruth'),
)
# What each phase reads: the first that is there. Roboflow calls the validation split "valid".
VAL = ('val', 'validation', 'valid')
TEST = ('test', 'testing')
SPLITS = {'train': ('train', 'training'), 'val': VAL, 'test': TEST}
LAYOUT = (
    'What is wanted: DIR/images/{train,val} and DIR/labels/{train,val} with label maps of the same '
    'names as .png, and the names of the classes in DIR/classes.txt (docs/tutorial.md)'
)
