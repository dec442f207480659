// For suites written in JavaScript: each check is an async function, run in the order of the file, that passes if it does not throw.
const { execFileSync } = require("node:child_process");
const path = require("node:path");

const checks = [];

// A check that cannot run here throws this, with the reason.
class Skip extends Error {}

const check = (name, run) => checks.push([name, run]);

const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

// Waits until a condition holds.
async function until(what, holds, waitMs = 30000) {
  for (const deadline = Date.now() + waitMs; !(await holds()); await sleep(20)) {
    if (Date.now() > deadline) throw new Error(`not after ${waitMs} ms: ${what}`);
  }
}

// Ends the harness's broker as a crash would and starts it again.
function killBroker() {
  const script = path.join(__dirname, "broker.py");
  for (const action of ["kill", "start"]) execFileSync("python3", [script, action, process.env.BROKER_HOME]);
}

function needsBroker() {
  if (!process.env.BROKER_HOME) throw new Skip("only a broker of the harness can be killed");
}

// Runs every check and prints its verdict; a check that fails does not stop the next.
async function runAll() {
  for (const [name, run] of checks) {
    const started = Date.now();
    try {
      await run();
      console.log(`PASS ${name}`);
    } catch (error) {
      const line = String(error).replace(/\s+/g, " ");
      console.log(error instanceof Skip ? `SKIP ${name}: ${error.message}` : `FAIL ${name}: ${line}`);
      if (!(error instanceof Skip)) console.log(error);
    }
    console.log(`    ${name} took ${((Date.now() - started) / 1000).toFixed(1)} s`);
  }
}

module.exports = { check, killBroker, needsBroker, runAll, sleep, until };
