"""Local objects where there is no room for the folder of an object's place."""

from pathlib import Path

from studio9_common.objects.local import LocalObjects


async def test_an_object_that_cannot_be_moved_to_its_place_is_there_all_the_same(tmp_path: Path) -> None:
    """Its row is what makes it exist: bytes that a row names are never thrown away."""
    objects = LocalObjects(tmp_path, base_url="http://x")
    (tmp_path / "files").rmdir()
    (tmp_path / "files").symlink_to(tmp_path / "elsewhere")  # leads nowhere: no folder can be made in it
    await objects.put("o/pictures/a", b"whole")
    assert await objects.get("o/pictures/a") == b"whole"
    assert (await objects.put("o/pictures/a", b"whole")).size == 5
    await objects.close()
    (tmp_path / "elsewhere").mkdir()
    again = LocalObjects(tmp_path, base_url="http://x")
    assert await again.get("o/pictures/a") == b"whole"
    assert list((tmp_path / "incoming").iterdir()) == [], "opening has moved it to its place"
    await again.close()
