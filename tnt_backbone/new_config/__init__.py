"""A stock config, with a backbone of ours and a user's own data, to a new config."""

# Formats of folders that the configs of each library can read
FORMATS = {
    'mmdet': (
        *('coco', 'yolo', 'voc', 'labelme', 'cvat', 'csv', 'createml', 'huggingface', 'via'),
        *('supervisely', 'kitti', 'dota', 'visdrone', 'labelme_xml'),
    ),
    'mmseg': ('masks', 'coco', 'yolo', 'labelme', 'cvat', 'via', 'supervisely', 'labelme_xml'),
    'mmpretrain': ('folders',),
}
