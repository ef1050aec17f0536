"""Reader for chest X-rays: images of healthy lungs and of pneumonia, in one folder per class."""

from __future__ import annotations

import hashlib
import logging
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from colearn_learner.datasets.records import Data
from colearn_learner.errors import InvalidData, MissingPackage

_log = logging.getLogger(__name__)

XRAY_CLASSES = ("NORMAL", "PNEUMONIA")
"""Names of the folders; the index of a name is its class."""

_SIDE = 128  # pixels
_SUFFIXES = {".jpeg", ".jpg", ".png"}
_MAX_FILE = 50_000_000  # bytes
_MAX_PIXELS = 50_000_000
_MAX_PICTURES = 200_000


def read_xray(path: Path) -> Data:
    """Read the images: inputs of shape (n, 128, 128, 1), uint8; targets 1 for pneumonia, else 0.

    Identical files count once, because the original archive contains every image twice.

    Args:
        path: a folder that contains, at any depth, image folders NORMAL and PNEUMONIA.

    Raises:
        InvalidData: a class has no images, or an image is damaged or too large.
        MissingPackage: Pillow is not installed.
    """
    images = _import_pillow()
    pictures: list[npt.NDArray[np.uint8]] = []
    targets: list[int] = []
    seen: set[bytes] = set()
    files = _find_files(path)
    for file, kind in files:
        content = _read_content(file)
        if (digest := hashlib.sha256(content).digest()) in seen:
            continue
        seen.add(digest)
        pictures.append(_read_picture(images, file, content))
        targets.append(kind)
    if len(files) > len(pictures):
        _log.info("%d images are duplicates and were left out", len(files) - len(pictures))
    return Data(np.stack(pictures)[..., np.newaxis], np.array(targets, np.int64))


def _find_files(path: Path) -> list[tuple[Path, int]]:
    files = [
        (file, XRAY_CLASSES.index(file.parent.name))
        for file in sorted(path.rglob("*"))
        if file.parent.name in XRAY_CLASSES
        and file.suffix.lower() in _SUFFIXES
        and not file.name.startswith(".")  # macOS adds such files to archives
    ]
    for kind, name in enumerate(XRAY_CLASSES):
        if not any(found == kind for _, found in files):
            raise InvalidData(f"{path} has no folder {name} with images (JPEG or PNG)")
    if len(files) > _MAX_PICTURES:
        raise InvalidData(
            f"{path} has {len(files):,} images; at most {_MAX_PICTURES:,} are allowed"
        )
    return files


def _read_content(file: Path) -> bytes:
    if (size := file.stat().st_size) > _MAX_FILE:
        raise InvalidData(f"{file} is {size:,} bytes long; at most {_MAX_FILE:,} are allowed")
    return file.read_bytes()


def _read_picture(images: Any, file: Path, content: bytes) -> npt.NDArray[np.uint8]:
    try:
        with images.open(BytesIO(content), formats=("JPEG", "PNG")) as picture:
            width, height = picture.size
            if width * height > _MAX_PIXELS:
                raise InvalidData(f"{file} has {width} × {height} pixels, which is too many")
            return np.asarray(picture.convert("L").resize((_SIDE, _SIDE)))
    except InvalidData:
        raise
    except Exception as error:  # Pillow raises many types of errors for damaged images
        raise InvalidData(f"{file} is not a readable image: {error}") from error


def _import_pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingPackage(
            "reading images needs Pillow, which is not installed: "
            "pip install 'colearn-ledger[images]'"
        ) from error
    return Image
