// Metadata: text and binary, repeated, empty and large, in requests, initial responses and trailers.
'use strict';

const grpc = require('@grpc/grpc-js');
const { checkEqual, collect, limits, nextResponse, unary } = require('./check.js');

// All values of `key` in one comparable text: binary ones in hex, text ones joined, as HTTP allows on the way.
function comparable(key, values) {
  if (!key.endsWith('-bin')) return values.map((value) => value.toString()).join(', ');
  return values.map((value) => Buffer.from(value).toString('hex')).join('|');
}

// Each of `values` travels under each key in the request, back in the initial metadata and back in the trailing metadata.
async function checkRoundTrip({ stub }, suffixes, values) {
  const metadata = new grpc.Metadata();
  for (const suffix of suffixes) {
    for (const value of values) {
      metadata.add(`x-e2e-initial${suffix}`, value);
      metadata.add(`x-e2e-trailing${suffix}`, value);
    }
  }
  const { response, initial, trailing } = await unary(stub, 'Unary', {}, metadata);
  for (const suffix of suffixes) {
    const expected = comparable(suffix, values);
    const key = `x-e2e-initial${suffix}`;
    const seen = response.metadata.filter((entry) => entry.key === key).map((entry) => entry.value);
    checkEqual(comparable(suffix, seen), expected, `request metadata ${key}`);
    checkEqual(comparable(suffix, initial.get(key)), expected, `initial metadata ${key}`);
    checkEqual(comparable(suffix, trailing.get(`x-e2e-trailing${suffix}`)), expected, `trailing metadata ${suffix}`);
  }
}

async function metadataText(testCase) {
  await checkRoundTrip(testCase, [''], ['plain text, with a comma']);
}

async function metadataBinary(testCase) {
  await checkRoundTrip(testCase, ['-bin'], [Buffer.from(Array.from({ length: 256 }, (_, i) => i))]);
}

async function metadataRepeated(testCase) {
  await checkRoundTrip(testCase, ['-many-bin'], [Buffer.from('\0first'), Buffer.from([0xff, 1]), Buffer.from('third')]);
  await checkRoundTrip(testCase, ['-many'], ['first', 'second']);
}

async function metadataEmpty(testCase) {
  await checkRoundTrip(testCase, ['-none'], ['']);
  await checkRoundTrip(testCase, ['-none-bin'], [Buffer.alloc(0)]);
}

async function metadata4k(testCase) {
  await checkRoundTrip(testCase, ['-big-bin'], [Buffer.alloc(3072, 0xa5)]);
  await checkRoundTrip(testCase, ['-big'], ['v'.repeat(4096)]);
}

// Some 32 KiB each way: more than one frame's worth, less than every limit on the way.
async function metadataLarge(testCase) {
  for (const letter of ['a', 'b']) await checkRoundTrip(testCase, ['-0', '-1', '-2', '-3'], [letter.repeat(4000)]);
}

async function metadataOnStreams({ stub }) {
  const metadata = new grpc.Metadata();
  metadata.add('x-e2e-initial-bin', Buffer.from([1]));
  metadata.add('x-e2e-trailing-bin', Buffer.from([2]));
  metadata.add('x-e2e-trailing-bin', Buffer.alloc(0));
  const call = stub.BidiStream(metadata, limits({}));
  let initial = null;
  call.on('metadata', (received) => { initial = received; });
  for (let i = 0; i < 3; i += 1) {
    call.write({});
    await nextResponse(call);
  }
  call.end();
  const { status } = await collect(call);
  checkEqual(status.code, grpc.status.OK, 'status');
  checkEqual(comparable('-bin', initial.get('x-e2e-initial-bin')), '01', 'initial metadata');
  checkEqual(comparable('-bin', status.metadata.get('x-e2e-trailing-bin')), '02|', 'trailing metadata');
}

module.exports = {
  metadata_text: metadataText,
  metadata_binary: metadataBinary,
  metadata_repeated: metadataRepeated,
  metadata_empty: metadataEmpty,
  metadata_4k: metadata4k,
  metadata_large: metadataLarge,
  metadata_on_streams: metadataOnStreams,
};
