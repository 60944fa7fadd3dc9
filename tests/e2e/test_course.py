"""What the gRPC course shows: one port over two servers, split call by call, and split by service."""

import collections

import grpc
import pcbook_pb2
import pcbook_pb2_grpc
import pytest
import yaml

from harness import ROOT

LIMIT_S = 20


def served_by(call):
    return dict(call.trailing_metadata())["x-served-by"]


def login(stub):
    request = pcbook_pb2.LoginRequest(username="admin1", password="secret")
    return served_by(stub.Login.with_call(request, timeout=LIMIT_S)[1])


def create(stub, number):
    request = pcbook_pb2.CreateLaptopRequest(laptop=pcbook_pb2.Laptop(id=f"laptop-{number}"))
    return served_by(stub.CreateLaptop.with_call(request, timeout=LIMIT_S)[1])


def search(stub):
    request = pcbook_pb2.SearchLaptopRequest(filter=pcbook_pb2.Filter(max_price_usd=1))
    call = stub.SearchLaptop(request, timeout=LIMIT_S)
    list(call)
    return served_by(call)


def upload(stub):
    requests = [pcbook_pb2.UploadImageRequest(info=pcbook_pb2.ImageInfo(laptop_id="x", image_type=".png")),
                pcbook_pb2.UploadImageRequest(chunk_data=b"picture")]
    response, call = stub.UploadImage.with_call(iter(requests), timeout=LIMIT_S)
    assert response.size == len(b"picture")
    return served_by(call)


def rate(stub):
    call = stub.RateLaptop(iter([pcbook_pb2.RateLaptopRequest(laptop_id="x", score=9)] * 2), timeout=LIMIT_S)
    assert [rating.rated_count for rating in call] == [1, 2]
    return served_by(call)


@pytest.fixture
def two_servers(grpc_server):
    return grpc_server(name="server1"), grpc_server(name="server2")


def test_login_and_three_creates_are_split_evenly(proxy, channel, two_servers):
    opened = channel(proxy(*two_servers).address)
    servers = [login(pcbook_pb2_grpc.AuthServiceStub(opened))]
    servers += [create(pcbook_pb2_grpc.LaptopServiceStub(opened), number) for number in range(3)]
    assert collections.Counter(servers) == {"server1": 2, "server2": 2}
    assert servers[0] != servers[1], "neighbouring calls of one connection go to different servers"


def test_hundred_calls_are_split_evenly(proxy, channel, two_servers):
    stub = pcbook_pb2_grpc.LaptopServiceStub(channel(proxy(*two_servers).address))
    servers = collections.Counter(create(stub, number) for number in range(100))
    assert servers == {"server1": 50, "server2": 50}


def test_every_kind_of_call_is_split(proxy, channel, two_servers):
    stub = pcbook_pb2_grpc.LaptopServiceStub(channel(proxy(*two_servers).address))
    for kind in (search, upload, rate):
        assert {kind(stub), kind(stub)} == {"server1", "server2"}


def test_weights_share_out_the_calls(proxy, channel, two_servers):
    heavy, light = two_servers
    started = proxy(f"{heavy.address},weight=3", f"{light.address},weight=1")
    stub = pcbook_pb2_grpc.LaptopServiceStub(channel(started.address))
    servers = collections.Counter(create(stub, number) for number in range(40))
    assert servers == {"server1": 30, "server2": 10}


@pytest.fixture
def routed(proxy, two_servers):
    """ringway with the routed example's configuration; only the addresses are this test's."""
    with open(ROOT / "configs" / "course-routed.yaml", encoding="utf-8") as file:
        config = yaml.safe_load(file)
    ports = {"127.0.0.1:50051": two_servers[0].address, "127.0.0.1:50052": two_servers[1].address}
    config["listeners"][0]["address"] = "127.0.0.1:0"
    for cluster in config["clusters"]:
        for endpoint in cluster["endpoints"]:
            endpoint["address"] = ports[endpoint["address"]]
    return proxy(config=config)


def test_services_are_routed_to_their_servers(routed, channel):
    opened = channel(routed.address)
    auth, laptops = pcbook_pb2_grpc.AuthServiceStub(opened), pcbook_pb2_grpc.LaptopServiceStub(opened)
    assert {login(auth) for _ in range(6)} == {"server1"}
    assert {create(laptops, number) for number in range(6)} == {"server2"}
    assert {kind(laptops) for kind in (search, upload, rate)} == {"server2"}


def test_routed_calls_are_logged_on_standard_output(routed, channel):
    login(pcbook_pb2_grpc.AuthServiceStub(channel(routed.address)))
    routed.await_line(routed.stdout, r'"POST /techschool_pcbook\.AuthService/Login HTTP/2\.0" 200 \d+ "-" "grpc-python/')


def test_path_without_route_is_unimplemented(routed, channel):
    call = channel(routed.address).unary_unary("/unknown.Service/Method")
    with pytest.raises(grpc.RpcError) as raised:
        call(b"", timeout=LIMIT_S)
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "no route" in raised.value.details()
