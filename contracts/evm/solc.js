#!/usr/bin/env node
// The Solidity compiler of npm's `solc` package with the command line that forge expects of a native one.
const solc = require("solc");
if (process.argv.includes("--version")) {
  const version = solc.version().replace(/\.Emscripten.*$/, ".Linux.g++");
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`);
} else {
  const fs = require("fs");
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8")));
}
