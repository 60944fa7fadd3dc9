// Unary calls: sizes, statuses, deadlines, cancellation, concurrency, compression, keepalive.
'use strict';

const grpc = require('@grpc/grpc-js');
const { check, checkEqual, checkStatus, limits, services, statusOf, unary } = require('./check.js');

const MEGABYTES_10 = 10 * 1000 * 1000;
const UTF8_MESSAGE = 'Schlüssel №%41 – 50 % ✓ 鍵';

function pattern(size) {
  const body = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i += 1) body[i] = i % 251;
  return body;
}

async function emptyUnary({ stub }) {
  const { response } = await unary(stub, 'Unary', {});
  checkEqual(response.received_bytes, 0, 'bytes that the server received');
  checkEqual(response.body.length, 0, 'size of the body');
}

async function plainUnary({ stub }) {
  const body = pattern(1024);
  check((await unary(stub, 'Unary', { body })).response.body.equals(body), 'the body comes back');
  const sized = await unary(stub, 'Unary', { body, response_bytes: 100000 });
  checkEqual(sized.response.body.length, 100000, 'size of the body asked for');
}

async function largeUnary({ stub }) {
  const body = pattern(MEGABYTES_10);
  const { response } = await unary(stub, 'Unary', { body });
  checkEqual(response.received_bytes, MEGABYTES_10, 'bytes that the server received');
  check(response.body.equals(body), '10 MB come back unchanged');
}

async function statusCodes({ stub }) {
  for (let code = 0; code <= 16; code += 1) {
    const message = `${UTF8_MESSAGE} ${code}`;
    const call = unary(stub, 'Unary', { end: { code, message } });
    if (code === 0) await call;
    else checkStatus(await statusOf(call), code, message);
  }
}

async function trailersOnly({ stub }) {
  const metadata = new grpc.Metadata();
  const detail = Buffer.from([0, 1, 0xfe, 0xff]);
  metadata.add('x-e2e-trailing-reason', 'gone');
  metadata.add('x-e2e-trailing-detail-bin', detail);
  const error = await statusOf(unary(stub, 'Unary', { end: { code: 5, message: 'not here' } }, metadata));
  checkStatus(error, grpc.status.NOT_FOUND, 'not here');
  checkEqual(error.metadata.get('x-e2e-trailing-reason')[0], 'gone', 'trailing metadata');
  check(detail.equals(error.metadata.get('x-e2e-trailing-detail-bin')[0]), 'the trailing binary metadata arrives');
}

async function deadlineSeenByServer({ stub }) {
  const limited = await unary(stub, 'Unary', {}, new grpc.Metadata(), { deadline: Date.now() + 20000 });
  const remainingMs = limited.response.remaining_ms;
  // Stacks send a time-out of few digits, which some of them round up.
  check(remainingMs > 10000 && remainingMs <= 20500, `about 20 s remain at the server, which says ${remainingMs} ms`);
  const unlimited = await unary(stub, 'Unary', {}, new grpc.Metadata(), { deadline: Infinity });
  checkEqual(unlimited.response.remaining_ms, -1, 'time remaining without a deadline');
}

async function deadlineExceeded(testCase) {
  const callId = testCase.newCallId();
  const begin = Date.now();
  const request = { call_id: callId, wait_for_cancel: true };
  const call = unary(testCase.stub, 'Unary', request, new grpc.Metadata(), { deadline: begin + 300 });
  checkStatus(await statusOf(call), grpc.status.DEADLINE_EXCEEDED);
  const elapsedMs = Date.now() - begin;
  check(elapsedMs > 250 && elapsedMs < 5000, `a call with a deadline of 300 ms ends then, not after ${elapsedMs} ms`);
  await testCase.awaitReport(callId, (report) => report.cancelled, 'the call past its deadline was cancelled');
}

async function cancelBeforeResponse(testCase) {
  const callId = testCase.newCallId();
  let call = null;
  const ended = new Promise((resolve) => {
    call = testCase.stub.Unary({ call_id: callId, wait_for_cancel: true }, new grpc.Metadata(), limits({}), resolve);
  });
  await testCase.awaitReport(callId, (report) => report.started, 'the call had started');
  call.cancel();
  checkStatus(await ended, grpc.status.CANCELLED);
  await testCase.awaitReport(callId, (report) => report.cancelled, 'the call was cancelled');
}

async function unimplementedMethod({ stub }) {
  checkStatus(await statusOf(unary(stub, 'NeverImplemented', {})), grpc.status.UNIMPLEMENTED);
}

async function unimplementedService(testCase) {
  const stub = testCase.openStub(services.interop.Unregistered);
  checkStatus(await statusOf(unary(stub, 'Unary', {})), grpc.status.UNIMPLEMENTED);
  stub.close();
}

async function concurrent100(testCase) {
  const meeting = { name: testCase.newCallId(), callers: 100 };
  const calls = Array.from({ length: 100 }, (_, i) => unary(testCase.stub, 'Unary', { body: Buffer.from(`${i}`), meeting }));
  const results = await Promise.all(calls);
  results.forEach(({ response }, i) => checkEqual(response.body.toString(), `${i}`, `body of call ${i}`));
}

async function compressedRequest(testCase) {
  const stub = testCase.openStub(services.interop.Interop, { 'grpc.default_compression_algorithm': 2 });
  const body = Buffer.from('compressible '.repeat(50000));
  const { response } = await unary(stub, 'Unary', { body, response_bytes: 1 });
  checkEqual(response.received_bytes, body.length, 'bytes that the server unpacked');
  stub.close();
}

async function compressedResponse({ stub }) {
  const { response } = await unary(stub, 'Unary', { response_bytes: 1000000, compress_response: true });
  check(response.body.equals(Buffer.alloc(1000000)), '1 MB of zeros comes back');
}

// A call without data outlasts several pings, none of which may end the connection.
async function keepalivePings(testCase) {
  const stub = testCase.openStub(services.interop.Interop, {
    'grpc.keepalive_time_ms': 150, 'grpc.keepalive_timeout_ms': 5000, 'grpc.keepalive_permit_without_calls': 1,
  });
  const { response } = await unary(stub, 'Unary', { body: Buffer.from('still here'), sleep_ms: 1000 });
  checkEqual(response.body.toString(), 'still here', 'body after several pings');
  stub.close();
}

module.exports = {
  empty_unary: emptyUnary,
  unary: plainUnary,
  large_unary: largeUnary,
  status_codes: statusCodes,
  trailers_only: trailersOnly,
  deadline_seen_by_server: deadlineSeenByServer,
  deadline_exceeded: deadlineExceeded,
  cancel_before_response: cancelBeforeResponse,
  unimplemented_method: unimplementedMethod,
  unimplemented_service: unimplementedService,
  concurrent_100: concurrent100,
  compressed_request: compressedRequest,
  compressed_response: compressedResponse,
  keepalive_pings: keepalivePings,
};
