// Each figure holds all versions of a picture in its strip; two of them lie over each other on its stage.
"use strict";
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
