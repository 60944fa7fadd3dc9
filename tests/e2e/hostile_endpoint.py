"""An endpoint that attacks: hostile_endpoint.py ATTACK. Prints its port. It answers a call, and then sends on that
connection what it is told as fast as it is taken; "none" answers and no more."""

import itertools
import os
import socket
import struct
import sys
import threading
import time

from hostile import (CREDENTIAL, DATA, END_HEADERS, END_STREAM, HEADERS, MESSAGE, PING, PREFACE, SETTINGS, frame,
                     literal)

RESPONSE = b"\x88" + literal(b"content-type", b"application/grpc")
OK = literal(b"grpc-status", b"0")


def answer(stream, block=RESPONSE):
    return (frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, 0, stream, MESSAGE) +
            frame(HEADERS, END_HEADERS | END_STREAM, stream, OK))


def forever(octets):
    return itertools.repeat(octets)


def none(stream):
    return answer(stream), iter(())


def late_empty_data(stream):
    return answer(stream), forever(frame(DATA, 0, stream) * 500)


def late_octets(stream):
    return answer(stream), forever(frame(DATA, 0, stream, b"x") * 500)


def late_ends(stream):
    return answer(stream), forever(frame(DATA, END_STREAM, stream) * 500)


def late_data(stream):
    return answer(stream), forever(frame(DATA, 0, stream, bytes(10_000)) * 10)


def late_headers(stream):
    return answer(stream), forever(frame(HEADERS, END_HEADERS | END_STREAM, stream, RESPONSE) * 200)


def late_bombs(stream):
    """Lists that are just small enough, of a field that was said once."""
    bomb = frame(HEADERS, END_HEADERS | END_STREAM, stream, RESPONSE + b"\xbe" * 15)
    return answer(stream, RESPONSE + CREDENTIAL), forever(bomb * 200)


def ping_flood(stream):
    return answer(stream), forever(frame(PING, 0, 0, b"12345678") * 500)


def settings_flood(stream):
    return answer(stream), forever(frame(SETTINGS, 0, 0) * 500)


def unknown_frames(stream):
    return answer(stream), (frame(kind, 255, 0, b"what") * 500 for kind in itertools.cycle(range(16, 256)))


def dripped_frame(stream):
    """HEADERS of 16,000 octets, one at a time, in front of whatever other calls would get."""
    def drip():
        while True:
            time.sleep(0.01)
            yield b"\x88"
    return struct.pack("!I", 16_000)[1:] + struct.pack("!BBI", HEADERS, END_HEADERS, stream), drip()


ATTACKS = {made.__name__: made for made in (
    none, late_empty_data, late_octets, late_ends, late_data, late_headers, late_bombs, ping_flood, settings_flood,
    unknown_frames, dripped_frame)}


def ended_streams(received):
    """The streams of which the whole request is there; their frames are taken out."""
    while len(received) >= 9:
        size = 9 + int.from_bytes(received[:3], "big")
        if len(received) < size:
            return
        kind, flags, stream = struct.unpack("!BBI", received[3:9])
        del received[:size]
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            yield stream


def serve(peer, attack):
    received = bytearray()
    left_of_preface = len(PREFACE)
    try:
        peer.sendall(frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0))
        while data := peer.recv(1 << 18):
            received += data[left_of_preface:]
            left_of_preface -= min(left_of_preface, len(data))
            for stream in ended_streams(received):
                first, flood = attack(stream)
                peer.sendall(first)
                for chunk in flood:
                    peer.sendall(chunk)
    except ConnectionError:
        pass
    peer.close()


def main():
    # It takes what time others leave: how long those wait is to be ringway's doing.
    os.nice(15)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print("listening", listener.getsockname()[1], flush=True)
    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(peer, ATTACKS[sys.argv[1]]), daemon=True).start()


if __name__ == "__main__":
    main()
