"""Values as people type them."""


def value_of(text: str) -> bool | int | float | str:
    """True or false, a whole number, a number, else the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
