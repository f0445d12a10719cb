"""Reads a multipart form with files (RFC 7578) as it comes in: the files' bytes are handed on, texts are kept."""

from collections.abc import Callable
from typing import Any

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header

from studio9_common.errors import BadInput

FILE = "file"
MOST_PARTS = 50
LONGEST_TEXT = 64 * 1024
LONGEST_HEADER = 8 * 1024


class BadForm(BadInput):
    """This is no multipart form with a part `file`; send multipart/form-data as a browser does."""

    code = "bad_form"


class FormReader:
    """Feed it the body chunk by chunk; `file` takes bytes of the part `file`. `close` checks that the form ended.

    With `next_file` there may be several such parts: it is called with each one's name before its bytes come.
    """

    def __init__(
        self, content_type: str, file: Callable[[bytes], None], *, next_file: Callable[[str], None] | None = None
    ) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 200:
            raise _bad("Upload is not a multipart form")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        """The name that the client gave to the file; None while there is none."""
        self._file, self._next_file = file, next_file
        self._parts, self._ended = 0, False
        self._headers: dict[str, bytes] = {}
        self._header, self._value = bytearray(), bytearray()
        self._name, self._text = "", bytearray()
        callbacks: dict[str, Any] = {
            "on_part_begin": self._part_begin,
            "on_header_field": lambda data, start, end: self._extend(self._header, data[start:end], LONGEST_HEADER),
            "on_header_value": lambda data, start, end: self._extend(self._value, data[start:end], LONGEST_HEADER),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # its type wants every callback

    def feed(self, chunk: bytes) -> None:
        """Raises BadForm."""
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise _bad(f"Upload cannot be read: {error}") from None

    def close(self, *, needs_file: bool = True) -> None:
        """Raises BadForm if the form was cut off, or had no file and needs one."""
        if not self._ended:
            raise _bad("Upload is cut off")
        if self.filename is None and needs_file:
            raise _bad("Upload has no file")

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise _bad(f"Upload has more than {MOST_PARTS} parts")
        self._headers, self._name = {}, ""
        self._text.clear()

    def _header_end(self) -> None:
        self._headers[self._header.decode("latin-1").lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name == FILE and b"filename" in options:
            if self.filename is not None and self._next_file is None:
                raise _bad("Upload has more than one file")
            self.filename = options[b"filename"].decode(errors="replace")
            if self._next_file is not None:
                self._next_file(self.filename)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            if self.filename is None:
                raise _bad("Upload has no file: its part `file` is a text")
            self._file(data[start:end])
        else:
            self._extend(self._text, data[start:end], LONGEST_TEXT)

    def _part_end(self) -> None:
        if self._name and self._name != FILE:
            self.fields[self._name] = self._text.decode(errors="replace")

    def _end(self) -> None:
        self._ended = True

    def _extend(self, target: bytearray, data: bytes, limit: int) -> None:
        if len(target) + len(data) > limit:
            raise _bad(f"Upload has a text or header of more than {limit} bytes")
        target += data


def _bad(message: str) -> BadForm:
    return BadForm(message, field=FILE, fix="send multipart/form-data with one part `file`")
