// Tabs, contents, dark mode and print for the embedded renderer. Without it the page is complete:
// every panel shows, under its title.
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

  function move(event, list) {
    const tabs = tabsOf(list);
    const last = tabs.length - 1;
    const now = tabs.indexOf(event.target);
    const next = { ArrowRight: now === last ? 0 : now + 1, ArrowLeft: now === 0 ? last : now - 1, Home: 0, End: last };
    if (now < 0 || !(event.key in next)) return;
    event.preventDefault();
    select(tabs[next[event.key]]);
    tabs[next[event.key]].focus();
  }

  for (const list of document.querySelectorAll('.panel-tabset > [role="tablist"]')) {
    tabsOf(list).forEach((tab, number) => {
      tab.tabIndex = number ? -1 : 0;
      tab.addEventListener("click", (event) => { event.preventDefault(); select(tab); });
    });
    list.addEventListener("keydown", (event) => move(event, list));
  }

  // A reference may lead into a panel or a fold that is closed.
  function reveal() {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let node = target; node; node = node.parentElement) {
      if (node.matches(".tab-pane:not(.active)")) select(document.getElementById(node.id + "-tab"));
      if (node.matches("details")) node.open = true;
    }
    target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  reveal();

  // A wide table scrolls by itself; the keyboard must reach it then.
  function markScrolling() {
    for (const box of document.querySelectorAll(".table-scroll")) {
      if (box.scrollWidth > box.clientWidth) {
        const figure = box.closest("figure");
        const caption = figure && figure.querySelector("figcaption");
        box.tabIndex = 0;
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", caption ? caption.textContent.trim() : "Table");
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      }
    }
  }
  addEventListener("resize", markScrolling);
  markScrolling();

  const links = new Map(
    [...document.querySelectorAll("#TOC a.nav-link")].map((link) => [link.getAttribute("href").slice(1), link])
  );
  const visible = new Set();
  if (links.size && "IntersectionObserver" in window) {
    const sections = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
    const watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) visible[entry.isIntersecting ? "add" : "delete"](entry.target);
      const current = sections.filter((section) => visible.has(section)).pop();
      if (!current) return;
      for (const [id, link] of links) {
        link.classList.toggle("active", id === current.id);
        if (id === current.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }, { rootMargin: "-10% 0px -75% 0px" });
    sections.forEach((section) => watcher.observe(section));
  }

  if (document.body.classList.contains("has-dark")) {
    const stored = () => { try { return localStorage.getItem("quarto-color-scheme"); } catch { return null; } };
    const prefersDark = matchMedia("(prefers-color-scheme: dark)");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quarto-color-scheme-toggle top-right";
    button.textContent = "Dark mode";
    function paint(dark) {
      document.body.classList.toggle("quarto-dark", dark);
      document.body.classList.toggle("quarto-light", !dark);
      button.setAttribute("aria-pressed", String(dark));
    }
    button.addEventListener("click", () => {
      const dark = !document.body.classList.contains("quarto-dark");
      try { localStorage.setItem("quarto-color-scheme", dark ? "alternate" : "default"); } catch { /* private mode */ }
      paint(dark);
    });
    prefersDark.addEventListener("change", () => { if (!stored()) paint(prefersDark.matches); });
    paint(stored() ? stored() === "alternate" : prefersDark.matches);
    document.body.prepend(button);
  }

  // Folds print open.
  const opened = [];
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open])")) { fold.open = true; opened.push(fold); }
  });
  addEventListener("afterprint", () => { while (opened.length) opened.pop().open = false; });
})();
