"""The child process that decodes uploaded pictures: `python -m studio9_baile.security.decoding MEMORY`.

It says `{}` when it is ready, reads requests, one JSON object a line, and answers each with one line. A request names a
file, or says how many bytes of a picture follow. A picture that breaks the decoder breaks this process and nothing
else; its memory is limited, and whoever asked kills it when it takes too long.
"""

import io
import json
import resource
import sys
import warnings
from collections.abc import Mapping
from typing import IO, Any

from PIL import Image, UnidentifiedImageError

MAGIC = {"PNG": (b"\x89PNG\r\n\x1a\n",), "JPEG": (b"\xff\xd8\xff",), "GIF": (b"GIF87a", b"GIF89a")}
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)


def format_of(head: bytes) -> str | None:
    """The format that a file's first bytes promise."""
    return next((name for name, starts in MAGIC.items() if head.startswith(starts)), None)


def decode(file: IO[bytes], max_pixels: int) -> dict[str, Any]:
    """Decodes a picture in full. `{format, width, height}` (upright), or `{error, message}`."""
    promised = format_of(file.read(8))
    file.seek(0)
    if promised is None:
        return {"error": "unsupported", "message": "the content is neither PNG nor JPEG nor GIF"}
    Image.MAX_IMAGE_PIXELS = None  # ours is checked below, before anything is decoded
    try:
        with warnings.catch_warnings(), Image.open(file, formats=(promised,)) as image:
            warnings.simplefilter("ignore")
            width, height = image.size
            if width * height > max_pixels:
                return {"error": "too_large", "message": f"it has {width} x {height} pixels, {max_pixels} are allowed"}
            image.load()
            if image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS:
                width, height = height, width
    except MemoryError:
        return {"error": "too_large", "message": "decoding it needs too much memory"}
    except UnidentifiedImageError:
        return {"error": "damaged", "message": f"it begins like {promised}, but its header cannot be read"}
    except Exception as error:  # a decoder fails in many ways on what is not what it says
        return {"error": "damaged", "message": f"it cannot be decoded to its end ({type(error).__name__}: {error})"}
    return {"format": promised, "width": width, "height": height}


def main(memory: int) -> None:
    """Answers until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("{}", flush=True)
    given = sys.stdin.buffer
    while line := given.readline():
        request: Mapping[str, Any] = json.loads(line)
        with open(request["path"], "rb") if "path" in request else io.BytesIO(given.read(request["size"])) as file:
            answer = decode(file, request["max_pixels"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
