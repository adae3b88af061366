// What the page cannot do without a script: say whether it is live, and draw curves one can point at.
(() => {
  "use strict";
  const root = document.documentElement;
  const said = document.getElementById("link");
  let plots = [];
  let drawn = "";

  const say = (text) => { if (said && said.textContent !== text) said.textContent = text; };
  const hue = (name) => getComputedStyle(probe(name)).color;
  const probes = {};
  const probe = (name) => {
    if (!probes[name]) {
      probes[name] = document.createElement("span");
      probes[name].className = "probe-" + name;
      probes[name].hidden = true;
      document.body.append(probes[name]);
    }
    probes[name].style.color = "var(--" + name + ")";
    return probes[name];
  };

  const time = (s) => s < 60 ? s.toFixed(0) + " s" : s < 3600 ? (s / 60).toFixed(0) + " min" : (s / 3600).toFixed(1) + " h";
  const many = (v) => v >= 1e6 ? (v / 1e6).toFixed(1) + "M" : v >= 1e3 ? (v / 1e3).toFixed(0) + "k" : String(v);
  const usd = (v) => v.toFixed(v > 0 && v < 0.1 ? 4 : 2);

  // Two beside each other where there is room; an empty canvas takes none, so its parent is asked.
  const wide = (canvas) => {
    const style = getComputedStyle(canvas.parentElement);
    const room = canvas.parentElement.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return Math.max(220, Math.floor(room > 700 ? room / 2 - 10 : room));
  };

  const plot = (canvas, data, title, series, short) => {
    const axis = (more) => ({ stroke: hue("soft"), grid: { stroke: hue("edge"), width: 1 }, ticks: { stroke: hue("edge") }, ...more });
    return new uPlot({
      width: wide(canvas), height: 190, title,
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.05 : 1] } },
      axes: [axis({ values: (_, at) => at.map(time) }), axis({ values: (_, at) => at.map(short), size: 62 })],
      series: [{ label: "time", value: (_, v) => v == null ? "-" : time(v) }, ...series],
    }, data, canvas);
  };

  const line = (label, name, short, dash) => ({
    label, stroke: hue(name), width: 2, dash, points: { show: false },
    paths: uPlot.paths.stepped({ align: 1 }), value: (_, v) => v == null ? "-" : short(v),
  });

  const draw = (anew) => {
    const source = document.getElementById("chart");
    const canvas = document.getElementById("canvas");
    if (!source || !canvas || typeof uPlot === "undefined") return;
    root.classList.add("js");
    const text = source.dataset.points;
    if (text === drawn && !anew) return;
    drawn = text;
    const [at, tokens, billed, imputed] = JSON.parse(text);
    if (plots.length && !anew) {
      plots[0].setData([at, tokens]);
      plots[1].setData([at, billed, imputed]);
      return;
    }
    plots.forEach((each) => each.destroy());
    plots = [
      plot(canvas, [at, tokens], "Tokens", [line("tokens", "blue", many)], many),
      plot(canvas, [at, billed, imputed], "Dollars", [line("billed", "blue", usd), line("imputed", "limit", usd, [5, 3])], usd),
    ];
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Tokens and dollars by time; the table below names the sums");
  };

  document.addEventListener("htmx:after:swap", () => draw(false));
  document.addEventListener("htmx:sse:after:connection", () => say("live"));
  document.addEventListener("htmx:sse:error", () => say("no connection: is factory serve still running?"));
  document.addEventListener("htmx:sse:after:message", () => say("live"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(true));
  let width = 0;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(true); } });
  // This file comes first, so that no event of the stream is missed; what it draws with comes after it.
  addEventListener("DOMContentLoaded", () => draw(true));
})();
