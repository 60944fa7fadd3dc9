// Loads the test services from the .proto files that all stacks share.
'use strict';

const path = require('path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

function loadServices(directory) {
  const files = ['interop.proto', 'pcbook.proto'].map((file) => path.join(directory, file));
  const definition = protoLoader.loadSync(files, { keepCase: true, longs: Number, defaults: true, oneofs: true });
  const root = grpc.loadPackageDefinition(definition);
  return { interop: root.ringway.e2e, pcbook: root.techschool_pcbook };
}

module.exports = { loadServices };
