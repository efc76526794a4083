// Points on a line that are moved with the mouse, a finger or the arrow keys: see draggable.py.
const WIDTH = 640, MARGIN = 24, Y = 44;

function make(kind, attributes, text = "") {
  const part = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
  part.textContent = text;
  return part;
}

function render({ model, el }) {
  const [low, high, step] = ["low", "high", "step"].map((name) => model.get(name));
  const across = (x) => MARGIN + ((WIDTH - 2 * MARGIN) * (x - low)) / (high - low);
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} 84`, fill: "currentColor", "font-size": 12,
    "font-family": "sans-serif", style: "width: 100%; max-width: 880px; touch-action: none" });
  svg.append(make("line", { x1: across(low), x2: across(high), y1: Y, y2: Y, stroke: "#777777" }));
  for (let k = 0; k <= 10; k++) {
    const x = low + ((high - low) * k) / 10;
    svg.append(make("text", { x: across(x), y: 78, "text-anchor": "middle" }, `${x}`));
  }
  const points = model.get("values").map((_, i) => {
    const dot = make("circle", { cy: Y, r: 9, fill: "#0072B2", stroke: "#fff", tabindex: 0,
      role: "slider", "aria-label": `x${i + 1}`, "aria-valuemin": low, "aria-valuemax": high,
      style: "cursor: grab" });
    const name = make("text", { y: i % 2 ? 16 : 28, "text-anchor": "middle" }, `x${i + 1}`);
    svg.append(name, dot);
    return [dot, name];
  });

  const place = () => model.get("values").forEach((x, i) => {
    const [dot, name] = points[i];
    dot.setAttribute("cx", across(x));
    name.setAttribute("x", across(x));
    dot.setAttribute("aria-valuenow", x);
  });
  const move = (i, x) => {
    const values = [...model.get("values")];
    const rounded = Math.round(Math.min(Math.max(x, low), high) / step) * step;
    if (rounded === values[i]) return;
    values[i] = rounded;
    model.set("values", values);
    model.save_changes();
    place();
  };

  points.forEach(([dot], i) => {
    dot.addEventListener("pointerdown", (event) => dot.setPointerCapture(event.pointerId));
    dot.addEventListener("pointermove", (event) => {
      if (!dot.hasPointerCapture(event.pointerId)) return;
      const box = svg.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * WIDTH;
      move(i, low + ((high - low) * (at - MARGIN)) / (WIDTH - 2 * MARGIN));
    });
    dot.addEventListener("keydown", (event) => {
      const x = model.get("values")[i];
      const to = { ArrowRight: x + step, ArrowUp: x + step, ArrowLeft: x - step,
        ArrowDown: x - step, Home: low, End: high }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      move(i, to);
    });
  });
  place();
  el.append(svg);
}

export default { render };
