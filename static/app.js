/* What the pages do beyond HTML: theme, width of the navigation, search key, switches, mail frames, polling.
   Loaded with a nonce; nothing here evaluates text, and pages work without it (forms submit, links lead). */
"use strict";

(() => {
  const YEAR = 31536000;

  const setCookie = (name, value) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    const age = value ? YEAR : 0;
    document.cookie = `${name}=${value}; Path=/; Max-Age=${age}; SameSite=Lax${secure}`;
  };

  /* Theme: system → light → dark → system. The server writes it into <html>, so that nothing flashes. */
  const THEMES = ["", "light", "dark"];
  const currentTheme = () => document.documentElement.dataset.bsTheme || "";
  const labelTheme = () => {
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      const label = button.dataset["label" + { "": "System", light: "Light", dark: "Dark" }[currentTheme()]];
      const text = button.querySelector("[data-theme-label]");
      if (text) text.textContent = label;
      else { button.title = label; button.setAttribute("aria-label", label); }
    }
  };
  const nextTheme = () => {
    const theme = THEMES[(THEMES.indexOf(currentTheme()) + 1) % THEMES.length];
    if (theme) document.documentElement.dataset.bsTheme = theme;
    else delete document.documentElement.dataset.bsTheme;
    setCookie("theme", theme);
    labelTheme();
  };

  const switchRail = (button) => {
    const rail = document.body.classList.toggle("app--rail");
    button.setAttribute("aria-pressed", String(rail));
    setCookie("rail", rail ? "1" : "");
  };

  const isTyping = (element) =>
    element instanceof HTMLElement && (element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName));

  /* A mail's frame grows with its content; it runs no scripts, so the page measures it. */
  const fitFrame = (frame) => {
    const root = frame.contentDocument && frame.contentDocument.documentElement;
    if (!root) return;
    // offsetHeight, as scrollHeight is never less than the frame itself: a short mail would keep a tall frame.
    const scrollbar = root.scrollWidth > root.clientWidth ? 18 : 2;
    frame.height = String(Math.min(root.offsetHeight + scrollbar, 20000));
  };
  const watchFrame = (frame) => {
    const watch = () => {
      fitFrame(frame);
      const root = frame.contentDocument && frame.contentDocument.documentElement;
      if (root && "ResizeObserver" in window) new ResizeObserver(() => fitFrame(frame)).observe(root);
    };
    frame.addEventListener("load", watch);
    if (frame.contentDocument && frame.contentDocument.readyState === "complete") watch();
  };

  /* [data-reveal="id"]: the element with that id shows while the box is ticked or the select has a value of
     data-reveal-value (space separated). Switches inside .switch-group need no script. */
  const reveal = (control) => {
    const target = document.getElementById(control.dataset.reveal);
    if (!target) return;
    const wanted = (control.dataset.revealValue || "").split(" ");
    target.hidden = control.type === "checkbox" ? !control.checked : !wanted.includes(control.value);
  };

  const copyText = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source ? source.value || source.textContent : button.dataset.copyText || "");
    button.setAttribute("data-copied", "");
    if (button.dataset.copiedLabel) button.title = button.dataset.copiedLabel;
  };

  /* A formset: the empty form stands in a <template>; rows are numbered by Django's management form. */
  const addRow = (button) => {
    const set = button.closest("[data-formset]");
    const total = set.querySelector("[name$='-TOTAL_FORMS']");
    const row = document.createElement("template");
    row.innerHTML = set.querySelector("template").innerHTML.replaceAll("__prefix__", total.value);
    total.value = String(Number(total.value) + 1);
    const added = row.content.firstElementChild;
    set.querySelector("[data-formset-rows]").append(row.content);
    const first = added && added.querySelector("input:not([type=hidden]), select, textarea");
    if (first) first.focus();
  };

  const tickAll = (box) => {
    for (const one of document.getElementsByName(box.dataset.tickAll)) {
      if (one.checked !== box.checked) { one.checked = box.checked; one.dispatchEvent(new Event("change", { bubbles: true })); }
    }
  };

  /* Bulk bars appear with the first tick: [data-bulk="name"] counts the ticked boxes of that name. */
  const countTicked = (name) => {
    const bar = document.querySelector(`[data-bulk="${CSS.escape(name)}"]`);
    if (!bar) return;
    const ticked = [...document.getElementsByName(name)].filter((box) => box.checked);
    bar.hidden = ticked.length === 0;
    const number = bar.querySelector("[data-bulk-count]");
    if (number) number.textContent = String(ticked.length);
  };

  const prepare = (root) => {
    for (const control of root.querySelectorAll("[data-reveal]")) reveal(control);
    for (const frame of root.querySelectorAll("iframe[data-autoheight]")) watchFrame(frame);
    for (const bar of root.querySelectorAll("[data-bulk]")) countTicked(bar.dataset.bulk);
    for (const tab of root.querySelectorAll(".section-tabs > [aria-current], .segmented > [aria-current]")) {
      const bar = tab.parentElement;
      if (tab.offsetLeft + tab.offsetWidth > bar.offsetLeft + bar.clientWidth) bar.scrollLeft = tab.offsetLeft - bar.offsetLeft - 16;
    }
    const error = root.querySelector("[data-focus-first]");
    if (error) error.focus();
  };

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const on = (selector, action) => { const found = target.closest(selector); if (found) action(found); };
    on("[data-theme-switch]", nextTheme);
    on("[data-rail-switch]", switchRail);
    on("[data-copy], [data-copy-text]", copyText);
    on("[data-formset-add]", addRow);
    for (const menu of document.querySelectorAll("details[data-menu][open]")) if (!menu.contains(target)) menu.open = false;
  });

  document.addEventListener("change", (event) => {
    const control = event.target;
    if (!(control instanceof HTMLElement)) return;
    if (control.dataset.reveal) reveal(control);
    if (control.dataset.tickAll) tickAll(control);
    if ("submitOnChange" in control.dataset) control.form.requestSubmit();
    if (control.name) countTicked(control.name);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details[data-menu][open]")) { menu.open = false; menu.querySelector("summary").focus(); }
    }
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key === "Enter" && event.ctrlKey && event.target.form && event.target.closest("[data-submit-keys]")) event.target.form.requestSubmit();
      return;
    }
    if (event.key === "/" && !isTyping(event.target)) {
      const search = document.querySelector("[data-global-search]");
      if (search) { event.preventDefault(); search.focus(); }
    }
  });

  /* Empty fields stay out of the URL of a filtered list. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "get") return;
    const empty = [...form.elements].filter((field) => field.name && field.value === "");
    for (const field of empty) field.disabled = true;
    setTimeout(() => { for (const field of empty) field.disabled = false; });
  });

  /* Polling: the ETag of what is shown goes along; 304 swaps nothing. A half-made selection or an open menu waits. */
  const etags = new WeakMap();
  document.addEventListener("htmx:configRequest", (event) => {
    const known = etags.get(event.detail.elt);
    if (known && event.detail.elt.matches("[data-poll]")) event.detail.headers["If-None-Match"] = known;
    if (!event.detail.triggeringEvent) event.detail.headers["X-Background"] = "1"; // nobody did anything: no sign of life
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    const isBusy = element.matches("[data-poll]") && (document.hidden || element.querySelector("tbody :checked, details[open]") || element.contains(document.activeElement));
    if (isBusy) event.preventDefault();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const etag = event.detail.xhr.getResponseHeader("ETag");
    if (etag) etags.set(event.detail.elt, etag);
  });
  document.addEventListener("htmx:afterSwap", (event) => prepare(event.detail.target));

  document.documentElement.dataset.scripted = "";
  labelTheme();
  prepare(document);
})();
