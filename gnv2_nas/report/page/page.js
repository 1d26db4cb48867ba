"use strict";

// Figures take the colours of the page, so that they follow light and dark.
function pageColors() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return { ink: read("--ink"), soft: read("--soft"), card: read("--card"), grid: read("--grid") };
}

function themed(figure) {
  const { ink, soft, card, grid } = pageColors();
  const layout = structuredClone(figure.layout);
  const family = getComputedStyle(document.body).fontFamily;
  layout.font = { family, size: 13, color: ink };
  layout.hoverlabel = { bgcolor: card, bordercolor: soft, align: "left", font: { family, color: ink, size: 12 } };
  layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: ink };
  for (const axis of [layout.xaxis, layout.yaxis, layout.yaxis2].filter(Boolean)) {
    Object.assign(axis, { gridcolor: grid, linecolor: soft, tickcolor: soft });
  }
  return layout;
}

function narrowed(figure, width) {
  if (width >= 560) return figure;
  const narrow = structuredClone(figure);
  narrow.layout.margin = { l: 48, r: narrow.layout.yaxis2 ? 48 : 6, t: 8, b: 48 };
  for (const trace of narrow.data) {
    // No room for names: they show when a symbol is touched.
    if (trace.mode === "markers+text") trace.mode = "markers";
    const bar = trace.marker && trace.marker.colorbar;
    if (bar) Object.assign(bar, { orientation: "h", y: -0.22, yanchor: "top", len: 1, title: { text: bar.title.text, side: "right" } });
  }
  return narrow;
}

function draw(plot) {
  const stored = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
  const figure = narrowed(stored, plot.clientWidth);
  const config = {
    responsive: true,
    displaylogo: false,
    // Named one by one: plotly's own choice has a button that sends the chart to its makers.
    modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
    showSendToCloud: false,
    plotlyServerURL: "",
    toImageButtonOptions: { filename: plot.dataset.figure, scale: 2 },
  };
  return Plotly.react(plot, figure.data, themed(figure), config);
}

function showInTable(event, view) {
  const row = document.getElementById(`trial${view}-${event.points[0].customdata}`);
  if (!row) return;
  document.querySelectorAll("tr.found").forEach((other) => other.classList.remove("found"));
  row.classList.add("found");
  row.scrollIntoView({ behavior: "smooth", block: "center" });
}

function sortBy(header) {
  const table = header.closest("table");
  const column = header.cellIndex;
  const descending = header.ariaSort === "ascending";
  table.querySelectorAll("[aria-sort]").forEach((other) => { other.ariaSort = "none"; });
  header.ariaSort = descending ? "descending" : "ascending";
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    const key = (row) => Number(row.cells[column].dataset.key.replace("inf", "Infinity"));
    rows.sort((a, b) => (key(a) - key(b) || 0) * (descending ? -1 : 1));
    body.append(...rows);
  }
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "copied";
  } catch {
    // Some browsers keep the clipboard from local files: leave the text selected instead.
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "press Ctrl-C";
  }
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}

const plots = [...document.querySelectorAll(".plot")];
for (const plot of plots) {
  draw(plot).then(() => plot.on("plotly_click", (event) => showInTable(event, plot.dataset.view ?? "")));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach(draw));
document.querySelectorAll("thead button").forEach((button) => {
  button.addEventListener("click", () => sortBy(button.closest("th")));
});
document.querySelectorAll(".copy").forEach((button) => {
  button.addEventListener("click", () => copy(button));
});
