// Tabs, references into hidden places, and folds in print, for the embedded renderer. Without it the
// page is complete: every panel shows, under its title.
(() => {
  "use strict";

  const panel = (tab) => document.getElementById(tab.getAttribute("aria-controls"));
  const tabsOf = (list) => [...list.querySelectorAll('[role="tab"]')];

  function select(tab) {
    for (const other of tabsOf(tab.closest('[role="tablist"]'))) {
      const chosen = other === tab;
      other.classList.toggle("active", chosen);
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      panel(other).classList.toggle("active", chosen);
    }
  }

  function move(event, tabs) {
    const now = tabs.indexOf(event.target);
    const last = tabs.length - 1;
    const next = { ArrowRight: now === last ? 0 : now + 1, ArrowLeft: now === 0 ? last : now - 1, Home: 0, End: last };
    if (now < 0 || !(event.key in next)) return;
    event.preventDefault();
    select(tabs[next[event.key]]);
    tabs[next[event.key]].focus();
  }

  for (const list of document.querySelectorAll('.panel-tabset > [role="tablist"]')) {
    const tabs = tabsOf(list);
    tabs.forEach((tab, number) => {
      tab.tabIndex = number ? -1 : 0;
      tab.addEventListener("click", (event) => { event.preventDefault(); select(tab); });
    });
    list.addEventListener("keydown", (event) => move(event, tabs));
  }

  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let place = target; place; place = place.parentElement) {
      if (place.matches(".tab-pane:not(.active)")) select(document.getElementById(`${place.id}-tab`));
      if (place.matches("details")) place.open = true;
    }
    target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  const opened = [];
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open])")) {
      fold.open = true;
      opened.push(fold);
    }
  });
  addEventListener("afterprint", () => { while (opened.length) opened.pop().open = false; });
})();
