"""Topic patterns as RabbitMQ's topic exchange reads them."""


def matches(pattern: str, routing_key: str) -> bool:
    """Whether a routing key fits a pattern: words between dots, `*` is exactly one word, `#` none or more."""
    if "#" not in pattern and "*" not in pattern:
        return pattern == routing_key
    return _match(_words(pattern), _words(routing_key))


def _words(text: str) -> list[str]:
    return text.split(".") if text else []


def _match(pattern: list[str], words: list[str]) -> bool:
    # `reached[i]`: the pattern read so far can end after i words.
    reached = [True] + [False] * len(words)
    for part in pattern:
        following = [False] * (len(words) + 1)
        if part == "#":
            for i, was in enumerate(reached):
                following[i] = was or (i > 0 and following[i - 1])
        else:
            for i, word in enumerate(words):
                following[i + 1] = reached[i] and part in ("*", word)
        reached = following
    return reached[-1]
