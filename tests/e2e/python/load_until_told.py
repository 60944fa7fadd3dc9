"""Unary calls, eight at a time, until a line comes on standard input: load_until_told.py ADDRESS PATH.

It prints how many ended with which grpc-status, as JSON.
"""

import collections
import json
import pathlib
import select
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rawh2 import Loop  # noqa: E402

TOGETHER = 8


def main():
    loop = Loop()
    client = loop.client(int(sys.argv[1].rsplit(":", 1)[1]))
    statuses = collections.Counter()
    calls = []
    is_told = False
    while calls or not is_told:
        is_told = is_told or bool(select.select([sys.stdin], [], [], 0)[0])
        for request in [request for request in calls if request.is_over]:
            calls.remove(request)
            statuses[request.trailer("grpc-status") or f"reset {request.reset_code}"] += 1
            del client.streams[request.id]
        while len(calls) < TOGETHER and not is_told:
            calls.append(client.call(sys.argv[2]))
        loop.turn(0.02)
    print(json.dumps({"statuses": statuses}))


main()
