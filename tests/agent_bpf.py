"""A program of the kernel's bpf that does nothing, run in the tool box: pinned, or attached by tcx.

Arguments: ``pin PATH``, ``pin-xdp PATH`` or ``tcx DEVICE``.
"""

SCRIPT = r"""
import ctypes, platform, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
number = {"x86_64": 321, "aarch64": 280}[platform.machine()]

def call(command, attribute):
    text = ctypes.create_string_buffer(attribute, len(attribute))
    result = libc.syscall(ctypes.c_long(number), command, text, len(attribute))
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return result

code = ctypes.create_string_buffer(bytes.fromhex("b700000000000000" "9500000000000000"), 16)
licence = ctypes.create_string_buffer(b"GPL")
load = struct.pack(
    "=IIQQIIQII16s", 6 if sys.argv[1] == "pin-xdp" else 3, 2, ctypes.addressof(code),
    ctypes.addressof(licence), 0, 0, 0, 0, 0, b"trial_program",
)
program = call(5, load)
if sys.argv[1].startswith("pin"):
    path = ctypes.create_string_buffer(sys.argv[2].encode())
    call(6, struct.pack("=QII", ctypes.addressof(path), program, 0))
else:
    call(8, struct.pack("=IIII", socket.if_nametoindex(sys.argv[2]), program, 46, 0))
"""


def bpf(arguments: str) -> str:
    """The program as a line of sh."""
    return f"python3 - {arguments} <<'EOF'\n{SCRIPT}\nEOF\n"
