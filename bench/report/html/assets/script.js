"use strict";
// Dark mode, sortable and filterable tables, code to copy, enlarged pictures. Pages are complete without it.

const MIN_SORTED_ROWS = 3;
const MIN_FILTERED_ROWS = 8;
const MIN_COLUMNS = 3;
const STATUS_MILLISECONDS = 3000;

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let chosenTheme = null;
try { chosenTheme = localStorage.getItem("theme"); } catch { /* storage is blocked: the choice holds for one page */ }

function showTheme() {
  const theme = chosenTheme ?? (prefersDark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = theme;
  const button = document.querySelector(".theme");
  if (button) button.textContent = theme === "dark" ? "Light mode" : "Dark mode";
}

function toggleTheme() {
  chosenTheme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", chosenTheme); } catch { /* see above */ }
  showTheme();
}

showTheme(); // before the page is drawn
prefersDark.addEventListener("change", showTheme);

/** The number that a cell starts with, also in parentheses or as 1/43; NaN for text, such as a date. */
function numberIn(text) {
  const inner = text.replace(/^\(([^()]*)\)$/, "$1");
  const inverse = /^1\/([\d.]+)$/.exec(inner);
  if (inverse) return 1 / Number.parseFloat(inverse[1]);
  return /^[+-]?[\d,]*\.?\d+(?=$|[\s%(])/.test(inner) ? Number.parseFloat(inner.replaceAll(",", "")) : Number.NaN;
}

/** Ascending by number or else by text; cells without a value come last in both directions. */
function compareCells(a, b, direction) {
  const missing = (text) => /^(|-|\?|unknown.*|not tested)$/.test(text);
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const difference = numberIn(a) - numberIn(b);
  return direction * (Number.isNaN(difference) ? a.localeCompare(b, "en", { numeric: true }) : difference);
}

function makeSortable(table) {
  const tbody = table.tBodies[0];
  const original = [...tbody.rows];
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[header.getAttribute("aria-sort")];
      const order = next === undefined ? "ascending" : next;
      headers.forEach((each) => each.removeAttribute("aria-sort"));
      if (order) header.setAttribute("aria-sort", order);
      const text = (row) => row.cells[column].textContent.trim();
      const direction = order === "descending" ? -1 : 1;
      const rows = order ? original.toSorted((a, b) => compareCells(text(a), text(b), direction)) : original;
      tbody.append(...rows);
    });
  });
}

function makeFilterable(table) {
  const rows = [...table.tBodies[0].rows];
  const label = document.createElement("label");
  const input = document.createElement("input");
  const count = document.createElement("output");
  input.type = "search";
  input.setAttribute("aria-label", `Filter rows, ${table.parentElement.getAttribute("aria-label")}`);
  label.className = "filter";
  label.append("Filter rows: ", input, count);
  table.parentElement.before(label);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = input.value.trim() ? `${shown} of ${rows.length} rows` : "";
  });
}

function makeCopyable(code) {
  const button = document.createElement("button");
  const status = document.createElement("output");
  const box = document.createElement("div");
  const headings = [...document.querySelectorAll("main :is(h1, h2, h3)")];
  const isBefore = (heading) => heading.compareDocumentPosition(code) & Node.DOCUMENT_POSITION_FOLLOWING;
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${headings.findLast(isBefore)?.textContent ?? "code"}`);
  box.className = "copy";
  box.append(status, button);
  code.parentElement.before(box);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      status.textContent = "Copied";
    } catch {
      status.textContent = "Copy failed";
    }
    setTimeout(() => { status.textContent = ""; }, STATUS_MILLISECONDS);
  });
}

function enlargePictures() {
  const dialog = document.createElement("dialog");
  dialog.className = "zoom";
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => {
    event.preventDefault(); // the copied link
    dialog.close();
  });
  for (const link of document.querySelectorAll("a.picture")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // opens the file
      event.preventDefault();
      const close = document.createElement("button");
      close.type = "button";
      close.textContent = "Close";
      const copy = link.cloneNode(true);
      copy.tabIndex = -1;
      const view = document.createElement("div");
      view.className = "view";
      view.tabIndex = 0; // so that arrow keys scroll it
      view.autofocus = true;
      view.append(copy);
      dialog.setAttribute("aria-label", link.querySelector("img").alt);
      dialog.replaceChildren(close, view);
      dialog.showModal();
    });
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector(".theme");
  button.hidden = false;
  button.addEventListener("click", toggleTheme);
  showTheme();

  const menu = document.querySelector(".menu");
  const narrow = matchMedia("(max-width: 60rem)");
  const showMenu = () => { menu.open = !narrow.matches; };
  narrow.addEventListener("change", showMenu);
  showMenu();
  document.querySelector(".sidebar [aria-current]")?.scrollIntoView({ block: "nearest" }); // of a long list

  for (const table of document.querySelectorAll("main .table:not(.live) > table")) {
    const rows = table.tBodies[0]?.rows.length ?? 0;
    const columns = table.tHead?.rows[0].cells.length ?? 0;
    if (columns >= MIN_COLUMNS && rows >= MIN_SORTED_ROWS) makeSortable(table);
    if (columns >= MIN_COLUMNS && rows >= MIN_FILTERED_ROWS) makeFilterable(table);
  }
  // Browsers have a clipboard only for files and secure connections.
  if (navigator.clipboard) document.querySelectorAll("main code.language-python").forEach(makeCopyable);
  enlargePictures();
});

// A printed page shows its folded parts.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("main details:not([open])")) {
    fold.open = true;
    fold.dataset.opened = "";
  }
});
addEventListener("afterprint", () => {
  for (const fold of document.querySelectorAll("main details[data-opened]")) {
    fold.open = false;
    delete fold.dataset.opened;
  }
});
