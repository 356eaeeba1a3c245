// What makes the pages pleasant; without it they work all the same.

const locale = navigator.language;
const moments = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.dateTime;
    time.textContent = moments.format(new Date(time.dateTime));
  }
}

function number(textarea) {
  const lines = textarea.parentElement.querySelector(".lines");
  const count = textarea.value.split("\n").length;
  lines.textContent = Array.from({ length: count }, (_, i) => i + 1).join("\n");
  lines.scrollTop = textarea.scrollTop;
}

function goTo(textarea, line, column) {
  if (textarea.goTo) {
    textarea.goTo(line, column); // the editor is in its place
    return;
  }
  const rows = textarea.value.split("\n");
  const start = rows.slice(0, line - 1).reduce((sum, row) => sum + row.length + 1, 0) + column - 1;
  const rest = textarea.value.slice(start).match(/^[\w.]+/);
  textarea.focus();
  textarea.setSelectionRange(start, start + (rest ? rest[0].length : 1));
  textarea.scrollTop = Math.max(0, (line - 4) * 21);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sure && !window.confirm(form.dataset.sure)) {
    event.preventDefault();
    return;
  }
  const button = event.submitter;
  if (button && form.dataset.busy) {
    // After the browser has taken the value of the button along.
    setTimeout(() => {
      button.setAttribute("aria-busy", "true");
      for (const one of form.querySelectorAll("button")) one.disabled = true;
    });
  }
});

document.addEventListener("click", (event) => {
  const sql = document.getElementById("sql");
  const place = event.target.closest("[data-line]");
  if (place && sql) goTo(sql, Number(place.dataset.line), Number(place.dataset.column));
  const name = event.target.closest("[data-insert]");
  if (name && sql?.insert) {
    sql.insert(name.dataset.insert);
  } else if (name && sql) {
    sql.focus();
    sql.setRangeText(name.dataset.insert, sql.selectionStart, sql.selectionEnd, "end");
    number(sql);
  }
});

// Back from elsewhere: a form that was sent is usable again.
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[aria-busy]")) {
    button.removeAttribute("aria-busy");
    for (const one of button.form.querySelectorAll("button")) one.disabled = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.id === "sql") {
    event.preventDefault();
    event.target.form.requestSubmit(event.target.form.querySelector("[value=check]"));
  }
});

// Amounts are added as whole numbers of their smallest digit: floats would lose cents.
function sum(texts) {
  const digits = Math.max(0, ...texts.map((text) => (text.split(".")[1] || "").length));
  let total = 0n;
  for (const text of texts) {
    const [whole, rest = ""] = text.replace("-", "").split(".");
    const value = BigInt(whole + rest.padEnd(digits, "0"));
    total += text.startsWith("-") ? -value : value;
  }
  return { total, digits };
}

function written({ total, digits }) {
  const text = (total < 0n ? -total : total).toString().padStart(digits + 1, "0");
  const cut = text.length - digits;
  return (total < 0n ? "-" : "") + text.slice(0, cut) + (digits ? `.${text.slice(cut)}` : "");
}

const totals = document.querySelector("[data-totals]");
function addUp() {
  const ticked = [...document.querySelectorAll("input[name=eid]:checked")];
  const parts = ["left", "right"].map((side) => {
    const rows = ticked.filter((one) => one.dataset.side === side);
    return { count: rows.length, amounts: rows.map((one) => one.dataset.amount).filter(Boolean) };
  });
  if (!ticked.length) {
    totals.textContent = "Tick rows on both sides.";
    return;
  }
  const [left, right] = parts.map((part) => sum(part.amounts));
  const minus = parts[1].amounts.map((text) => (text.startsWith("-") ? text.slice(1) : `-${text}`));
  const difference = sum([...parts[0].amounts, ...minus]);
  const verdict = document.createElement("b");
  verdict.textContent = `difference ${written(difference)}`;
  verdict.className = difference.total === 0n ? "even" : "off";
  const say = (name, part, amount) => `${name} ${part.count} (${written(amount)})`;
  totals.replaceChildren(
    `${say("left", parts[0], left)} · ${say("right", parts[1], right)} · `,
    verdict,
  );
}
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    for (const one of event.target.closest("form").querySelectorAll("input[name=eid]")) {
      one.checked = event.target.checked;
    }
  }
  if (totals && event.target.name === "eid") addUp();
});
if (totals) addUp();

const csrf = document.querySelector("meta[name=csrf]").content;

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
  });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.error.message);
  return document;
}

// A PUT whose progress can be seen; fetch does not tell how much was sent.
function put(address, file, progress) {
  const { pathname, search } = new URL(address);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", pathname + search);
    request.upload.onprogress = (event) => {
      progress.value = event.loaded / Math.max(event.total, 1);
    };
    request.onload = () => {
      if (request.status < 300) resolve();
      else reject(new Error(JSON.parse(request.responseText).error.message));
    };
    request.onerror = () => reject(new Error("The connection broke off."));
    request.send(file);
  });
}

async function bring(file, list) {
  const item = document.createElement("li");
  const progress = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
  progress.setAttribute("aria-label", file.name);
  item.append(file.name, progress);
  list.append(item);
  try {
    const signed = await call("POST", "/api/uploads/presign", { filename: file.name });
    await put(signed.presigned_url, file, progress);
    const path = `/api/uploads/${signed.upload_id}/confirm`;
    const seen = await call("POST", path, {});
    const guess = seen.guess || {};
    const source = { uri: signed.s3_uri, format: guess.format, types: guess.types };
    if (!source.format || !Object.keys(source.format).length) delete source.format;
    if (!source.types || !Object.keys(source.types).length) delete source.types;
    const stem = file.name.replace(/(\.[A-Za-z0-9]{1,8})+$/, "").replace(/[^A-Za-z0-9_]+/g, "_");
    const name = (/^[A-Za-z_]/.test(stem) ? stem : `f_${stem}`).toLowerCase().slice(0, 50);
    let made;
    for (let number = 1; !made; number += 1) {
      try {
        const alias = number === 1 ? name : `${name}_${number}`;
        made = await call("POST", "/api/sources", { ...source, alias });
      } catch (error) {
        if (!error.message.includes("already") || number > 50) throw error;
      }
    }
    const link = Object.assign(document.createElement("a"), {
      href: `/sources/${encodeURIComponent(made.alias)}`,
      textContent: made.alias,
    });
    const guessed = Object.entries(source.format || {})
      .filter(([, value]) => ["string", "number"].includes(typeof value))
      .map(([name, value]) => `${name.replaceAll("_", " ")} \u201c${value}\u201d`);
    const how = guessed.length ? `, read with ${guessed.join(", ")}` : "";
    item.replaceChildren(`${file.name} is now the source `, link, how);
    document.querySelector("main > .empty")?.remove(); // there is a source now
  } catch (error) {
    item.className = "bad";
    item.textContent = `${file.name}: ${error.message}`;
  }
}

const drop = document.getElementById("drop");
if (drop) {
  const list = drop.querySelector("ul");
  const take = (files) => Promise.all([...files].map((file) => bring(file, list)));
  drop.hidden = false;
  drop.querySelector("input").addEventListener("change", (event) => take(event.target.files));
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files);
    });
  }
}

const sql = document.getElementById("sql");
if (sql) {
  number(sql);
  sql.addEventListener("input", () => number(sql));
  sql.addEventListener("scroll", () => number(sql));
  const first = document.querySelector("[data-line]");
  if (first) sql.closest(".sql").classList.add("faulty");
}
localise(document);
new MutationObserver(() => localise(document)).observe(document.body, {
  childList: true,
  subtree: true,
});

// What each executor does is replaced every second, and stays scrolled to where it was.
let across = 0;
const executors = () => document.getElementById("by-executor");
document.addEventListener("htmx:before:swap", () => { across = executors()?.scrollLeft ?? 0; });
document.addEventListener("htmx:after:swap", () => { if (executors()) executors().scrollLeft = across; });
