"""ICC colour profiles of photographs: kept as they are, or replaced by converting the pixels to sRGB.

A profile says what colours the numbers mean. It is written by a camera or a program and may hold the name of
its maker, its owner or their computer, in text that people never see.
"""

import zlib
from io import BytesIO

from PIL import Image, ImageCms

from morphoscope.configs import UserError

_MOST_BYTES = 2**20
_HEAD = b"ICC_PROFILE\0"
_PART = 65_519  # bytes of a profile in one segment of a JPEG


def rgb_profile(image: Image.Image) -> bytes | None:
    """The profile of an opened RGB image, without bytes that follow it; None for no, or a damaged, one."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or image.mode not in ("RGB", "RGBA", "P"):
        return None
    size = int.from_bytes(profile[:4])
    sound = 128 <= size <= min(len(profile), _MOST_BYTES) and profile[36:40] == b"acsp"
    return profile[:size] if sound and profile[16:20] == b"RGB " else None


def to_srgb(image: Image.Image, profile: bytes, name: str) -> Image.Image:
    """The RGB image with its colours in sRGB.

    Raises:
        UserError: the profile cannot be applied.
    """
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise UserError(f"{name}: its colour profile cannot be applied ({error}).") from error
    assert converted is not None, "not converted in place"
    converted.info = {}  # Pillow adds its own sRGB profile, with the time
    return converted


def jpeg_segments(profile: bytes | None) -> list[bytes]:
    """The profile as the contents of APP2 segments."""
    parts = [profile[start : start + _PART] for start in range(0, len(profile), _PART)] if profile else []
    return [_HEAD + bytes([number, len(parts)]) + part for number, part in enumerate(parts, start=1)]


def png_content(profile: bytes) -> bytes:
    """The profile as the content of a chunk iCCP; uncompressed, so that every zlib writes the same."""
    return b"ICC profile\0\0" + zlib.compress(profile, 0)
