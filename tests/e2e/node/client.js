// The Node.js client of the end-to-end tests: runs every case against the address given as its one argument. It prints a
// line per case, "ok NAME" or "not ok NAME: why", and ends with code 0 once all have run.
'use strict';

const { Case } = require('./check.js');

async function main() {
  const testCase = new Case(process.argv[2]);
  const modules = ['./unary_cases.js', './streaming_cases.js', './metadata_cases.js', './course_cases.js'];
  for (const cases of modules.map((file) => require(file))) {
    for (const [name, run] of Object.entries(cases)) {
      let line = `ok ${name}`;
      try {
        await run(testCase);
      } catch (error) {
        line = `not ok ${name}: ${error.message.replace(/\s+/g, ' ')}`;
      }
      process.stdout.write(`${line}\n`);
    }
  }
}

main().then(() => process.exit(0));
