"""A picture with its boxes: right ones green, false alarms and wrong labels red, what was missed orange."""

import io
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from studio9_task.judgement import JudgedPicture
from studio9_trainers.data.decode import Pixels

RIGHT, WRONG, MISSED, PASSED_OVER = (30, 160, 60), (220, 30, 40), (245, 150, 20), (130, 130, 130)
LONGEST, SHORTEST = 1280, 640
"""Most and fewest pixels of the longer side of what is drawn: on a small picture no text could be read."""

LETTERS = 14


def with_boxes(pixels: Pixels, judged: JudgedPicture) -> bytes:
    """The picture as a PNG file, 640 to 1280 pixels long, with its true and predicted boxes."""
    image = Image.fromarray(pixels)
    longer = max(image.size)
    scale = min(max(longer, SHORTEST), LONGEST) / longer
    if scale != 1:
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    draw = ImageDraw.Draw(image)
    for true in judged.true:
        if not true.found:
            colour = PASSED_OVER if true.ignore else MISSED
            draw_box(draw, (true.left, true.top, true.width, true.height), scale, colour, true.label)
    for box in reversed(judged.predicted):
        colour = (RIGHT if box.right else WRONG) if box.counts else PASSED_OVER
        text = f"{box.label} {box.confidence:.2f}"
        draw_box(draw, (box.left, box.top, box.width, box.height), scale, colour, text)
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def draw_box(
    draw: ImageDraw.ImageDraw,
    sides: tuple[float, float, float, float],
    scale: float,
    colour: tuple[int, int, int],
    text: str,
) -> None:
    """A box (left, top, width, height; times `scale` they are pixels) with its text above it, on white."""
    left, top, width, height = (value * scale for value in sides)
    draw.rectangle((left, top, left + max(width, 1), top + max(height, 1)), outline=colour, width=2)
    place = (left + 2, max(0, top - LETTERS - 2))
    draw.rectangle(draw.textbbox(place, text, font=_font()), fill="white")
    draw.text(place, text, fill=colour, font=_font())


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own; to read it takes longer than to draw a box."""
    return ImageFont.load_default(LETTERS)
