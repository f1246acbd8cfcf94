"""JPEG files that were cut off: OpenCV reads them without an error and fills the rest with grey."""


def is_cut_off(data: bytes) -> bool:
    """Return whether the content of a picture's file is a JPEG without its end."""
    # A JPEG's last scan is followed by an end marker; neither occurs inside compressed data.
    return data[:2] == b'\xff\xd8' and data.rfind(b'\xff\xd9') < data.rfind(b'\xff\xda')
