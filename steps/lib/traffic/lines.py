"""Splitting a tool's output into lines, as far as it is whole text."""

from steps.lib.traffic.protocol import DocumentError


def lines_of(output: bytes) -> list[str]:
    """The lines; DocumentError if there are none, or the last one does not end."""
    if not output:
        raise DocumentError("the client wrote nothing")
    try:
        text = output.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"the output is not text: {error.reason} at {error.start}") from None
    if "\r" in text:
        raise DocumentError("the output has carriage returns: it went through a terminal")
    if not text.endswith("\n"):
        raise DocumentError("the output is cut off within a line")
    return text[:-1].split("\n")
