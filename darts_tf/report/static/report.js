"use strict";

// Charts: show the values at the epoch chosen by pointer, tap or arrow keys.

function nearest(sorted, value) {
  let best = 0;
  for (let i = 1; i < sorted.length; i++) {
    if (Math.abs(sorted[i] - value) < Math.abs(sorted[best] - value)) best = i;
  }
  return best;
}

function enliven(chart) {
  const epochs = JSON.parse(chart.dataset.x);
  const plot = chart.querySelector(".plot");
  const rule = chart.querySelector(".rule");
  const items = [...chart.querySelectorAll(".legend li")];
  const at = chart.querySelector(".at");
  const [first, last] = JSON.parse(chart.dataset.width);
  const span = last - first;
  const rest = { at: at.textContent, values: items.map((item) => item.querySelector("b").textContent) };
  let place = epochs.length - 1;

  chart.show = (index) => {
    place = index;
    const x = (1000 * (epochs[place] - first)) / span;
    rule.setAttribute("d", `M${x} 0V1000`);
    at.textContent = `epoch ${epochs[place] + 1}`;
    items.forEach((item) => {
      item.querySelector("b").textContent = JSON.parse(item.dataset.values)[place];
    });
  };
  chart.rest = () => {
    place = epochs.length - 1;
    rule.setAttribute("d", "");
    at.textContent = rest.at;
    items.forEach((item, i) => { item.querySelector("b").textContent = rest.values[i]; });
  };
  chart.epochs = epochs;
  const point = (event) => {
    const box = plot.getBoundingClientRect();
    chart.show(nearest(epochs, first + ((event.clientX - box.left) / box.width) * span));
  };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  plot.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !chart.closest(".moves")) chart.rest();
  });
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    chart.show(Math.min(Math.max(place + step, 0), epochs.length - 1));
  });
}

// Heat maps: the slider chooses the epoch; a click on an edge shows its lines in the chart below.

function thousandths(weight) {
  const digits = Math.round(1000 * weight);
  return digits === 1000 ? "1" : `.${String(digits).padStart(3, "0")}`;
}

function enlivenCell(cell, epochs) {
  const data = JSON.parse(cell.dataset.cell);
  const chart = cell.querySelector(".chart");
  const rows = [...cell.querySelectorAll("tbody tr")];
  const tds = [...cell.querySelectorAll("tbody td")];
  const paths = [...chart.querySelectorAll(".line")];
  const items = [...chart.querySelectorAll(".legend li")];
  const [first, last] = JSON.parse(chart.dataset.width);
  const mean = {
    paths: paths.map((path) => path.getAttribute("d")),
    values: items.map((item) => item.dataset.values),
    caption: chart.querySelector("figcaption").textContent,
  };
  let edge = -1;
  let place = epochs.length - 1;

  const mark = () => chart.show(nearest(chart.epochs, epochs[place]));
  const draw = () => {
    paths.forEach((path, line) => {
      if (edge < 0) {
        path.setAttribute("d", mean.paths[line]);
        items[line].dataset.values = mean.values[line];
        return;
      }
      const own = data.weights.map((weights) => weights[edge * data.columns + line] / 1000);
      const missing = own[0] < 0;
      const points = own.map((weight, i) =>
        `${(1000 * (epochs[i] - first)) / (last - first)} ` +
        `${(1000 * (data.high - weight)) / (data.high - data.low)}`);
      path.setAttribute("d", missing ? "" : `M${points[0]}h0L${points.join("L")}`);
      const values = chart.epochs.map((epoch) => own[nearest(epochs, epoch)]);
      items[line].dataset.values =
        JSON.stringify(values.map((weight) => (missing ? "–" : weight.toFixed(3))));
    });
    const name = edge < 0 ? mean.caption : `edge ${rows[edge].querySelector("th").textContent}`;
    chart.querySelector("figcaption").textContent = name;
    mark();
  };

  rows.forEach((row, i) => {
    const head = row.querySelector("th");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `lines of the edge ${head.textContent}`);
    button.addEventListener("click", () => {
      edge = edge === i ? -1 : i;
      rows.forEach((each, j) =>
        each.querySelector("button").setAttribute("aria-pressed", String(j === edge)));
      draw();
    });
    head.replaceChildren(button);
  });

  return (index) => {
    place = index;
    const kept = new Set(data.kept[index]);
    tds.forEach((td, i) => {
      const weight = data.weights[index][i] / 1000;
      if (weight < 0) return;
      td.style.setProperty("--w", weight);
      td.textContent = thousandths(weight);
      td.classList.toggle("kept", kept.has(i));
    });
    mark();
  };
}

function enlivenMoves(moves) {
  const epochs = JSON.parse(moves.dataset.epochs);
  const slider = moves.querySelector(".slider");
  const range = slider.querySelector("input");
  const play = slider.querySelector(".play");
  const now = moves.querySelector(".now");
  const start = range.value;
  const cells = [...moves.querySelectorAll(".cell")].map((cell) => enlivenCell(cell, epochs));
  let timer = 0;

  const show = () => {
    const index = Number(range.value);
    now.textContent = `after epoch ${epochs[index] + 1}`;
    range.setAttribute("aria-valuetext", now.textContent);
    cells.forEach((cell) => cell(index));
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "▶";
    play.setAttribute("aria-label", "play");
  };
  play.setAttribute("aria-label", "play");
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (range.value === range.max) range.value = 0;
    play.textContent = "❚❚";
    play.setAttribute("aria-label", "pause");
    show();
    timer = setInterval(() => {
      range.value = Number(range.value) + 1;
      show();
      if (range.value === range.max) stop();
    }, 400);
  });
  range.addEventListener("input", () => { stop(); show(); });
  slider.hidden = epochs.length < 2;
  window.addEventListener("beforeprint", () => { stop(); range.value = start; show(); });
  show();
}

document.querySelectorAll(".chart").forEach(enliven);
document.querySelectorAll(".moves").forEach(enlivenMoves);
