// The course's calls: login, then one method of each kind on laptops.
'use strict';

const grpc = require('@grpc/grpc-js');
const { checkEqual, checkStatus, collect, limits, nextResponse, services, statusOf, unary } = require('./check.js');

async function courseLogin(testCase) {
  const stub = testCase.openStub(services.pcbook.AuthService);
  const { response } = await unary(stub, 'Login', { username: 'admin1', password: 'secret' });
  checkEqual(response.access_token, 'token-of-admin1', 'access token');
  const error = await statusOf(unary(stub, 'Login', { username: 'admin1', password: 'wrong' }));
  checkStatus(error, grpc.status.NOT_FOUND, 'incorrect username/password');
  stub.close();
}

async function search(stub, brand) {
  const call = stub.SearchLaptop({ filter: { max_price_usd: 2000, min_cpu_cores: 3 } }, new grpc.Metadata(), limits({}));
  const { responses, status } = await collect(call);
  checkEqual(status.code, grpc.status.OK, 'status of the search');
  const found = responses.filter(({ laptop }) => laptop.brand === brand).map(({ laptop }) => laptop.id);
  checkEqual(found.sort().join(), [`${brand}-1`, `${brand}-2`].join(), 'laptops found');
}

async function upload(stub, laptopId) {
  const response = await new Promise((resolve, reject) => {
    const call = stub.UploadImage(new grpc.Metadata(), limits({}), (error, answer) => (error ? reject(error) : resolve(answer)));
    call.write({ info: { laptop_id: laptopId, image_type: '.jpg' } });
    for (let i = 0; i < 100; i += 1) call.write({ chunk_data: Buffer.alloc(1024) });
    call.end();
  });
  checkEqual(response.id, `${laptopId}.jpg`, 'id of the image');
  checkEqual(response.size, 102400, 'size of the image');
}

async function rate(stub, laptopId) {
  const call = stub.RateLaptop(new grpc.Metadata(), limits({}));
  const averages = [];
  for (const score of [8, 7.5, 10]) {
    call.write({ laptop_id: laptopId, score });
    averages.push((await nextResponse(call)).average_score);
  }
  call.end();
  checkEqual((await collect(call)).status.code, grpc.status.OK, 'status of the rating');
  checkEqual(averages.join(), '8,7.75,8.5', 'average scores');
}

async function courseLaptops(testCase) {
  const stub = testCase.openStub(services.pcbook.LaptopService);
  const brand = testCase.newCallId();
  for (let i = 0; i < 4; i += 1) {
    const laptop = { id: `${brand}-${i}`, brand, cpu_cores: 2 + i, price_usd: 1000 + 500 * i };
    checkEqual((await unary(stub, 'CreateLaptop', { laptop })).response.id, laptop.id, 'id of the laptop created');
  }
  const again = unary(stub, 'CreateLaptop', { laptop: { id: `${brand}-0` } });
  checkStatus(await statusOf(again), grpc.status.ALREADY_EXISTS);
  await search(stub, brand);
  await upload(stub, `${brand}-0`);
  await rate(stub, `${brand}-0`);
  stub.close();
}

module.exports = { course_login: courseLogin, course_laptops: courseLaptops };
