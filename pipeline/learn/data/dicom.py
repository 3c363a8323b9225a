"""DICOM by pydicom, where it is installed: the first frame as numbers, or as colours."""

import os
from typing import Any

import numpy as np
from PIL import Image


def read(path: str | os.PathLike[str]) -> Image.Image:
    """Return the first frame: mode F of what the file's slope and intercept make of its values, or RGB.

    Values of MONOCHROME1, where large is dark, are negated, so that in all files large is bright. Raises
    what pydicom raises for a file that is damaged or compressed in a way that it cannot read.
    """
    import pydicom
    from pydicom.pixels import apply_modality_lut

    dataset: Any = pydicom.dcmread(path)
    frame = np.asarray(dataset.pixel_array)
    colours = int(dataset.get("SamplesPerPixel", 1))
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    if frames > 1:
        frame = frame[0]
    if colours == 3:
        if frame.dtype != np.uint8:
            raise ValueError(f"colours of {8 * frame.dtype.itemsize} bits")
        return _told(Image.fromarray(frame), frames)  # pydicom has made RGB of YBR
    values = np.asarray(apply_modality_lut(frame, dataset), dtype=np.float32)
    if str(dataset.get("PhotometricInterpretation", "")) == "MONOCHROME1":
        values = -values
    return _told(Image.fromarray(values), frames)


def _told(image: Image.Image, frames: int) -> Image.Image:
    image.info["frames"] = frames
    return image
