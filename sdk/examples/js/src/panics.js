// Errors that nobody catches: the call ends with a trap, which cannot say why, so
// the operator is told before.

import * as log from "prunella:base/log@0.2.0";

// A failure of the host is handed on as it is: it has a payload.
const isFailure = (error) => !(error instanceof Error) || "payload" in error;

const told = (call) => (incident) => {
  try {
    return call(incident);
  } catch (error) {
    if (!isFailure(error)) {
      log.panicked(String(error), error.fileName ?? "", error.lineNumber ?? 0, error.columnNumber ?? 0);
    }
    throw error;
  }
};

// The strategy, each of whose functions tells what error it ends with.
export const tellingPanics = ({ describe, assess, heal }) => ({
  describe: told(describe),
  assess: told(assess),
  heal: told(heal),
});
