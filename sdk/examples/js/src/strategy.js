// Starts a service, or restarts one that does not answer, and is not content before
// every probe of it answers: what loads its data at its start is up long before it
// is of use. Says how long the slowest took.

import * as clock from "prunella:base/clock@0.2.0";
import * as log from "prunella:base/log@0.2.0";
import * as settings from "prunella:base/settings@0.2.0";
import * as probes from "prunella:observe/probes@0.2.0";
import * as units from "prunella:observe/units@0.2.0";
import * as unitControl from "prunella:act/unit-control@0.2.0";

import { tellingPanics } from "./panics.js";

const TIMEOUT = 90_000n; // milliseconds
const PAUSE = 250n; // between two questions

// In milliseconds. The host has seen to it that it is a number.
const patience = () => 1000 * Number(settings.get("patience") ?? "60");

// The probes of the service itself: those of what it needs are not its business.
const own = (incident) => incident.probes().filter((name) => probes.target(name) === undefined);

export const strategy = tellingPanics({
  describe() {
    return {
      name: "warm-start",
      version: "0.1.0",
      author: "",
      summary: "Starts a service, and waits until all its probes answer.",
      treats: [], // failures
      settings: [
        {
          name: "patience",
          kind: "number",
          required: false,
          default: "60",
          help: "How many seconds its probes may take to answer, once it is up.",
        },
      ],
    };
  },

  assess(incident) {
    const unit = incident.unit();
    const names = own(incident);
    if (names.length === 0) {
      return { tag: "not-applicable", val: `no probe is declared for ${unit}` };
    }
    if (!units.get(unit).isUp()) {
      return { tag: "applies", val: { confidence: 60, reason: `${unit} is down` } };
    }
    const silent = names.filter((name) => !probes.ask(name).healthy);
    if (silent.length === 0) {
      return { tag: "not-applicable", val: `${unit} is up, and all its probes answer` };
    }
    return {
      tag: "applies",
      val: { confidence: 60, reason: `${unit} is up, and does not answer ${silent.join(", ")}` },
    };
  },

  heal(incident) {
    const unit = incident.unit();
    const up = units.get(unit).isUp();
    const job = up ? unitControl.restart(unit) : unitControl.start(unit);
    const ended = job.wait(TIMEOUT);
    if (ended !== "done") {
      return { tag: "failed", val: `systemd ended the start of ${unit} with \`${ended}\`` };
    }
    units.wait(unit, "up", TIMEOUT);

    const began = clock.monotonic();
    const passed = () => Number((clock.monotonic() - began) / 1_000_000n);
    for (const name of own(incident)) {
      for (;;) {
        const answer = probes.ask(name);
        if (answer.healthy) break;
        if (passed() >= patience()) {
          return {
            tag: "failed",
            val: `${unit} is up, and \`${name}\` does not answer after ${passed()} ms: ${answer.detail}`,
          };
        }
        clock.sleep(PAUSE);
      }
      log.write("info", `\`${name}\` answers after ${passed()} ms`);
    }
    return { tag: "healed", val: `started ${unit}; all its probes answered within ${passed()} ms` };
  },
});
