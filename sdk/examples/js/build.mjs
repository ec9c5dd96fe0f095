// Makes the component; `prunella plugin build` runs this as
//
//     node build.mjs WIT WORLD OUTPUT
//
// and looks afterwards at what came of it. Bundle or transpile here, if you do.

import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const [witPath, worldName, output] = process.argv.slice(2);

const { component } = await componentize({
  sourcePath: "src/strategy.js",
  witPath,
  worldName,
  // Nothing of WASI: what a strategy can do is what its world says.
  disableFeatures: ["clocks", "fetch-event", "http", "random", "stdio"],
});
await writeFile(output, component);
