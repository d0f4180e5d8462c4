// A jest reporter: one JSON line for each test file as it begins and as it ends, so that a run which
// is ended from outside still tells what it did. The file to append to is in MILLRACE_SUITE_REPORT.
const { appendFileSync } = require('node:fs');

module.exports = class SuiteReporter {
  onTestFileStart({ path }) {
    this.#write({ event: 'started', path });
  }

  onTestFileResult({ path }, result) {
    const { numFailingTests, numPassingTests, numPendingTests, perfStats, testExecError } = result;
    this.#write({
      event: 'ended',
      path,
      passed: numPassingTests,
      // A file that could not be loaded, or whose process died, has run no test: that is one failure.
      failed: numFailingTests + (testExecError ? 1 : 0),
      skipped: numPendingTests,
      tookMs: perfStats.end - perfStats.start,
    });
  }

  onRunComplete() {
    this.#write({ event: 'complete' });
  }

  #write(line) {
    appendFileSync(process.env.MILLRACE_SUITE_REPORT, `${JSON.stringify(line)}\n`);
  }
};
