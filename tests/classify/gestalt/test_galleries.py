"""Galleries in memory and on disk: what is kept, what is private, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from face_galleries import clustered

from morphoscope.classify.gestalt import read_gallery, write_gallery
from morphoscope.classify.gestalt.gallery_file import is_encrypted_gallery
from morphoscope.configs import UserError
from morphoscope.runtime.encryption import decrypt, encrypt

SECRET = "correct horse"


def test_a_gallery_comes_back(tmp_path):
    gallery = clustered()
    write_gallery(tmp_path / "g.safetensors", gallery)
    again = read_gallery(tmp_path / "g.safetensors")
    assert np.array_equal(again.embeddings, gallery.embeddings)
    assert again.entries == gallery.entries
    assert again.thumbnails is None
    assert (tmp_path / "g.safetensors").stat().st_mode & 0o077 == 0
    assert b"biometric data" in (tmp_path / "g.safetensors").read_bytes()


def test_thumbnails_come_back_with_their_consent(tmp_path):
    gallery = clustered(2, 1, 1)
    images = np.arange(2 * 64 * 64 * 3).reshape(2, 64, 64, 3).astype(np.uint8)
    write_gallery(
        tmp_path / "g.safetensors", replace(gallery, thumbnails=images, consent="the patients, 2026")
    )
    again = read_gallery(tmp_path / "g.safetensors")
    assert np.array_equal(again.thumbnails, images)
    assert again.consent == "the patients, 2026"


def test_an_encrypted_gallery_needs_its_passphrase(tmp_path):
    pytest.importorskip("cryptography", reason="the extra encryption is not installed")
    path = tmp_path / "g.safetensors"
    write_gallery(path, clustered(2, 1, 1), SECRET)
    assert is_encrypted_gallery(path)
    assert b"biometric" not in path.read_bytes()
    assert len(read_gallery(path, SECRET)) == 2
    with pytest.raises(UserError, match="passphrase is needed"):
        read_gallery(path)
    with pytest.raises(UserError, match="passphrase is wrong"):
        read_gallery(path, "incorrect horse")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="changed"):
        read_gallery(path, SECRET)


def test_a_truncated_encrypted_file_is_refused():
    pytest.importorskip("cryptography", reason="the extra encryption is not installed")
    data = encrypt(b"secret", SECRET)
    assert decrypt(data, SECRET, "x") == b"secret"
    for length in (24, 30, 51, 60):
        with pytest.raises(UserError, match=r"truncated|changed"):
            decrypt(data[:length], SECRET, "x")


def test_a_short_passphrase_is_refused(tmp_path):
    with pytest.raises(UserError, match="at least 8"):
        write_gallery(tmp_path / "g.safetensors", clustered(2, 1, 1), "short")
    assert not (tmp_path / "g.safetensors").exists()


@pytest.mark.parametrize("damage", ["empty", "text", "other kind", "other shape"])
def test_what_is_no_gallery_is_refused(tmp_path, damage):
    from morphoscope.classify.gestalt.bundled_networks import RESNET

    path = tmp_path / "g.safetensors"
    gallery = clustered(2, 1, 1)
    if damage == "other shape":
        object.__setattr__(gallery, "embeddings", gallery.embeddings[:1])
        write_gallery(path, gallery)
    else:
        path.write_bytes({"empty": b"", "text": b"no gallery", "other kind": RESNET.read_bytes()}[damage])
    with pytest.raises(UserError, match=r"g\.safetensors"):
        read_gallery(path)


def test_galleries_of_one_encoder_are_joined():
    gallery, other = clustered(2, 1, 1), clustered(2, 1, 1, prefix="x", seed=1)
    both = gallery.joined(other)
    assert len(both) == 4
    assert both.syndromes == gallery.syndromes
    with pytest.raises(UserError, match="In the gallery already"):
        gallery.joined(gallery)
    with pytest.raises(UserError, match="thumbnails"):
        gallery.joined(replace(other, thumbnails=np.zeros((2, 64, 64, 3), np.uint8)))
    with pytest.raises(UserError, match="encoder"):
        gallery.joined(clustered(2, 1, 1, prefix="x", digest="f"))
