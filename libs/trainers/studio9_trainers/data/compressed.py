"""COCO's compressed run lengths: each run as differences to the one before the last, in pieces of five bits."""

from studio9_trainers.errors import BadInput


def uncompressed(text: str) -> tuple[int, ...]:
    """The run lengths of a text, as pycocotools writes it. Raises BadInput."""
    runs: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        more = True
        while more:
            if at >= len(text):
                raise BadInput("A mask's text ends in the middle of a run: write it again.")
            piece = ord(text[at]) - 48
            if not 0 <= piece < 64:
                raise BadInput(f"A mask's text holds {text[at]!r}, which means nothing there: write it again.")
            value |= (piece & 31) << shift
            more = bool(piece & 32)
            shift += 5
            at += 1
            if not more and piece & 16:
                value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return tuple(runs)
