// Starts a service again when its cache is there, and holds everybody back
// until it is: a start without it would only fail again.

import * as log from "prunella:base/log@{{contract}}";
import * as settings from "prunella:base/settings@{{contract}}";
import * as files from "prunella:observe/files@{{contract}}";
import * as units from "prunella:observe/units@{{contract}}";
import * as unitControl from "prunella:act/unit-control@{{contract}}";

import { tellingPanics } from "./panics.js";

// As long as systemd itself gives a start, in milliseconds. 64-bit numbers of the
// contract are BigInts.
const TIMEOUT = 90_000n;

// The operator's name for the cache.
const file = () => settings.get("file") ?? "cache";

// A call of the host that is refused or fails throws. What is not caught ends
// the call, and the operator reads why.
export const strategy = tellingPanics({
  describe() {
    return {
      name: "{{name}}",
      version: "0.1.0",
      author: "",
      summary:
        "Starts a service again when its cache is there, and holds everybody back until it is.",
      treats: [], // failures
      settings: [
        {
          name: "file",
          kind: "text",
          required: false,
          default: "cache",
          help: "The declared file that has to be there.",
        },
      ],
    };
  },

  assess(incident) {
    const unit = incident.unit();
    const name = file();
    if (!incident.files().includes(name)) {
      return { tag: "not-applicable", val: `no file \`${name}\` is declared for ${unit}` };
    }
    if (!files.stat(name).exists()) {
      return {
        tag: "veto",
        val: `\`${name}\` is not there, and ${unit} would only fail again without it`,
      };
    }
    return {
      tag: "applies",
      val: {
        confidence: 60,
        reason: `\`${name}\` is there, and ${unit} has failed (${incident.cause()})`,
      },
    };
  },

  heal(incident) {
    const unit = incident.unit();
    log.write("info", `\`${file()}\` is there: bringing ${unit} up`);
    const up = units.get(unit).isUp();
    const job = up ? unitControl.restart(unit) : unitControl.start(unit);
    const ended = job.wait(TIMEOUT);
    if (ended !== "done") {
      return { tag: "failed", val: `systemd ended the start of ${unit} with \`${ended}\`` };
    }
    const now = units.wait(unit, "up", TIMEOUT);
    return { tag: "healed", val: `started ${unit}: it is ${now.subState()}` };
  },
});
