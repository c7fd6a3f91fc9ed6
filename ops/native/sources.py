"""Where the kernels' sources lie, and what identifies their content."""

import hashlib
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "csrc"


def sources_digest(folder: str) -> str:
    """Of all that a compiler reads of ours, by name and content: one folder and the headers beside it."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCES.glob("*.h"), *SOURCES.glob(f"{folder}/*")]):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCES)} {len(content)}\n".encode() + content)
    return digest.hexdigest()
