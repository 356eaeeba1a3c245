// Lets a page of rows be scrolled through all rows of its selection, without loading them.
//
// Without script there are fifty rows and links to the next fifty. With it, the same table holds
// the rows in view and a few around them; others come as the HTML that the page would have, by
// offset. The table stays a table, at its place in a box that is as high as all rows would be. All
// rows are equally high: as high as the highest that was seen.
//
// A row whose box is ticked keeps it in the form when it goes out of sight, so that what the form
// sends, adds up and shows needs to know nothing of this.

const BLOCK = 50; // rows that are fetched at once
const AT_ONCE = 2; // requests
const PAUSE_MS = 60; // between requests while somebody scrolls
const SETTLED_MS = 150; // after which somebody has stopped scrolling
const AROUND = 12; // rows in the table above and below those in view
const AT_HAND = 3000; // rows that are kept once they were fetched
const MOST_PX = 8_000_000; // of a box; browsers end at 17 to 33 million
const ENDS_PX = 1_000_000; // of it at each end where a pixel of the scroll bar is one of the rows

// Where the scroll bar stands for a place among all rows. Both in pixels; `whole` is the greatest
// place, `bar` the greatest that the scroll bar goes to. Only the middle of many rows is drawn
// together, so that from everywhere one can scroll a long way in both directions.
export function onBar(place, whole, bar) {
  const ends = Math.min(ENDS_PX, bar / 4);
  if (whole <= bar || place <= ends) return place;
  if (place >= whole - ends) return bar - (whole - place);
  return ends + ((place - ends) * (bar - 2 * ends)) / (whole - 2 * ends);
}

export function ofBar(stand, whole, bar) {
  const ends = Math.min(ENDS_PX, bar / 4);
  if (whole <= bar || stand <= ends) return stand;
  if (stand >= bar - ends) return whole - (bar - stand);
  return ends + ((stand - ends) * (whole - 2 * ends)) / (bar - 2 * ends);
}

const between = (value, least, most) => Math.max(least, Math.min(value, most));
const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");

class Grid {
  constructor(scroller, name) {
    this.scroller = scroller;
    this.name = name;
    this.address = scroller.dataset.window;
    this.isAddressed = "addressed" in scroller.dataset; // the page's address says where it is
    this.table = scroller.querySelector("table");
    this.body = this.table.tBodies[0];
    this.heads = [...this.table.tHead.rows[0].cells];
    this.form = scroller.closest("form");
    this.section = scroller.closest("section");
    this.shown = this.section.querySelector("[data-shown]");
    this.total = Number(scroller.dataset.total);
    this.rows = new Map(); // by their place from 0
    this.loading = new Set(); // blocks
    this.at = Number(scroller.dataset.offset); // the first row in view, with a fraction
    this.noted = this.at; // where the address of the page says that it begins
    this.current = null; // the row that keys are about
    this.height = 0; // of a row
    this.problem = "";
    this.change();
    for (const [index, row] of [...this.body.rows].entries()) this.take(this.at + index, row);
    this.measure();
    this.show(this.at);
    this.listen();
    // What the page has is of a part of all rows; a window waits until all were looked through.
    if ("soFar" in scroller.dataset) this.bring(Math.floor(this.at / BLOCK));
  }

  // Turn the page of rows into a grid; nothing of this is there without script.
  change() {
    const { scroller, table, section } = this;
    this.box = document.createElement("div");
    this.box.className = "all-rows";
    table.replaceWith(this.box);
    this.box.append(table);
    scroller.classList.add("endless");
    table.setAttribute("role", "grid");
    table.setAttribute("aria-label", scroller.getAttribute("aria-label"));
    table.setAttribute("aria-readonly", "true");
    table.tabIndex = 0;
    for (const name of ["role", "aria-label", "tabindex"]) scroller.removeAttribute(name);
    for (const link of section.querySelectorAll(".pager [rel]")) link.remove();
    const all = table.querySelector("[data-all]");
    if (all) {
      all.setAttribute("aria-label", "All rows in view");
      all.removeAttribute("data-all");
      all.addEventListener("change", () => this.tickAll(all.checked));
    }
    if (boxOf(this.body)) table.setAttribute("aria-multiselectable", "true");
    if (this.form) {
      this.out = Object.assign(document.createElement("div"), { hidden: true });
      this.form.append(this.out); // ticked boxes of rows that are out of sight
    }
  }

  listen() {
    const { scroller, table } = this;
    scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    table.addEventListener("keydown", (event) => this.pressed(event));
    table.addEventListener("focus", () => {
      const seen = this.current >= this.at - 1 && this.current < this.at + this.view;
      if (this.current === null || !seen) this.current = Math.ceil(this.at);
      this.mark(); // and nothing moves under a mouse that is about to click
    });
    table.addEventListener("click", (event) => {
      const row = event.target.closest("tbody tr");
      if (row?.place === undefined) return;
      if (!event.target.closest("a, input")) table.focus({ preventScroll: true });
      this.go(row.place);
    });
    this.form?.addEventListener("change", () => this.tell());
    this.section.querySelector(".jump")?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.current = Number(event.target.elements.row.value) - 1;
      this.show(this.current);
      table.focus({ preventScroll: true });
    });
    window.addEventListener("beforeprint", () => this.print());
    window.addEventListener("afterprint", () => {
      this.isPrinted = false;
      this.draw();
    });
    new ResizeObserver(() => this.resized()).observe(scroller);
    document.fonts.ready.then(() => {
      this.width = 0;
      this.resized();
    });
  }

  // Rows that are in view, with a fraction.
  get view() {
    return Math.max(1, (this.scroller.clientHeight - this.table.tHead.offsetHeight) / this.height);
  }

  get last() {
    return Math.max(0, this.total - this.view);
  }

  // What the scroll bar is about, in pixels: the greatest place, and the greatest it can stand at.
  get spans() {
    const view = this.view * this.height;
    const all = this.total * this.height;
    return [Math.max(0, all - view), Math.max(0, Math.min(all, MOST_PX) - view)];
  }

  // Find out how high rows are, and give the box the height of all of them.
  measure() {
    let highest = this.height;
    for (const row of this.body.rows) {
      highest = Math.max(highest, row.getBoundingClientRect().height);
    }
    if (highest > this.height + 0.1) {
      this.height = highest;
      this.scroller.style.setProperty("--row-height", `${highest}px`);
    }
    const rows = Math.min(this.total * this.height, MOST_PX);
    this.box.style.height = `${this.table.tHead.offsetHeight + rows}px`;
  }

  resized() {
    if (this.isPrinted) return;
    if (this.width === this.scroller.offsetWidth) {
      this.show(this.isAtEnd ? this.last : this.at);
      return;
    }
    this.width = this.scroller.offsetWidth;
    for (const head of this.heads) head.style.minWidth = "";
    this.height = 0;
    this.scroller.style.removeProperty("--row-height");
    this.measure();
    this.show(this.isAtEnd ? this.last : this.at);
  }

  scrolled() {
    const { scroller } = this;
    const moved = scroller.scrollTop - this.stand;
    if (moved === 0) return; // it was us, or somebody scrolled sideways
    this.stand = scroller.scrollTop;
    const [whole, bar] = this.spans;
    const far = whole <= bar || Math.abs(moved) > 2 * scroller.clientHeight;
    const place = far ? ofBar(this.stand, whole, bar) : this.at * this.height + moved;
    this.at = between(place / this.height, 0, this.last);
    this.isAtEnd = this.at >= this.last - 0.1; // and stays there when rows turn out to be higher
    this.problem = "";
    const room = 2 * AROUND * this.height;
    if (!far && (this.stand < room || this.stand > bar - room)) this.show(this.at);
    else this.draw();
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settle(), SETTLED_MS);
  }

  // Show rows from a place on, and let the scroll bar stand where that is.
  show(at) {
    this.problem = "";
    this.at = between(at, 0, this.last);
    this.isAtEnd = this.at >= this.last - 0.1;
    const [whole, bar] = this.spans;
    this.scroller.scrollTop = onBar(this.at * this.height, whole, bar);
    this.stand = this.scroller.scrollTop;
    this.draw();
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settle(), SETTLED_MS);
  }

  settle() {
    const [whole, bar] = this.spans;
    if (whole > bar) {
      this.scroller.scrollTop = onBar(this.at * this.height, whole, bar);
      this.stand = this.scroller.scrollTop;
      this.put();
    }
    const offset = Math.floor(this.at + 0.01);
    if (!this.isAddressed || offset === this.noted) return;
    this.noted = offset;
    const address = new URL(location.href);
    address.searchParams.delete("row");
    if (offset) address.searchParams.set("offset", offset);
    else address.searchParams.delete("offset");
    address.hash = "rows";
    history.replaceState(history.state, "", address);
    if (this.form) this.form.elements.back.value = address.pathname + address.search + address.hash;
  }

  // Show the rows in view and those around them, and have those fetched that are not at hand.
  draw() {
    if (this.isPrinted) return;
    const first = Math.floor(this.at) - AROUND;
    this.fill(Math.max(0, first), Math.min(this.total, Math.ceil(this.at + this.view) + AROUND));
    this.put();
    this.mark();
    this.tell();
    this.load();
  }

  // On paper nothing can be scrolled: there stand as many rows from the first in view as are at
  // hand, up to a page of them.
  print() {
    this.isPrinted = true;
    const first = Math.floor(this.at + 0.5);
    let end = first;
    while (end < first + BLOCK && this.rows.has(end)) end += 1;
    this.fill(first, end);
  }

  fill(from, to) {
    const wanted = [];
    for (let place = from; place < to; place += 1) {
      wanted.push(this.rows.get(place) ?? blank(place, this.heads.length));
    }
    const kept = new Set(wanted);
    for (const row of [...this.body.rows]) if (!kept.has(row)) this.leave(row);
    let here = this.body.firstElementChild;
    let added = false;
    for (const row of wanted) {
      if (row === here) {
        here = here.nextElementSibling;
      } else {
        this.body.insertBefore(row, here);
        this.enter(row);
        added = true;
      }
    }
    this.from = from;
    if (added) this.settleSizes();
  }

  // Columns grow with what stands in them and never shrink, but for the widest, which gives way.
  settleSizes() {
    const widths = this.heads.map((head) => head.getBoundingClientRect().width);
    const widest = widths.indexOf(Math.max(...widths));
    for (const [index, head] of this.heads.entries()) {
      head.style.minWidth = index === widest ? "" : `${widths[index]}px`;
    }
    const before = this.height;
    this.measure();
    if (before && this.height !== before) {
      if (this.isAtEnd) this.at = this.last;
      const [whole, bar] = this.spans;
      this.scroller.scrollTop = onBar(this.at * this.height, whole, bar);
      this.stand = this.scroller.scrollTop;
    }
  }

  // Let the rows of the table stand where the scroll bar is.
  put() {
    const above = (this.at - this.from) * this.height;
    this.table.style.marginTop = `${Math.max(0, this.stand - above)}px`;
  }

  take(place, row) {
    row.place = place;
    for (const one of row.querySelectorAll("a, input")) one.tabIndex = -1;
    this.rows.set(place, row);
  }

  enter(row) {
    const box = boxOf(row);
    const held = box && this.heldBox(box.value);
    if (held) {
      box.checked = true;
      held.remove();
    }
    if (box) row.setAttribute("aria-selected", String(box.checked));
  }

  leave(row) {
    const box = boxOf(row);
    if (box?.checked) this.out.append(box.cloneNode());
    if (row.contains(document.activeElement)) this.table.focus({ preventScroll: true });
    row.remove();
    if (box) box.checked = false; // the one in the form says it now
  }

  heldBox(value) {
    return [...this.out.children].find((one) => one.value === value);
  }

  load() {
    if (this.waiting || this.problem) return;
    this.waiting = setTimeout(() => {
      this.waiting = 0;
      const first = Math.floor(this.from / BLOCK);
      const end = Math.min(this.total, this.from + this.body.rows.length);
      for (let block = first; block * BLOCK < end && this.loading.size < AT_ONCE; block += 1) {
        if (!this.loading.has(block) && this.lacks(block, end)) this.bring(block);
      }
    }, PAUSE_MS);
  }

  lacks(block, end) {
    const to = Math.min(end, (block + 1) * BLOCK);
    for (let place = Math.max(this.from, block * BLOCK); place < to; place += 1) {
      if (!this.rows.has(place)) return true;
    }
    return false;
  }

  async bring(block) {
    this.loading.add(block);
    try {
      const path = `${this.address}&offset=${block * BLOCK}&limit=${BLOCK}`;
      const answer = await fetch(path, { headers: { Accept: "application/json, text/plain" } });
      if (!answer.ok) throw new Error((await answer.json()).error.message);
      const html = await answer.text();
      const asked = path.startsWith(`${this.address}&`); // nobody has looked for others meanwhile
      if (asked) this.arrived(block, html, Number(answer.headers.get("Kalla-Total")));
    } catch (error) {
      this.problem = `These rows did not come: ${error.message}`;
    } finally {
      this.loading.delete(block);
    }
    this.draw();
  }

  // Show the rows that hold a text in place of all others.
  find(text) {
    const [path, query] = this.address.split("?");
    const asked = new URLSearchParams(query);
    if (asked.get("q") === text) return;
    asked.set("q", text);
    this.address = `${path}?${asked}`;
    this.rows.clear();
    this.current = null;
    this.bring(0); // which says how many there are; nothing else may be asked for before
    this.show(0);
  }

  arrived(block, html, total) {
    this.section.querySelector("[data-going-on]")?.remove();
    if (total !== this.total) {
      // Somebody has decided something meanwhile, and this selection is about that.
      this.rows.clear();
      this.total = total;
      this.table.setAttribute("aria-rowcount", total + 1);
      this.at = between(this.at, 0, this.last);
      this.measure();
    }
    const made = document.createElement("template");
    made.innerHTML = html;
    for (const [index, row] of [...made.content.children].entries()) {
      const place = block * BLOCK + index;
      if (!this.rows.has(place)) this.take(place, row);
    }
    const due = between(total - block * BLOCK, 0, BLOCK);
    if (made.content.children.length < due) throw new Error("some are missing.");
    this.forget();
  }

  forget() {
    if (this.rows.size <= AT_HAND) return;
    const far = [...this.rows.keys()].sort((a, b) => Math.abs(b - this.at) - Math.abs(a - this.at));
    for (const place of far.slice(0, this.rows.size - AT_HAND / 2)) {
      if (!this.rows.get(place).isConnected) this.rows.delete(place);
    }
  }

  pressed(event) {
    if (event.ctrlKey && !["Home", "End"].includes(event.key)) return;
    if (event.altKey || event.metaKey || event.shiftKey) return;
    const key = keyOf(event);
    const row = this.current ?? Math.ceil(this.at);
    const page = Math.max(1, Math.floor(this.view) - 1);
    const places = {
      ArrowDown: row + 1,
      ArrowUp: row - 1,
      PageDown: row + page,
      PageUp: row - page,
      Home: 0,
      End: this.total - 1,
    };
    const inside = event.target !== this.table;
    if (key in places) {
      if (inside) this.table.focus({ preventScroll: true });
      this.go(places[key]);
    } else if (key === " " && !inside) {
      boxOf(this.rows.get(row))?.click();
    } else if (key === "Enter" && !inside) {
      this.rows.get(row)?.querySelector("a")?.click();
    } else {
      return;
    }
    event.preventDefault();
  }

  // Make a row the one that keys are about, and bring it into view.
  go(place) {
    this.current = between(place, 0, this.total - 1);
    const end = this.current + 1 - this.view;
    if (this.current < this.at) this.show(this.current);
    else if (end > this.at) this.show(end);
    else this.mark();
  }

  mark() {
    this.body.querySelector(".current")?.classList.remove("current");
    const row = this.current === null ? null : this.body.rows[this.current - this.from];
    if (row) {
      row.classList.add("current");
      row.id = `${this.name}-${this.current + 1}`;
      this.table.setAttribute("aria-activedescendant", row.id);
    } else {
      this.table.removeAttribute("aria-activedescendant");
    }
  }

  tickAll(ticked) {
    if (!ticked) this.out.replaceChildren();
    for (const row of this.body.rows) {
      const seen = row.place >= this.at - 0.5 && row.place < this.at + this.view - 0.5;
      const box = boxOf(row);
      if (box && (seen || !ticked)) box.checked = ticked;
    }
    this.form.dispatchEvent(new Event("change"));
  }

  // Say which rows are in view, and how many are ticked.
  tell() {
    for (const row of this.body.rows) {
      const box = boxOf(row);
      if (box) row.setAttribute("aria-selected", String(box.checked));
    }
    const first = Math.floor(this.at + 0.5) + 1;
    const end = Math.min(this.total, Math.floor(this.at + this.view + 0.1));
    const ticked = this.body.querySelectorAll(":checked").length + (this.out?.children.length ?? 0);
    const rows = `${number(first)} to ${number(end)} of ${number(this.total)}`;
    const parts = [this.total ? rows : "No row is like that."];
    if (ticked) parts.push(`${number(ticked)} ticked`);
    if (this.problem) parts.push(this.problem);
    this.shown.textContent = parts.join(" · ");
  }
}

// Letters stand for keys that are farther away, unless they are switched off.
const LETTERS = { j: "ArrowDown", k: "ArrowUp", x: " ", e: "Enter" };

function keyOf(event) {
  const hasLetters = document.documentElement.dataset.letters !== "off" && !event.ctrlKey;
  return (hasLetters && LETTERS[event.key.toLowerCase()]) || event.key;
}

function boxOf(row) {
  return row?.querySelector("input[name=eid]") ?? null;
}

function blank(place, columns) {
  const row = document.createElement("tr");
  row.place = place;
  row.className = "coming";
  row.setAttribute("aria-rowindex", place + 2);
  const cell = row.insertCell();
  cell.colSpan = columns;
  cell.textContent = "…";
  return row;
}

const grids = [];

function begin() {
  for (const scroller of document.querySelectorAll("[data-window]:not(.endless)")) {
    grids.push(new Grid(scroller, grids.length ? `row-${"abc"[grids.length]}` : "row"));
  }
}

begin();
// Where no row has been found so far, a table comes in place of what says so.
for (const word of document.querySelectorAll("[data-going-on][hx-get]")) {
  new MutationObserver(begin).observe(word.closest("section"), { childList: true });
}

// Both sides of a match by hand are searched without forgetting what is ticked.
const finding = document.getElementById("finding");
if (finding && grids.length === 2) {
  finding.addEventListener("submit", (event) => {
    event.preventDefault();
    const address = new URL(location.href);
    for (const grid of grids) {
      const field = grid.section.querySelector("input[type=search]");
      address.searchParams.set(field.name, field.value);
      grid.section.querySelector("input[type=hidden]").value = field.value;
      grid.find(field.value);
    }
    history.replaceState(history.state, "", address);
  });
}
