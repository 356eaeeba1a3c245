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
  const rows = textarea.value.split("\n");
  const start = rows.slice(0, line - 1).reduce((sum, row) => sum + row.length + 1, 0) + column - 1;
  const rest = textarea.value.slice(start).match(/^\w+/);
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
  if (name && sql) {
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
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector("input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.id === "sql") {
    event.preventDefault();
    event.target.form.requestSubmit(event.target.form.querySelector("[value=check]"));
  }
});

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
