"""Other tools' files: each module reads a folder into a Collection and writes one.

Coordinates are those of the upright picture, as tools see it that heed EXIF orientation. What a format can't hold is
told as a note when it is written.
"""
