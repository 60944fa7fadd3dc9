"""What ringway-load puts on the wire, and how it judges what comes back, seen by a python3-h2 backend."""

import json
import re
import subprocess

import hpack
import pytest
from hyperframe import frame as frames

from harness import BUILD, Process
from rawh2 import Backend, echo as echo_handler
from tool_fixtures import PATH, RUN_LIMIT_S


def test_load_opens_the_connections_and_streams_it_was_told_to(loop):
    backend = Backend(loop)
    started = subprocess.Popen([BUILD / "ringway-load", "--target", backend.address, "--path", PATH, "--connections", "3",
                                "--streams", "4", "--requests", "24"], stdout=subprocess.PIPE)
    backend.await_request(12, complete=True)
    # Nothing was answered, so no more may come.
    for peer in backend.connections:
        loop.settle(peer)
    assert [len(peer.streams) for peer in backend.connections] == [4, 4, 4]
    backend.handler = echo_handler
    for peer, stream in backend.requests():
        echo_handler(peer, stream)
    loop.until(lambda: started.poll() is not None, "the end of the run")
    started.stdout.close()
    assert started.returncode == 0
    assert len(backend.requests()) == 24


def drive(loop, backend, *arguments):
    """Runs ringway-load against a raw backend; returns its exit code and report."""
    process = Process([str(BUILD / "ringway-load"), "--target", backend.address, "--path", PATH, "--json", *map(str, arguments)])
    loop.until(lambda: not process.is_running(), "the end of the run", limit_s=RUN_LIMIT_S)
    code = process.wait(10)
    return code, json.loads("\n".join(process.stdout))


def test_load_sends_what_grpc_clients_send(loop):
    backend = Backend(loop, handler=echo_handler)
    code, _ = drive(loop, backend, "--requests", 3, "--message-bytes", 100, "--header", "x-key: some value", "--paths", 2)
    assert code == 0
    _, stream = backend.requests()[0]
    assert stream.headers[:3] == [(":method", "POST"), (":scheme", "http"), (":path", PATH + "0")]
    fields = dict(stream.headers)
    assert fields[":authority"] == backend.address
    assert fields["content-type"] == "application/grpc"
    assert fields["te"] == "trailers"
    assert re.fullmatch(r"ringway-load/\d+\.\d+\.\d+", fields["user-agent"])
    assert fields["x-key"] == "some value"
    assert bytes(stream.data[:5]) == b"\0\0\0\0\x64" and len(stream.data) == 105
    assert [stream.header(":path")[-1] for _, stream in backend.requests()] == ["0", "1", "0"]
    settings = backend.connections[0].frames_of(frames.SettingsFrame)[0].settings
    assert settings[frames.SettingsFrame.INITIAL_WINDOW_SIZE] == 1 << 20
    assert settings[frames.SettingsFrame.ENABLE_PUSH] == 0


def representations(block):
    """The kinds of the field representations of a header block, in order (RFC 7541 section 6)."""
    def integer(at, bits):
        value = block[at] & (1 << bits) - 1
        at += 1
        if value == (1 << bits) - 1:
            shift = 0
            while True:
                value += (block[at] & 127) << shift
                shift += 7
                at += 1
                if not block[at - 1] & 128:
                    break
        return value, at

    def string(at):
        size, at = integer(at, 7)
        return at + size

    at, kinds = 0, []
    while at < len(block):
        first = block[at]
        if first & 0x80:
            kinds.append("indexed")
            _, at = integer(at, 7)
            continue
        if first & 0xe0 == 0x20:
            kinds.append("size update")
            _, at = integer(at, 5)
            continue
        kinds.append("inserted" if first & 0x40 else "never" if first & 0x10 else "literal")
        index, at = integer(at, 6 if first & 0x40 else 4)
        at = string(at if index else string(at))
    return kinds


def header_blocks(peer):
    return [frame.data for frame in peer.frames_of(frames.HeadersFrame)]


def test_load_varies_metadata_and_inserts_it_as_grpc_go_does(loop):
    backend = Backend(loop, handler=echo_handler)
    code, _ = drive(loop, backend, "--requests", 40, "--vary-metadata")
    assert code == 0
    lists = [dict(stream.headers) for _, stream in backend.requests()]
    assert len(lists) == 40
    for fields in lists:
        assert re.fullmatch(r"9[5-9]\d{5}u|10[0-4]\d{5}u", fields["grpc-timeout"])
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", fields["traceparent"])
        assert re.fullmatch(r"Bearer [\w-]{54}", fields["authorization"])
    for name in ("grpc-timeout", "traceparent", "authorization"):
        assert len({fields[name] for fields in lists}) == 40
    blocks = [representations(block) for block in header_blocks(backend.connections[0])]
    # Everything but the two fields of the static table is inserted once, the varying ones in every request.
    assert blocks[0] == ["indexed"] * 2 + ["inserted"] * 8
    assert blocks[1] == ["indexed"] * 7 + ["inserted"] * 3
    # The table is small for that many inserts: the steady fields are pushed out and inserted again.
    assert {kind for block in blocks for kind in block} == {"indexed", "inserted"}
    assert any(block.count("inserted") > 3 for block in blocks[2:])


def test_load_sends_indexes_alone_when_nothing_varies(loop):
    backend = Backend(loop, handler=echo_handler)
    code, _ = drive(loop, backend, "--requests", 10)
    assert code == 0
    blocks = header_blocks(backend.connections[0])
    assert all(representations(block) == ["indexed"] * 7 for block in blocks[1:])
    assert all(len(block) == 7 for block in blocks[1:])


@pytest.mark.parametrize("size", [0, 100, 300, 1000])
def test_load_keeps_to_the_peers_header_table(loop, size):
    # h2 fails the connection when the announced table is exceeded or an index is wrong.
    backend = Backend(loop, later_settings={1: size}, handler=echo_handler)
    code, report = drive(loop, backend, "--requests", 60, "--vary-metadata", "--paths", 3)
    assert code == 0, report
    blocks = [representations(block) for block in header_blocks(backend.connections[0])]
    assert any("size update" in block for block in blocks)


def test_load_header_values_survive_any_byte_a_field_may_have(loop):
    backend = Backend(loop, handler=echo_handler)
    value = "".join(chr(code) for code in range(33, 127))
    code, _ = drive(loop, backend, "--requests", 2, "--header", f"x-all:{value}")
    assert code == 0
    assert [stream.header("x-all") for _, stream in backend.requests()] == [value, value]
    # A value that Huffman makes shorter goes that way, as the decoder of another project can tell.
    decoder = hpack.Decoder()
    fields = decoder.decode(header_blocks(backend.connections[0])[0])
    assert ("x-all", value) in fields


def test_load_ping_pong_waits_for_each_echo(loop):
    backend = Backend(loop)
    most = []

    def answer(peer, stream):
        if stream.headers and not getattr(stream, "answered", False):
            stream.answered = True
            peer.send_headers(stream)
        most.append(len(stream.data))
        if stream.data:
            payload = bytes(stream.data)
            stream.data.clear()
            peer.send_body(stream, payload)
        if stream.ended and not getattr(stream, "finished", False):
            stream.finished = True
            peer.send_body(stream, b"", trailers=[("grpc-status", "0")])

    backend.handler = answer
    code, report = drive(loop, backend, "--requests", 2, "--stream-messages", 5, "--message-bytes", 20)
    assert code == 0
    assert report["succeeded"] == 2
    assert max(most) == 25
    assert sum(most) == 2 * 5 * 25


def test_load_pipelined_streams_do_not_wait(loop):
    backend = Backend(loop)
    process = Process([str(BUILD / "ringway-load"), "--target", backend.address, "--path", PATH, "--requests", "1",
                       "--stream-messages", "6", "--pipelined", "--message-bytes", "1000"])
    peer, stream = backend.await_request(1, complete=True)
    assert len(stream.data) == 6 * 1005
    echo_handler(peer, stream)
    loop.until(lambda: not process.is_running(), "the end of the run")
    assert process.wait(10) == 0


@pytest.mark.parametrize("headers, trailers, kind", [
    ([(":status", "200")], [("other", "1")], "no grpc-status"),
    ([(":status", "503")], [("grpc-status", "0")], "http status 503"),
    ([(":status", "200")], [("grpc-status", "none")], "grpc-status is not a number"),
])
def test_load_judges_incomplete_answers(loop, headers, trailers, kind):
    def answer(peer, stream):
        if stream.ended and not stream.pending and not getattr(stream, "answered", False):
            stream.answered = True
            peer.send_headers(stream, headers)
            peer.send_body(stream, b"", trailers=trailers)

    backend = Backend(loop, handler=answer)
    code, report = drive(loop, backend, "--requests", 3)
    assert (code, report["errors"]) == (1, {kind: 3})


def test_load_counts_a_connection_that_breaks_and_goes_on(loop):
    backend = Backend(loop)

    def answer(peer, stream):
        if peer is backend.connections[0]:
            if not peer.closed and stream.ended:
                peer.abort()
        else:
            echo_handler(peer, stream)

    backend.handler = answer
    code, report = drive(loop, backend, "--requests", 10)
    assert code == 1
    assert report["errors"] == {"call lost with its connection": 1, "connection lost: connection reset by peer": 1}
    assert (report["requests"], report["succeeded"]) == (10, 9)


def test_load_moves_to_a_new_connection_after_goaway(loop):
    backend = Backend(loop)

    def answer(peer, stream):
        if not stream.ended or getattr(stream, "answered", False):
            return
        if peer is backend.connections[0] and stream.id == 3:
            # The first call was answered, the second is refused.
            stream.answered = True
            peer.goaway(1)
            return
        echo_handler(peer, stream)

    backend.handler = answer
    code, report = drive(loop, backend, "--requests", 10)
    assert code == 1
    assert report["errors"] == {"refused by GOAWAY": 1}
    assert (report["requests"], report["succeeded"]) == (10, 9)
    assert len(backend.connections) == 2


def test_load_does_not_record_the_warm_up(loop):
    backend = Backend(loop, handler=echo_handler)
    code, report = drive(loop, backend, "--rate", 200, "--warmup", "100ms", "--requests", 10)
    assert (code, report["requests"]) == (0, 10)
    assert len(backend.requests()) == 30
