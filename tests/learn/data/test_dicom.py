"""DICOM files, made here, are read as the numbers that they hold."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.learn.data.decode import is_deep, numbers, open_image, to_rgb

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")


def write(
    path: Path, values: np.ndarray, kind: str = "MONOCHROME2", slope: int = 1, intercept: int = 0
) -> Path:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, meta.MediaStorageSOPInstanceUID
    made.Rows, made.Columns = values.shape[:2]
    made.SamplesPerPixel = 3 if values.ndim == 3 else 1
    if values.ndim == 3:
        made.PlanarConfiguration = 0
    made.PhotometricInterpretation = kind
    made.BitsAllocated = made.BitsStored = 8 * values.dtype.itemsize
    made.HighBit, made.PixelRepresentation = made.BitsStored - 1, 0
    made.RescaleSlope, made.RescaleIntercept = str(slope), str(intercept)
    made.PixelData = values.tobytes()
    made.save_as(path, enforce_file_format=True)
    return path


def test_a_dicom_file_gives_its_numbers_and_large_is_bright(tmp_path: Path) -> None:
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 50

    plain = open_image(write(tmp_path / "a.dcm", values, slope=2, intercept=-1024))
    negative = open_image(write(tmp_path / "b", values, kind="MONOCHROME1"))

    assert is_deep(plain)
    assert numbers(plain).tolist() == (2.0 * values - 1024).tolist()
    assert numbers(negative).tolist() == (-1.0 * values).tolist()
    assert to_rgb(plain).size == (8, 8)


def test_colours_are_colours(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)

    assert np.array_equal(np.asarray(open_image(write(tmp_path / "c.dcm", colours, kind="RGB"))), colours)
