"use strict";
// Each table can be sorted by a column and filtered by words; the order that it comes in is that of the page.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  if (rows.length < 2) continue;
  const finding = document.createElement("div");
  finding.className = "finding";
  const words = Object.assign(document.createElement("input"), { type: "search", placeholder: "filter" });
  words.setAttribute("aria-label", "show only lines with these words");
  const order = document.createElement("select");
  order.setAttribute("aria-label", "sort by");
  const told = document.createElement("span");
  finding.append(words, order, told);
  if (rows.length > 5) table.parentElement.before(finding);

  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    told.textContent = shown < rows.length ? `${shown} of ${rows.length}` : "";
  };
  const sort = (column, falling) => {
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    order.value = `${column} ${falling}`;
    if (column < 0) { body.append(...rows); return; }
    heads[column].setAttribute("aria-sort", falling ? "descending" : "ascending");
    const key = (row) => {
      const cell = row.cells[column];
      return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
    };
    const after = (one, other) => {
      const [a, b] = [key(one), key(other)];
      if (a === "" || b === "") return (a === "") - (b === "");  // what was not measured stays last
      const less = typeof a === "number" && typeof b === "number"
        ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
      return falling ? -less : less;
    };
    body.append(...[...rows].sort(after));
  };
  order.append(new Option("as it came", "-1 false"));
  heads.forEach((head, column) => {
    const title = head.textContent || "what";
    for (const [falling, arrow] of [[false, "▲"], [true, "▼"]]) {
      order.append(new Option(`${title} ${arrow}`, `${column} ${falling}`));
    }
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: title });
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(column, head.getAttribute("aria-sort") === "ascending"));
  });
  order.addEventListener("change", () => {
    const [column, falling] = order.value.split(" ");
    sort(Number(column), falling === "true");
  });
  words.addEventListener("input", filter);
}
document.body.classList.add("ready");

// Each figure holds all versions of a picture in its strip; two of them lie over each other on its stage.
for (const shot of document.querySelectorAll(".shot")) {
  const versions = [...shot.querySelectorAll(".strip img")];
  const stage = shot.querySelector(".stage");
  const [under, over] = stage.querySelectorAll("img");
  const edge = stage.querySelector(".edge");
  const names = stage.querySelectorAll("b");
  const slider = shot.querySelector("input");
  const choices = shot.querySelectorAll("select");
  const buttons = [...shot.querySelectorAll("button")];
  const view = { zoom: 1, x: 0, y: 0 };

  const draw = () => {
    const width = stage.clientWidth, height = stage.clientHeight, at = slider.value / 100;
    view.x = Math.min(0, Math.max(width * (1 - view.zoom), view.x));
    view.y = Math.min(0, Math.max(height * (1 - view.zoom), view.y));
    for (const image of [under, over]) image.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
    // The cut stands still on the stage while the picture moves under it: both are reckoned in the picture's own measure.
    const cut = (at * width - view.x) / view.zoom;
    over.style.clipPath = `inset(0 0 0 ${cut}px)`;
    edge.style.left = `${at * 100}%`;
    stage.classList.toggle("zoomed", view.zoom > 1);
    stage.classList.toggle("near", view.zoom > 2);
    for (const button of buttons) button.setAttribute("aria-pressed", String(Number(button.value) === view.zoom));
  };
  const choose = (side, index) => {
    choices[side].selectedIndex = index;
    (side ? over : under).src = versions[index].src;
    names[side].textContent = versions[index].alt;
  };
  const zoom = (factor, x, y) => {
    view.x = x - (x - view.x) * factor / view.zoom;
    view.y = y - (y - view.y) * factor / view.zoom;
    view.zoom = factor;
    draw();
  };

  stage.style.aspectRatio = stage.dataset.ratio;
  shot.classList.add("ready");
  choose(0, 0);
  choose(1, Math.min(1, versions.length - 1));
  choices.forEach((list, side) => list.addEventListener("change", () => choose(side, list.selectedIndex)));
  versions.forEach((image, index) => image.addEventListener("click", () => choose(1, index)));
  slider.addEventListener("input", draw);
  for (const button of buttons) {
    button.addEventListener("click", () => zoom(Number(button.value), stage.clientWidth / 2, stage.clientHeight / 2));
  }
  stage.addEventListener("dblclick", (event) => {
    const box = stage.getBoundingClientRect();
    zoom(view.zoom > 1 ? 1 : 4, event.clientX - box.left, event.clientY - box.top);
  });
  let last = null;
  stage.addEventListener("pointerdown", (event) => {
    last = event;
    stage.setPointerCapture(event.pointerId);
    move(event);
  });
  const move = (event) => {
    if (!last) return;
    if (view.zoom > 1) {
      view.x += event.clientX - last.clientX;
      view.y += event.clientY - last.clientY;
    } else {
      const box = stage.getBoundingClientRect();
      slider.value = 100 * (event.clientX - box.left) / box.width;
    }
    last = event;
    draw();
  };
  stage.addEventListener("pointermove", move);
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { last = null; });
  new ResizeObserver(draw).observe(stage);
}
