// In each trial two pictures, what was and what is now, lie over each other on a stage. One slider says where they
// meet, another how much of the change is kept: the blend is the same that --strength computes.
"use strict";
const original = document.getElementById("before");
for (const trial of document.querySelectorAll(".trial")) {
  const stages = [...trial.querySelectorAll(".stage")];
  const cut = trial.querySelector(".cut");
  const strength = trial.querySelector(".strength input");
  const output = trial.querySelector("output");
  const code = trial.querySelector("code");
  const button = trial.querySelector("button");
  const status = trial.querySelector("[role=status]");

  for (const stage of stages) {
    if (!stage.querySelector(".was")) {
      const was = original.cloneNode();
      was.removeAttribute("id");
      was.className = "was";
      stage.prepend(was);
    }
    for (const [tag, name, text] of [["div", "edge", ""], ["b", "left", "before"], ["b", "right", "after"]]) {
      const mark = document.createElement(tag);
      mark.className = name;
      mark.textContent = text;
      mark.setAttribute("aria-hidden", "true");
      stage.append(mark);
    }
    let held = false;
    const follow = (event) => {
      if (!held) return;
      const box = stage.getBoundingClientRect();
      cut.value = 100 * (event.clientX - box.left) / box.width;
      draw();
    };
    stage.addEventListener("pointerdown", (event) => {
      held = true;
      stage.setPointerCapture(event.pointerId);
      follow(event);
    });
    stage.addEventListener("pointermove", follow);
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { held = false; });
  }

  const draw = () => {
    const share = strength ? Number(strength.value) / 100 : 1;
    for (const stage of stages) {
      const now = stage.querySelector(".now");
      now.style.clipPath = `inset(0 0 0 ${cut.value}%)`;
      now.style.opacity = share;
      stage.querySelector(".edge").style.left = `${cut.value}%`;
    }
    cut.setAttribute("aria-valuetext", `${Math.round(cut.value)} percent before, the rest after`);
    code.textContent = code.dataset.command + (share < 1 ? ` --strength ${share}` : "");
    if (output) output.textContent = share;
  };

  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      getSelection().selectAllChildren(code);
      return document.execCommand("copy");
    }
  };
  button.addEventListener("click", async () => {
    const done = await copied(code.textContent);
    status.textContent = done ? "copied" : "press Ctrl+C";
    setTimeout(() => { status.textContent = ""; }, 4000);
  });
  cut.addEventListener("input", draw);
  if (strength) strength.addEventListener("input", draw);
  draw();
}
document.body.classList.add("ready");
