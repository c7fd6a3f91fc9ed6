"""The folder of the kernels' sources, and the digest of their content."""

import hashlib
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "csrc"


def sources_digest(folder: str) -> str:
    """SHA-256 of names and contents of the files that a compiler reads: `folder` and headers beside it."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCES.glob("*.h"), *SOURCES.glob(f"{folder}/*")]):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCES)} {len(content)}\n".encode() + content)
    return digest.hexdigest()
