"""Find JPEGs that were cut off. OpenCV does not report them: it fills the rest with grey."""

import io

START = b'\xff\xd8'
SCAN, END = b'\xff\xda', b'\xff\xd9'  # start of a scan, end of the picture


def is_cut_off(data: bytes) -> bool:
    """Return whether a part of a JPEG's picture is missing.

    The last scan of a whole JPEG is followed by an end marker, and neither marker occurs inside
    compressed data. Phones write more behind the picture, such as a video, where any bytes may
    stand. So a file that looks cut off is decoded by Pillow, which takes some milliseconds.

    Args:
        data: A file. Other formats are never cut off here.
    """
    if data[:2] != START or data.rfind(END) >= data.rfind(SCAN):
        return False
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return True
    return False
