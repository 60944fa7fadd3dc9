// The Node.js server of the end-to-end tests: both services on one port. It behaves as python/server.py does, in
// arguments, output and answers; only response compression is missing, which grpc-js does not have.
'use strict';

const fs = require('fs');
const path = require('path');
const grpc = require('@grpc/grpc-js');
const { loadServices } = require('./services.js');

const WAIT_LIMIT_MS = 20000;
const { interop, pcbook } = loadServices(path.join(__dirname, '..', 'protos'));
const name = process.argv[2];
const records = new Map();
const meetings = new Map();

function recordOf(callId) {
  if (!records.has(callId)) {
    records.set(callId, { started: false, cancelled: false, received_messages: 0 });
  }
  return records.get(callId);
}

// Initial metadata is sent only when asked for, so that an error without it is Trailers-Only.
function echoMetadata(call) {
  const trailing = new grpc.Metadata();
  const initial = new grpc.Metadata();
  let hasInitial = false;
  for (const key of Object.keys(call.metadata.getMap())) {
    for (const value of call.metadata.get(key)) {
      if (key.startsWith('x-e2e-trailing')) trailing.add(key, value);
      if (key.startsWith('x-e2e-initial')) {
        initial.add(key, value);
        hasInitial = true;
      }
    }
  }
  if (hasInitial) call.sendMetadata(initial);
  trailing.add('x-served-by', name);
  return trailing;
}

function receivedMetadata(call) {
  const entries = [];
  for (const key of Object.keys(call.metadata.getMap())) {
    if (!key.startsWith('x-e2e-')) continue;
    for (const value of call.metadata.get(key)) entries.push({ key, value: Buffer.from(value) });
  }
  return entries;
}

function remainingMs(call) {
  const deadline = call.getDeadline();
  if (deadline === Infinity) return -1;
  return Math.trunc((deadline instanceof Date ? deadline.getTime() : deadline) - Date.now());
}

function responseTo(call, request, receivedBytes, receivedMessages) {
  return {
    body: request.response_bytes === 0 ? request.body : Buffer.alloc(request.response_bytes),
    remaining_ms: remainingMs(call),
    metadata: receivedMetadata(call),
    received_bytes: receivedBytes,
    received_messages: receivedMessages,
  };
}

function endError(request, trailing) {
  return { code: request.end.code, details: request.end.message, metadata: trailing };
}

const endsWithError = (request) => Boolean(request.end && request.end.code !== 0);

// Follows one call to its end: a call that ends before its method is done was cancelled.
function watch(call) {
  const state = { record: null, done: false, onCancel: [] };
  call.on('cancelled', () => {
    if (state.record && !state.done) state.record.cancelled = true;
    for (const callback of state.onCancel) callback();
  });
  state.begin = (request) => {
    if (!request.call_id) return;
    state.record = recordOf(request.call_id);
    state.record.started = true;
    state.record.received_messages += 1;
    if (call.cancelled) state.record.cancelled = true;
  };
  state.countMessage = () => {
    if (state.record) state.record.received_messages += 1;
  };
  state.cancellation = () => new Promise((resolve) => {
    if (call.cancelled) resolve();
    state.onCancel.push(resolve);
    setTimeout(resolve, WAIT_LIMIT_MS).unref();
  });
  return state;
}

function attend(meeting) {
  if (!meetings.has(meeting.name)) meetings.set(meeting.name, []);
  const waiting = meetings.get(meeting.name);
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length >= meeting.callers) for (const release of waiting) release();
  });
}

const pause = (ms) => (ms ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve());

async function unary(call, callback) {
  const state = watch(call);
  const trailing = echoMetadata(call);
  const request = call.request;
  state.begin(request);
  if (request.wait_for_cancel) await state.cancellation();
  if (request.meeting) await attend(request.meeting);
  if (endsWithError(request)) {
    callback(endError(request, trailing));
    return;
  }
  await pause(request.sleep_ms);
  state.done = !call.cancelled;
  callback(null, responseTo(call, request, request.body.length, 1), trailing);
}

async function serverStream(call) {
  const state = watch(call);
  const trailing = echoMetadata(call);
  const request = call.request;
  state.begin(request);
  for (let i = 0; i < request.response_count; i += 1) {
    await pause(request.sleep_ms);
    if (call.cancelled) return;
    if (!call.write(responseTo(call, request, request.body.length, 1))) {
      await Promise.race([new Promise((resolve) => call.once('drain', resolve)), state.cancellation()]);
    }
  }
  if (request.wait_after_responses) await state.cancellation();
  if (call.cancelled) return;
  state.done = true;
  if (endsWithError(request)) call.emit('error', endError(request, trailing));
  else call.end(trailing);
}

function clientStream(call, callback) {
  const state = watch(call);
  const trailing = echoMetadata(call);
  let receivedBytes = 0;
  let receivedMessages = 0;
  let answered = false;
  let last = { body: Buffer.alloc(0), response_bytes: 0, sleep_ms: 0 };
  const answer = async () => {
    if (answered) return;
    answered = true;
    if (endsWithError(last)) {
      callback(endError(last, trailing));
      return;
    }
    await pause(last.sleep_ms);
    state.done = !call.cancelled;
    callback(null, responseTo(call, last, receivedBytes, receivedMessages), trailing);
  };
  call.on('data', (request) => {
    if (answered) return;
    if (receivedMessages === 0) state.begin(request);
    else state.countMessage();
    receivedBytes += request.body.length;
    receivedMessages += 1;
    last = request;
    if (request.answer_after === receivedMessages) answer();
  });
  call.on('end', async () => {
    // A cancellation may look like a half-close at first.
    if (last.wait_for_cancel) await state.cancellation();
    if (!call.cancelled) answer();
  });
}

function bidiStream(call) {
  const state = watch(call);
  const trailing = echoMetadata(call);
  const kept = [];
  let receivedBytes = 0;
  let receivedMessages = 0;
  let last = null;
  call.on('data', (request) => {
    if (receivedMessages === 0) state.begin(request);
    else state.countMessage();
    receivedBytes += request.body.length;
    receivedMessages += 1;
    last = request;
    if (request.answer_after_half_close) {
      kept.push(request);
      return;
    }
    if (!call.write(responseTo(call, request, receivedBytes, receivedMessages))) {
      call.pause();
      call.once('drain', () => call.resume());
    }
  });
  call.on('end', () => {
    if (call.cancelled) return;
    for (const request of kept) call.write(responseTo(call, request, receivedBytes, receivedMessages));
    state.done = true;
    if (last && endsWithError(last)) call.emit('error', endError(last, trailing));
    else call.end(trailing);
  });
}

const report = (call, callback) => callback(null, recordOf(call.request.call_id));

function served() {
  const trailing = new grpc.Metadata();
  trailing.add('x-served-by', name);
  return trailing;
}

const laptops = new Map();

function login(call, callback) {
  if (call.request.password !== 'secret') {
    callback({ code: grpc.status.NOT_FOUND, details: 'incorrect username/password', metadata: served() });
    return;
  }
  callback(null, { access_token: `token-of-${call.request.username}` }, served());
}

function createLaptop(call, callback) {
  const { laptop } = call.request;
  if (laptops.has(laptop.id)) {
    callback({ code: grpc.status.ALREADY_EXISTS, details: `laptop ${laptop.id} already exists`, metadata: served() });
    return;
  }
  laptops.set(laptop.id, laptop);
  callback(null, { id: laptop.id }, served());
}

function searchLaptop(call) {
  const { filter } = call.request;
  for (const laptop of laptops.values()) {
    if (laptop.price_usd <= filter.max_price_usd && laptop.cpu_cores >= filter.min_cpu_cores) call.write({ laptop });
  }
  call.end(served());
}

function uploadImage(call, callback) {
  let info = null;
  let size = 0;
  call.on('data', (request) => {
    if (request.info) info = request.info;
    else size += request.chunk_data.length;
  });
  call.on('end', () => callback(null, { id: `${info.laptop_id}${info.image_type}`, size }, served()));
}

function rateLaptop(call) {
  const scores = new Map();
  call.on('data', ({ laptop_id: laptopId, score }) => {
    const rated = scores.get(laptopId) || { count: 0, sum: 0 };
    rated.count += 1;
    rated.sum += score;
    scores.set(laptopId, rated);
    call.write({ laptop_id: laptopId, rated_count: rated.count, average_score: rated.sum / rated.count });
  });
  call.on('end', () => call.end(served()));
}

const server = new grpc.Server({
  'grpc.max_receive_message_length': 32 << 20,
  'grpc.max_send_message_length': 32 << 20,
});
server.addService(interop.Interop.service, {
  Unary: unary, ServerStream: serverStream, ClientStream: clientStream, BidiStream: bidiStream, Report: report,
});
server.addService(pcbook.AuthService.service, { Login: login });
server.addService(pcbook.LaptopService.service, {
  CreateLaptop: createLaptop, SearchLaptop: searchLaptop, UploadImage: uploadImage, RateLaptop: rateLaptop,
});

// TLS where the environment names a certificate; clients need one where it names an authority for them.
function credentials() {
  const { E2E_TLS_CERT: certificate, E2E_TLS_KEY: key, E2E_TLS_CLIENT_CA: clientCa } = process.env;
  if (!certificate) return grpc.ServerCredentials.createInsecure();
  const pair = { cert_chain: fs.readFileSync(certificate), private_key: fs.readFileSync(key) };
  return grpc.ServerCredentials.createSsl(clientCa ? fs.readFileSync(clientCa) : null, [pair], Boolean(clientCa));
}

server.bindAsync(`127.0.0.1:${process.argv[3] || 0}`, credentials(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`listening ${port}\n`);
});
