"use strict";
// Search and sorting of what is on the page already; without this script all of it can be read.
for (const table of document.querySelectorAll("table.open-rows")) {
  const tools = document.getElementById(table.dataset.tools);
  const field = tools.querySelector("input");
  const count = tools.querySelector("output");
  const items = Array.from(table.tBodies);
  tools.hidden = false;
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    let shown = 0;
    for (const item of items) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted);
      shown += item.hidden ? 0 : 1;
    }
    count.textContent = wanted ? shown + " of " + items.length : "";
  });
  table.tHead.querySelectorAll("th[data-sort]").forEach((head) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = button.dataset.way === "up";
      table.tHead.querySelectorAll("button.sort").forEach((one) => {
        delete one.dataset.way;
        one.closest("th").removeAttribute("aria-sort");
      });
      button.dataset.way = down ? "down" : "up";
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const place = Number(head.dataset.sort);
      const value = (item) => item.rows[0].cells[place].dataset.value || item.rows[0].cells[place].textContent.trim();
      const order = (a, b) => {
        const [one, other] = [value(a), value(b)];
        const [x, y] = [Number(one), Number(other)];
        const both = one !== "" && other !== "" && !Number.isNaN(x) && !Number.isNaN(y);
        return both ? x - y : one.localeCompare(other);
      };
      items.sort((a, b) => (down ? -order(a, b) : order(a, b)));
      table.append(...items);
    });
  });
}
