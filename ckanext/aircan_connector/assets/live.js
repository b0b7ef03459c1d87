/* Keeps an open page true: fetches a small piece of HTML while something is active, and replaces
   the parts that have changed. Stops when all is final. Without it the page has a link to refresh. */
(function () {
  "use strict";

  var FIRST_MS = 1000, SLOWEST_MS = 10000, GROWTH = 1.15, MOST_MS = 60000, ASK_MS = 30000;

  function begin(box) {
    var state = box.querySelector("[data-aircan-state]");
    if (!state || state.dataset.aircanState !== "active" || !window.fetch) { return; }
    var lost = document.querySelector("[data-aircan-lost]");
    var end = document.querySelector("[data-aircan-end]");
    var wait = FIRST_MS, failures = 0, asked = Date.now();
    document.body.classList.add("aircan-living");

    function later(ms) {
      window.setTimeout(function () {
        if (document.hidden) {
          document.addEventListener("visibilitychange", look, { once: true });
        } else {
          look();
        }
      }, ms);
    }

    function look() {
      var url = new URL(box.dataset.aircanLive, window.location.href);
      if (Date.now() - asked > ASK_MS) {
        asked = Date.now();
        url.searchParams.set("ask", "1");
      }
      window.fetch(url, { credentials: "same-origin", cache: "no-store" }).then(function (answer) {
        if (answer.status >= 400 && answer.status < 500) { return never(); }
        if (!answer.ok) { throw new Error(String(answer.status)); }
        return answer.text().then(take);
      }).catch(again);
    }

    function take(html) {
      failures = 0;
      lost.hidden = true;
      var fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-aircan-state]");
      if (!fresh) { return never(); }
      wait = replace(fresh) ? FIRST_MS : Math.min(wait * GROWTH, SLOWEST_MS);
      if (fresh.dataset.aircanState === "active") { return later(wait); }
      end.textContent = fresh.dataset.aircanSay;
      document.body.classList.remove("aircan-living");
      return undefined;
    }

    function replace(fresh) {
      var changed = false, focused = document.activeElement && document.activeElement.id;
      fresh.querySelectorAll("[data-aircan-part]").forEach(function (part) {
        var old = box.querySelector('[data-aircan-part="' + part.dataset.aircanPart + '"]');
        if (!old || same(old, part)) { return; }
        changed = changed || part.dataset.aircanPart !== "head";
        old.replaceWith(part);
      });
      if (focused && document.activeElement.id !== focused) {
        var again = document.getElementById(focused);
        if (again) { again.focus(); }
      }
      return changed;
    }

    function same(old, part) {
      if (part.dataset.aircanKey !== undefined) { return old.dataset.aircanKey === part.dataset.aircanKey; }
      return old.innerHTML === part.innerHTML;
    }

    function again() {
      failures += 1;
      var ms = Math.min(FIRST_MS * Math.pow(2, failures), MOST_MS);
      if (failures > 1) { say(lost.dataset.again.replace("{seconds}", String(Math.round(ms / 1000)))); }
      later(ms);
    }

    function never() {
      say(lost.dataset.never);
      document.body.classList.remove("aircan-living");
    }

    function say(text) {
      lost.textContent = text;
      lost.hidden = false;
    }

    later(wait);
  }

  function start() {
    document.querySelectorAll("[data-aircan-live]").forEach(begin);
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
  } else {
    start();
  }
}());
