// Keys: `?` tells them, Ctrl-K leads to what has a name, and letters do what a page offers for them.
//
// An element says its letter in `data-key`: a field takes the focus, all else is clicked. What is
// done to ticked rows waits until some are. Whoever's voice or hand presses letters by accident
// switches them off in the list of keys; the browser remembers that.

const OFF = "letters";
const keys = document.getElementById("keys");
const jump = document.getElementById("jump");
const root = document.documentElement;

function remembered(value) {
  try {
    if (value === undefined) return localStorage.getItem(OFF) === "off";
    localStorage.setItem(OFF, value ? "off" : "on");
  } catch {
    // Nothing is remembered here; the switch holds for this page.
  }
  return Boolean(value);
}

function silence(off) {
  if (off) root.dataset.letters = "off";
  else delete root.dataset.letters;
}

function isTyping(event) {
  const fields = "input:not([type=checkbox]), textarea, select, [contenteditable=true]";
  return event.composedPath().some((one) => one instanceof Element && one.matches(fields));
}

const isSeen = (one) => one.getClientRects().length > 0;

// Whether an element's form has rows to tick, and none of them is.
function lacksRows(one) {
  const boxes = one.form?.querySelectorAll("input[type=checkbox][name=eid]") ?? [];
  return boxes.length > 0 && ![...boxes].some((box) => box.checked);
}

function press(letter) {
  const offered = document.querySelectorAll(`[data-key="${letter}"]`);
  const one = [...offered].find(isSeen);
  if (!one) return false;
  if (one.matches("input, select, textarea")) one.focus();
  else if (!lacksRows(one)) one.click();
  return true;
}

function show(dialog) {
  if (!dialog || dialog.open) return;
  for (const other of [keys, jump]) if (other?.open) other.close();
  dialog.showModal();
  if (dialog === jump) {
    const field = jump.querySelector("input");
    field.select();
    field.dispatchEvent(new CustomEvent("opened"));
  }
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.altKey) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "k" && !event.shiftKey && jump) {
      event.preventDefault();
      show(jump);
    }
    return;
  }
  if (isTyping(event) || root.dataset.letters === "off" || document.querySelector("dialog[open]")) return;
  const search = document.querySelector("main input[type=search]");
  const grid = document.querySelector("table[role=grid]");
  if (key === "?" && keys) show(keys);
  else if (key === "/" && search) search.focus();
  else if ((key === "j" || key === "k") && grid) grid.focus();
  else if (!/^[a-z]$/.test(key) || !press(key)) return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-shows-keys]")) show(keys);
});

if (jump) {
  const found = () => [...jump.querySelectorAll("a")];
  jump.addEventListener("keydown", (event) => {
    const links = found();
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown") (links[at + 1] ?? links[at])?.focus();
    else if (event.key === "ArrowUp") (links[at - 1] ?? jump.querySelector("input")).focus();
    else return;
    event.preventDefault();
  });
  jump.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    found()[0]?.click();
  });
}

if (keys) {
  const box = keys.querySelector("input");
  silence(remembered());
  box.checked = root.dataset.letters !== "off";
  box.addEventListener("change", () => silence(remembered(!box.checked)));
}
