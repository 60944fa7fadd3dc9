"""A raw HTTP/2 backend in a process of its own: recording_server.py FILE PORT.

It appends the field x-call of each call to FILE the moment it arrives, and answers after a while in which other calls
arrive. Port 0 takes a free one; the port is printed.
"""

import collections
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rawh2 import Backend, Loop, echo  # noqa: E402

# A call is answered when that many came behind it, so that some are always in flight; or when nothing comes.
HELD_BACK = 2


def main():
    record = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    held = collections.deque()

    def arrived(peer, stream):
        if not hasattr(stream, "is_recorded"):
            stream.is_recorded = True
            os.write(record, stream.header("x-call").encode("ascii") + b"\n")
        if stream.ended and not hasattr(stream, "is_held"):
            stream.is_held = True
            held.append((peer, stream))
        while len(held) > HELD_BACK:
            echo(*held.popleft())

    loop = Loop()
    backend = Backend(loop, handler=arrived, port=int(sys.argv[2]))
    print(f"listening {backend.port}", flush=True)
    while True:
        loop.turn(0.005)
        if held:
            echo(*held.popleft())


main()
