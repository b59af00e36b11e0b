// Tables that sort: a header is a button, aria-sort says how the table stands. Without this script
// they are plain tables. A cell sorts by data-by where it has one; empty cells come last either way.
for (const table of document.querySelectorAll("table.dgm-sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const key = (row, k) => row.cells[k].dataset.by ?? row.cells[k].textContent.trim();
  function sort(k) {
    const head = heads[k], down = head.getAttribute("aria-sort") === "ascending";
    const sign = down ? -1 : 1, number = "number" in head.dataset;
    const rows = [...body.rows].map(row => [key(row, k), row]);
    rows.sort(([a], [b]) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      return sign * (number ? a - b : a.localeCompare(b));
    });
    body.append(...rows.map(([, row]) => row));
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  }
  heads.forEach((head, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    if (!button.textContent.trim()) button.setAttribute("aria-label", head.textContent);
    head.append(button);
    button.addEventListener("click", () => sort(k));
  });
}

// A field above the table of all figures keeps the rows that hold every word of it.
const figures = document.querySelector("table.dgm-figures");
if (figures) {
  const bar = document.createElement("form");
  bar.className = "dgm-filter";
  bar.innerHTML = '<label>Show rows with <input type="search" placeholder="glow bound"></label>'
    + '<label><input type="checkbox"> only beside figures of others</label><output></output>';
  figures.parentElement.before(bar);
  const [words, beside] = bar.querySelectorAll("input"), rows = [...figures.tBodies[0].rows];
  const text = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
  function show() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows)
      row.hidden = (beside.checked && !row.classList.contains("dgm-beside"))
        || !wanted.every(word => text.get(row).includes(word));
    bar.querySelector("output").textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length}`;
  }
  bar.addEventListener("submit", event => event.preventDefault());
  bar.addEventListener("input", show);
  show();
  // a link to one figure, from a chapter or the chart, finds it even where a filter hid it
  addEventListener("hashchange", () => { words.value = ""; beside.checked = false; show(); });
}
