"""How fast phantoms are drawn: images per second and core, by condition and size.

python benchmarks/phantoms.py [--images 20]
"""

import argparse
import time

import cv2

from morphoscope.cohort import PHANTOM_CONDITIONS, phantom_image

SIZES = (64, 128, 256)


def images_per_second(condition: str, size: int, images: int) -> float:
    """Of one core's own time, so that other programs do not count."""
    phantom_image(condition, 0, size=size)
    start = time.process_time()
    for index in range(images):
        phantom_image(condition, index, size=size)
    return images / (time.process_time() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20, help="of each condition and size")
    count = parser.parse_args().images
    cv2.setNumThreads(1)
    print("images/s of one core  " + "".join(f"{size:>5} px" for size in SIZES))
    for condition in PHANTOM_CONDITIONS:
        speeds = [images_per_second(condition, size, count) for size in SIZES]
        print(f"{condition:<22}" + "".join(f"{speed:>8.0f}" for speed in speeds))


if __name__ == "__main__":
    main()
