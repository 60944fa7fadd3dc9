"""The course's calls: login, then one method of each kind on laptops."""

import uuid

import grpc

import pcbook_pb2
import pcbook_pb2_grpc
from checks import check_equal, check_status, status_of

CALL_LIMIT_S = 30


def course_login(case):
    stub = pcbook_pb2_grpc.AuthServiceStub(case.channel)
    response = stub.Login(pcbook_pb2.LoginRequest(username="admin1", password="secret"), timeout=CALL_LIMIT_S)
    check_equal(response.access_token, "token-of-admin1", "access token")
    wrong = pcbook_pb2.LoginRequest(username="admin1", password="wrong")
    error = status_of(lambda: stub.Login(wrong, timeout=CALL_LIMIT_S))
    check_status(error, grpc.StatusCode.NOT_FOUND, "incorrect username/password")


def course_laptops(case):
    stub = pcbook_pb2_grpc.LaptopServiceStub(case.channel)
    brand = uuid.uuid4().hex
    laptops = [pcbook_pb2.Laptop(id=f"{brand}-{i}", brand=brand, cpu_cores=2 + i, price_usd=1000 + 500 * i)
               for i in range(4)]
    for laptop in laptops:
        response = stub.CreateLaptop(pcbook_pb2.CreateLaptopRequest(laptop=laptop), timeout=CALL_LIMIT_S)
        check_equal(response.id, laptop.id, "id of the laptop created")
    again = pcbook_pb2.CreateLaptopRequest(laptop=laptops[0])
    check_status(status_of(lambda: stub.CreateLaptop(again, timeout=CALL_LIMIT_S)), grpc.StatusCode.ALREADY_EXISTS)

    search = pcbook_pb2.SearchLaptopRequest(filter=pcbook_pb2.Filter(max_price_usd=2000, min_cpu_cores=3))
    found = {response.laptop.id for response in stub.SearchLaptop(search, timeout=CALL_LIMIT_S)
             if response.laptop.brand == brand}
    check_equal(found, {laptops[1].id, laptops[2].id}, "laptops found")

    info = pcbook_pb2.ImageInfo(laptop_id=laptops[0].id, image_type=".jpg")
    upload = [pcbook_pb2.UploadImageRequest(info=info)]
    upload += [pcbook_pb2.UploadImageRequest(chunk_data=bytes(1024))] * 100
    response = stub.UploadImage(iter(upload), timeout=CALL_LIMIT_S)
    check_equal((response.id, response.size), (f"{laptops[0].id}.jpg", 102_400), "image stored")

    rates = [pcbook_pb2.RateLaptopRequest(laptop_id=laptops[0].id, score=score) for score in (8, 7.5, 10)]
    ratings = [(rating.rated_count, rating.average_score) for rating in stub.RateLaptop(iter(rates), timeout=CALL_LIMIT_S)]
    check_equal(ratings, [(1, 8), (2, 7.75), (3, 8.5)], "ratings")


CASES = {function.__name__: function for function in (course_login, course_laptops)}
