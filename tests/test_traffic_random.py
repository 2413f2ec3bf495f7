"""Whatever the output looks like, reading it ends in a record or in a DocumentError."""

import random

import pytest

from steps.lib.traffic import TOOLS
from steps.lib.traffic.protocol import DocumentError
from tests.outputs import VERSION_OUTPUT, output

SEED = 20260409
ROUNDS = 700
SNIPPETS = (
    b"", b"\0", b"\n", b"\r", b"-", b'"', b"{", b"}", b"[", b"]", b",", b":", b"=", b"null",
    b"true", b"NaN", b"1e999", b"-1", b"0", b"9" * 400, b"9" * 5000, b"1.5", b"\xff", b"[" * 3000,
    b'{"event":"', "٣".encode(), b"\xed\xa0\x80", b'"\\ud800"',
)  # fmt: skip


def mutated(text: bytes, dice: random.Random) -> bytes:
    """The output with one to three spots cut, doubled, moved or overwritten."""
    for _ in range(dice.randint(1, 3)):
        left, right = sorted(dice.randrange(len(text) + 1) for _ in range(2))
        right = min(right, left + dice.choice((0, 1, 4, 30, 400)))
        piece = dice.choice((dice.choice(SNIPPETS), text[left:right] * 2, text[-left:][:60]))
        text = text[:left] + piece + text[right:]
    return text


@pytest.mark.parametrize(
    "name",
    [
        "iperf3-tcp-forward.jsonl", "iperf3-udp-reverse.jsonl", "iperf3-udp-4-forward.jsonl",
        "iperf3-tcp-client-sigint.jsonl", "netperf-tcp-rr.txt", "netperf-tcp-crr.txt",
    ],
)  # fmt: skip
def test_nothing_but_a_document_error_is_raised(name: str) -> None:
    tool = next(tool for tool in TOOLS if name.startswith(tool.name))
    dice, text, refused = random.Random(f"{SEED} {name}"), output(name), 0
    for _ in range(ROUNDS):
        try:
            tool.parse(mutated(text, dice), VERSION_OUTPUT)
        except DocumentError as error:
            refused += 1
            assert str(error)
    assert refused > 0.8 * ROUNDS


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_random_bytes_are_refused(tool: object) -> None:
    dice = random.Random(SEED)
    for length in (*range(50), 1000, 100_000):
        with pytest.raises(DocumentError):
            tool.parse(dice.randbytes(length), VERSION_OUTPUT)  # type: ignore[attr-defined]
