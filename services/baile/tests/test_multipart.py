"""Multipart forms, cut at every byte and broken in every way."""

from typing import Any

import pytest

from studio9_baile.v2.multipart import BadForm, FormReader

TYPE = "multipart/form-data; boundary=cut"
FORM = (
    b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a \xc3\xa9.png"\r\n'
    b"Content-Type: image/png\r\n\r\n"
    b"by\r\n--tes\r\n"
    b'--cut\r\nContent-Disposition: form-data; name="filename"\r\n\r\na b\r\n--cut--\r\n'
)


def read(form: bytes, step: int, content_type: str = TYPE) -> tuple[Any, bytes]:
    taken = bytearray()
    reader = FormReader(content_type, taken.extend)
    for start in range(0, len(form), step):
        reader.feed(form[start : start + step])
    reader.close()
    return reader, bytes(taken)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_a_form_is_read_in_pieces_of_any_size(step: int) -> None:
    reader, content = read(FORM, step)
    assert content == b"by\r\n--tes" and reader.filename == "a é.png" and reader.fields == {"filename": "a b"}


@pytest.mark.parametrize("length", range(0, len(FORM) - 6))
def test_a_form_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(BadForm):
        read(FORM[:length], 1000)


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        (FORM, "multipart/form-data"),
        (FORM, "application/json"),
        (FORM, "multipart/form-data; boundary=other"),
        (b"nonsense", TYPE),
        (FORM.replace(b'; filename="a \xc3\xa9.png"', b""), TYPE),
        (FORM.replace(b'name="filename"', b'name="file"; filename="two"'), TYPE),
        (FORM.replace(b"\r\na b", b"\r\n" + b"x" * 70_000), TYPE),
        (b'--cut\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n' * 60 + FORM, TYPE),
        (b"--cut\r\n" + b"x" * 10_000 + b": y\r\n\r\n\r\n--cut--\r\n", TYPE),
    ],
)
def test_what_is_no_form_with_one_file_is_refused(form: bytes, content_type: str) -> None:
    with pytest.raises(BadForm):
        read(form, 1000, content_type)
