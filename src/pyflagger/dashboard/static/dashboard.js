// The dashboard's script: theme, clocks, keys, and what the stream is doing. Every page works without it.
(() => {
  "use strict";
  const root = document.documentElement;
  const STALE_SECONDS = 30, SAY_SECONDS = 10;
  try { const kept = localStorage.getItem("theme"); if (kept) root.dataset.theme = kept; } catch { /* no storage */ }

  const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  const age = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    if (whole >= 60 && whole < 600 && whole % 60) return `${Math.floor(whole / 60)}m${whole % 60}s`;
    const unit = UNITS.find(([, size]) => whole >= size);
    return unit ? `${Math.floor(whole / unit[1])}${unit[0]}` : "0s";
  };

  // The server's clock: a page is as old as it was when it came, whatever the laptop's clock says.
  let ahead = 0;
  const now = () => Date.now() / 1000 + ahead;

  const tick = () => {
    for (const each of document.querySelectorAll("time[data-ago], time[data-due]")) {
      const at = Date.parse(each.dateTime) / 1000, left = Math.round(at - now());
      const text = "ago" in each.dataset ? age(now() - at) : left > 0 ? `in ${age(left)}` : "now";
      if (each.textContent !== text) each.textContent = text;
    }
  };

  const start = () => {
    const $ = (id) => document.getElementById(id);
    for (const each of document.querySelectorAll(".scripted")) each.hidden = false;
    const served = Date.parse(document.body.dataset.now || "");
    if (served) ahead = served / 1000 - Date.now() / 1000;

    const theme = $("theme");
    theme.hidden = false;
    theme.addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme); } catch { /* no storage */ }
    });

    // Keys only move; none of them acts.
    const rows = () => [...document.querySelectorAll(".fleet th a")];
    const step = (by) => {
      const all = rows(), at = all.indexOf(document.activeElement);
      all[Math.min(all.length - 1, Math.max(0, at + by))]?.focus();
    };
    const keys = {
      "/": () => $("q")?.focus(), j: () => step(1), k: () => step(-1),
      f: () => location.assign("/"), "?": () => $("keys").showModal(),
    };
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
      if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    });

    // The stream.
    const stream = $("stream");
    let heard = Date.now(), last = "", saidAt = 0, ended = false;
    const say = () => {
      const head = $("head"), text = head?.dataset.say || "";
      if (head?.dataset.title && document.title !== head.dataset.title) document.title = head.dataset.title;
      if (text === last || Date.now() - saidAt < SAY_SECONDS * 1000) return;
      $("said").textContent = last = text;
      saidAt = Date.now();
    };
    const hear = () => { heard = Date.now(); tick(); say(); };
    const look = () => {
      const late = stream && !ended && !document.hidden && Date.now() - heard > STALE_SECONDS * 1000;
      $("live").hidden = !stream;
      $("live").classList.toggle("off", Boolean(late || ended));
      $("live").lastElementChild.textContent = ended ? "ended" : late ? "stale" : "live";
      $("ended").hidden = !ended;
      $("stale").hidden = !late;
      if (late) $("stale").textContent = `Stale since ${new Date(heard + ahead * 1000).toISOString().slice(11, 19)}: nothing came from flagger dashboard. Reload the page, or start it again.`;
      tick();
    };
    if (stream) {
      last = $("head")?.dataset.say || "";
      stream.addEventListener("beat", hear);
      document.addEventListener("htmx:sse:after:message", hear);
      document.addEventListener("htmx:sse:error", (event) => { ended = event.detail.status === 401; look(); });
      document.addEventListener("visibilitychange", () => { if (!document.hidden) heard = Date.now(); });
    }
    look();
    setInterval(look, 1000);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
