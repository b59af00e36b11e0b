// All formulas of the site in one run of MathJax, without a browser (formulas.py calls this).
// stdin: {mathjax: its folder, macros, fonts: address in the site, formulas: [[TeX, displayed]]}
// stdout: {css: the rules of the characters used, html: [one string a formula]}
const { mathjax, macros, fonts, formulas } = JSON.parse(require("fs").readFileSync(0, "utf8"));

// A displayed row may be broken before a relation (space 4), a sign (space 3) and a wide gap.
function breakable(node, adaptor) {
  const sign = adaptor.kind(node) === "mjx-mo" && /[34]/.test(adaptor.getAttribute(node, "space"));
  const space = adaptor.tags(node, "mjx-mspace")[0];
  return sign || (space && parseFloat(adaptor.getStyle(space, "width")) >= 1);
}

// Wrap what stays together in <mjx-piece>: book.css lets lines end between two of them.
function split(row, adaptor) {
  let piece = null;
  for (const child of [...adaptor.childNodes(row)]) {
    if (piece === null || breakable(child, adaptor)) {
      piece = adaptor.node("mjx-piece");
      adaptor.insert(piece, child);
    }
    adaptor.append(piece, child);
  }
}

require(`${mathjax}/node-main.js`)
  .init({
    loader: {
      paths: { mathjax },
      load: ["adaptors/liteDOM", "input/tex", "output/chtml", "a11y/assistive-mml"],
    },
    tex: { macros },
    chtml: { fontURL: fonts },
  })
  .then(MathJax => {
    const adaptor = MathJax.startup.adaptor;
    const html = formulas.map(([tex, display]) => {
      const node = MathJax.tex2chtml(tex, { display });
      if (display) {
        // of aligned lines only what stands right of the mark may be broken
        const cells = adaptor.tags(node, "mjx-mtd").filter(cell => !adaptor.next(cell));
        const rows = [...adaptor.tags(node, "mjx-math"), ...cells];
        rows.forEach(row => split(row, adaptor));
        adaptor.tags(node, "mjx-mtable").forEach(t => adaptor.setStyle(t, "min-width", ""));
      }
      return adaptor.outerHTML(node).replace(' unselectable="on"', "");
    });
    const css = adaptor.textContent(MathJax.chtmlStylesheet());
    process.stdout.write(JSON.stringify({ css, html }));
  });
