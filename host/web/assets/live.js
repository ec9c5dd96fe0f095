// Makes a page that reads without script grow as things happen: on an event that concerns
// it, the page is asked for anew, and its main part is put in place of the old one.
"use strict";
(() => {
  const body = document.body;
  const lost = document.getElementById("lost");
  let waiting = 0, last = 0, source = null;

  // Only where that is known to be possible, and again after each exchange.
  const copies = (root) => {
    if (!navigator.clipboard) return;
    for (const pre of root.querySelectorAll("pre[data-copy]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(pre.querySelector("code").textContent);
          button.textContent = "Copied";
        } catch {
          button.textContent = "Select and copy it";
        }
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
      pre.append(button);
    }
  };

  const isBusy = () => {
    const at = document.activeElement;
    return at && at.closest("form") && at.matches("input:not([type=hidden]), select, textarea");
  };

  const exchange = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html");
    const from = next.getElementById("main"), to = document.getElementById("main");
    if (!from || !to) return;
    const open = new Set([...to.querySelectorAll("details[open][id]")].map((it) => it.id));
    const at = document.activeElement;
    const href = at && to.contains(at) ? at.getAttribute("href") : null;
    const scrolled = [...to.querySelectorAll("pre")].map((it) => it.scrollLeft);
    for (const id of open) from.querySelector("#" + CSS.escape(id))?.setAttribute("open", "");
    copies(from);
    to.replaceChildren(...from.childNodes);
    [...to.querySelectorAll("pre")].forEach((it, i) => { it.scrollLeft = scrolled[i] || 0; });
    if (href) to.querySelector("a[href=\"" + CSS.escape(href) + "\"]")?.focus({ preventScroll: true });
    document.title = next.title;
    const [was, is] = [document.querySelector("footer"), next.querySelector("footer")];
    if (was && is) was.replaceWith(is);
  };

  const refresh = async () => {
    waiting = 0;
    if (document.hidden || isBusy()) return soon(3000);
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" });
      if (answer.type === "opaqueredirect") return location.reload();
      if (answer.status === 503) throw new Error("away");
      lost.hidden = true;
      if (answer.ok) exchange(await answer.text());
    } catch {
      lost.hidden = false;
      soon(3000);
    }
  };

  // Many events make one exchange, and there is at most one in a second.
  const soon = (delay) => {
    if (waiting) return;
    waiting = setTimeout(refresh, Math.max(delay, last + 1000 - Date.now()));
  };

  const listen = () => {
    source = new EventSource("/api/v1/events");
    const about = body.dataset.about;
    const heard = (event) => {
      if (!about || event.type === "resync" || event.data.includes(about)) soon(150);
    };
    for (const kind of ["incident", "step", "health", "alert", "approval", "pause", "resync"]) {
      source.addEventListener(kind, heard);
    }
    source.addEventListener("open", () => { if (!lost.hidden) soon(0); });
    source.addEventListener("error", () => {
      soon(500);
      // After an answer that is no stream, a browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    });
  };

  copies(document);
  if (body.dataset.live === "yes") {
    listen();
    // "2 minutes ago" does not stay true.
    setInterval(() => soon(0), 60000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(0); });
  }
})();
