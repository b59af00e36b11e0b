// What the figures of this folder share.
const make = (tag, fields = {}, ...inside) => {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...inside);
  return element;
};
const draw = (parent, tag, fields = {}) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(fields)) element.setAttribute(name, value);
  parent.append(element);
  return element;
};
const fixed = (value, digits = 2) => value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "\u2212");
const clip = (value, low, high) => Math.min(high, Math.max(low, value));
// a line for readers of the screen and others, said once the hand rests
const speaker = root => {
  const line = root.querySelector(".dgm-said"), heard = make("p", {className: "dgm-said"});
  let timer = null;
  heard.setAttribute("aria-hidden", "true");
  line.replaceWith(heard);
  Object.assign(line.style, {position: "absolute", width: "1px", height: "1px", minHeight: 0, overflow: "hidden", clipPath: "inset(50%)", margin: 0});
  line.setAttribute("role", "status");
  heard.after(line);
  return text => {
    heard.textContent = text;
    clearTimeout(timer);
    timer = setTimeout(() => { line.textContent = text; }, 500);
  };
};
// a native range with its name and value in a grid of three columns
const range = (parent, name, fields, words, changed) => {
  const input = make("input", {type: "range", ...fields}), value = make("span", {className: "dgm-value"});
  const label = make("span", {textContent: name});
  label.setAttribute("aria-hidden", "true");
  value.setAttribute("aria-hidden", "true");
  input.setAttribute("aria-label", name);
  const show = () => {
    value.textContent = words(+input.value);
    input.setAttribute("aria-valuetext", words(+input.value));
  };
  input.addEventListener("input", () => { show(); changed(+input.value); });
  parent.append(label, input, value);
  show();
  return {input, set: to => { input.value = to; show(); }};
};
// a row of bars: name, bar (with a mark), number
const bar = (parent, name, color) => {
  const fill = make("i"), mark = make("b"), number = make("span", {className: "dgm-number"});
  const track = make("div", {className: "dgm-bar"}, fill, mark);
  track.setAttribute("aria-hidden", "true");
  if (color) fill.style.background = color;
  parent.append(make("div", {className: "dgm-row"}, make("span", {textContent: name}), track, number));
  return (share, text, at) => {
    fill.style.width = 100 * clip(share, 0, 1) + "%";
    mark.hidden = at === undefined;
    if (at !== undefined) mark.style.left = `calc(${100 * clip(at, 0, 1)}% - 1px)`;
    number.textContent = text;
  };
};
// pointer positions as shares of a box, from its upper left corner
const follow = (element, pressed) => {
  const tell = (event, first) => {
    const box = element.getBoundingClientRect();
    pressed((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, first);
  };
  element.style.touchAction = "none";
  element.addEventListener("pointerdown", event => {
    element.setPointerCapture(event.pointerId);
    tell(event, true);
  });
  element.addEventListener("pointermove", event => { if (event.buttons) tell(event, false); });
};
const arrows = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
const begin = (key, start) => {
  document.querySelectorAll(`[data-dgm-live="${key}"]:not([data-ready])`).forEach(root => {
    root.dataset.ready = "1";
    root.addEventListener("keydown", event => {
      if (/^(Arrow|Home|End|Page|Enter|Backspace|Delete|[0-9 ]$)/.test(event.key)) event.stopPropagation();  // JupyterLab takes them
    });
    root.classList.add("dgm-on");
    start(root);
  });
};
