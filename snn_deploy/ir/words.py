"""Numbers in sentences."""


def counted(number: int, noun: str) -> str:
    """Return `number` with its noun, such as `1 step` and `2 steps`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
