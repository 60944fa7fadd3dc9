// What every case of the client needs: the channel, promises over grpc-js's callbacks, and questions that end the case
// when answered wrong.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const grpc = require('@grpc/grpc-js');
const { loadServices } = require('./services.js');

const services = loadServices(path.join(__dirname, '..', 'protos'));
const CALL_LIMIT_MS = 30000;

// TLS where the environment names an authority, with a client certificate where it names one.
function credentials() {
  const read = (file) => (file ? fs.readFileSync(file) : null);
  const { E2E_TLS_CA: ca, E2E_TLS_CERT: certificate, E2E_TLS_KEY: key } = process.env;
  return ca ? grpc.credentials.createSsl(read(ca), read(key), read(certificate)) : grpc.credentials.createInsecure();
}

function limits(options) {
  return { deadline: Date.now() + CALL_LIMIT_MS, ...options };
}

function check(holds, what) {
  if (!holds) throw new Error(`it does not hold that ${what}`);
}

function checkEqual(got, expected, what) {
  if (got !== expected) throw new Error(`${what}: got ${String(got).slice(0, 300)}, expected ${String(expected).slice(0, 300)}`);
}

function checkStatus(error, code, message) {
  check(error, `the call fails with status ${code}`);
  checkEqual(error.code, code, `status code (message '${error.details}')`);
  if (message !== undefined) checkEqual(error.details, message, 'status message');
}

// A unary call on `stub`; resolves with the response and both kinds of metadata, rejects with the status.
function unary(stub, method, request, metadata = new grpc.Metadata(), options = {}) {
  return new Promise((resolve, reject) => {
    const result = {};
    const call = stub[method](request, metadata, limits(options), (error, response) => {
      if (error) reject(error);
      else result.response = response;
    });
    call.on('metadata', (initial) => { result.initial = initial; });
    call.on('status', (status) => {
      result.trailing = status.metadata;
      if (status.code === grpc.status.OK) resolve(result);
    });
  });
}

// The status error that `promise` is rejected with.
async function statusOf(promise) {
  try {
    await promise;
  } catch (error) {
    if (error.code === undefined) throw error;
    return error;
  }
  throw new Error('the call succeeded but an error status was expected');
}

// Collects a response stream to its end: the responses, the metadata and the status, whatever it is.
function collect(call) {
  return new Promise((resolve) => {
    const result = { responses: [] };
    call.on('metadata', (initial) => { result.initial = initial; });
    call.on('data', (response) => result.responses.push(response));
    call.on('error', () => {});
    call.on('status', (status) => resolve({ ...result, status }));
  });
}

// The next response of a stream; rejects when the stream ends instead.
function nextResponse(call) {
  return new Promise((resolve, reject) => {
    const settle = (action) => (value) => {
      call.off('data', onData);
      call.off('end', onEnd);
      call.off('error', onEnd);
      call.pause();
      action(value);
    };
    const onData = settle(resolve);
    const onEnd = settle((error) => reject(error || new Error('the stream ended before the response')));
    call.on('data', onData);
    call.on('end', onEnd);
    call.on('error', onEnd);
    call.resume();
  });
}

class Case {
  constructor(target) {
    this.target = target;
    this.stub = this.openStub(services.interop.Interop);
  }

  openStub(Service, options = {}) {
    return new Service(this.target, credentials(), {
      'grpc.max_receive_message_length': 32 << 20,
      'grpc.max_send_message_length': 32 << 20,
      'grpc.use_local_subchannel_pool': 1,
      ...options,
    });
  }

  newCallId() {
    return crypto.randomUUID();
  }

  // Polls Report until `condition` holds; fails with `what` after ten seconds.
  async awaitReport(callId, condition, what) {
    const limit = Date.now() + 10000;
    while (Date.now() < limit) {
      const { response } = await unary(this.stub, 'Report', { call_id: callId });
      if (condition(response)) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`within 10 s the server did not report that ${what}`);
  }
}

module.exports = { Case, check, checkEqual, checkStatus, collect, limits, nextResponse, services, statusOf, unary };
