// The three streaming kinds: order, size, half-close, early answers, statuses, deadlines and cancellation.
'use strict';

const grpc = require('@grpc/grpc-js');
const { check, checkEqual, checkStatus, collect, limits, nextResponse } = require('./check.js');

const MEGABYTES_10 = 10 * 1000 * 1000;

function openBidi({ stub }, metadata = new grpc.Metadata()) {
  return stub.BidiStream(metadata, limits({}));
}

// A client stream with its result: `result` resolves with {error, response}.
function openClientStream({ stub }) {
  let call = null;
  const result = new Promise((resolve) => {
    call = stub.ClientStream(new grpc.Metadata(), limits({}), (error, response) => resolve({ error, response }));
  });
  call.on('error', () => {});
  return { call, result };
}

async function serverStream({ stub }) {
  for (const count of [50, 0]) {
    const request = { body: Buffer.from('again'), response_count: count };
    const { responses, status } = await collect(stub.ServerStream(request, new grpc.Metadata(), limits({})));
    checkEqual(status.code, grpc.status.OK, 'status');
    checkEqual(responses.length, count, 'responses');
    check(responses.every(({ body }) => body.toString() === 'again'), 'the bodies are as asked for');
  }
}

async function clientStream(testCase) {
  const sizes = [0, 1, 8, 27182, 1828, 45904];
  const { call, result } = openClientStream(testCase);
  for (const size of sizes) call.write({ body: Buffer.alloc(size) });
  call.end();
  const { error, response } = await result;
  if (error) throw error;
  checkEqual(response.received_messages, sizes.length, 'messages that the server received');
  checkEqual(response.received_bytes, sizes.reduce((a, b) => a + b), 'bytes that the server received');
}

// Each response is awaited before the next request, so a proxy that gathers messages would hang here.
async function bidiStream(testCase) {
  const call = openBidi(testCase);
  for (const size of [31415, 9, 2653, 58979, 0, 1]) {
    const body = Buffer.alloc(size, size % 251);
    call.write({ body });
    const response = await nextResponse(call);
    check(response.body.equals(body), `the response of ${size} bytes equals the request`);
  }
  call.end();
  const { responses, status } = await collect(call);
  checkEqual(responses.length, 0, 'responses after the last one');
  checkEqual(status.code, grpc.status.OK, 'status');
}

async function emptyStream(testCase) {
  const call = openBidi(testCase);
  call.end();
  const { responses, status } = await collect(call);
  checkEqual(responses.length, 0, 'responses to an empty stream');
  checkEqual(status.code, grpc.status.OK, 'status');
}

async function largeStreamMessages(testCase) {
  const call = openBidi(testCase);
  for (const letter of ['a', 'b']) {
    const body = Buffer.alloc(MEGABYTES_10, letter);
    call.write({ body });
    const response = await nextResponse(call);
    check(response.body.equals(body), '10 MB come back unchanged');
  }
  call.end();
  checkEqual((await collect(call)).status.code, grpc.status.OK, 'status');
}

async function halfClose(testCase) {
  const call = openBidi(testCase);
  for (let i = 0; i < 20; i += 1) call.write({ body: Buffer.from(`${i}`), answer_after_half_close: true });
  call.end();
  const { responses, status } = await collect(call);
  checkEqual(status.code, grpc.status.OK, 'status');
  const expected = Array.from({ length: 20 }, (_, i) => `${i}`).join();
  checkEqual(responses.map(({ body }) => body.toString()).join(), expected, "bodies sent after the client's half-close");
}

// The server answers after two messages while the client goes on writing.
async function earlyResponse(testCase) {
  const { call, result } = openClientStream(testCase);
  for (let i = 0; i < 200; i += 1) call.write({ body: Buffer.alloc(10000), answer_after: 2 });
  const { error, response } = await result;
  if (error) throw error;
  call.end();
  checkEqual(response.received_messages, 2, 'messages that the server had read');
}

async function statusAfterStream({ stub }) {
  const metadata = new grpc.Metadata();
  metadata.add('x-e2e-trailing-bin', Buffer.from('late'));
  const request = { body: Buffer.from('x'), response_count: 3, end: { code: 10, message: 'späte Absage' } };
  const { responses, status } = await collect(stub.ServerStream(request, metadata, limits({})));
  checkStatus(status, grpc.status.ABORTED, 'späte Absage');
  checkEqual(responses.length, 3, 'responses before the status');
  checkEqual(String(status.metadata.get('x-e2e-trailing-bin')[0]), 'late', 'trailing metadata');
}

function streamThatWaits(testCase) {
  return { call_id: testCase.newCallId(), body: Buffer.from('x'), response_count: 3, wait_after_responses: true };
}

async function deadlineExceededOnStream(testCase) {
  const request = streamThatWaits(testCase);
  const call = testCase.stub.ServerStream(request, new grpc.Metadata(), { deadline: Date.now() + 500 });
  const { responses, status } = await collect(call);
  checkStatus(status, grpc.status.DEADLINE_EXCEEDED);
  checkEqual(responses.length, 3, 'responses before the deadline');
  await testCase.awaitReport(request.call_id, (report) => report.cancelled, 'the stream past its deadline was cancelled');
}

async function cancelDuringStream(testCase) {
  const request = streamThatWaits(testCase);
  const call = testCase.stub.ServerStream(request, new grpc.Metadata(), limits({}));
  for (let i = 0; i < 3; i += 1) await nextResponse(call);
  const ended = collect(call);
  call.cancel();
  checkStatus((await ended).status, grpc.status.CANCELLED);
  await testCase.awaitReport(request.call_id, (report) => report.cancelled, 'the stream was cancelled');
}

async function cancelDuringUpload(testCase) {
  const callId = testCase.newCallId();
  const { call, result } = openClientStream(testCase);
  for (let i = 0; i < 2; i += 1) call.write({ call_id: callId, body: Buffer.from('x'), wait_for_cancel: true });
  await testCase.awaitReport(callId, (report) => report.received_messages === 2, 'both messages had arrived');
  call.cancel();
  checkStatus((await result).error, grpc.status.CANCELLED);
  await testCase.awaitReport(callId, (report) => report.cancelled, 'the upload was cancelled');
}

module.exports = {
  server_stream: serverStream,
  client_stream: clientStream,
  bidi_stream: bidiStream,
  empty_stream: emptyStream,
  large_stream_messages: largeStreamMessages,
  half_close: halfClose,
  early_response: earlyResponse,
  status_after_stream: statusAfterStream,
  deadline_exceeded_on_stream: deadlineExceededOnStream,
  cancel_during_stream: cancelDuringStream,
  cancel_during_upload: cancelDuringUpload,
};
