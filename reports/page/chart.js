// What all reports share: charts.
const plain = (v) => Number(v.toPrecision(3)).toLocaleString("en-US", { maximumSignificantDigits: 3 });
// small numbers get an exponent, so that ticks stay short.
const exponent = (v) => (v === 0 || Math.abs(v) >= 0.01 ? plain(v) : v.toExponential(0).replace("e-", "e\u2212"));
// printed is a figure in one of the units that results have.
const printed = (v, unit) => ({ s: time, ratio: percent, "messages/s": rate, bytes: size })[unit]?.(v) ?? (unit === "1" ? (Math.abs(v) >= 0.01 || v === 0 ? digits(v) : v.toPrecision(2)) : (Math.abs(v) >= 0.001 || v === 0 ? digits : exponent)(v) + " " + unit.replace(/^1/, ""));

// chart puts a figure into a section. draw(width) gives Plot's options. The
// data table is made when it is first opened.
const chart = (section, { id, title, says = "", legend = [], series, columns, rows, draw, wide = false, square = false }) => {
	const plot = element("div", { class: "plot", tabindex: "0", role: "group", "aria-label": title + ". Arrow keys move along the data; the table below has all of it." });
	const details = element("details", {}, element("summary", {}, `Data as a table (${rows.length.toLocaleString("en-US")} rows)`));
	details.addEventListener("toggle", () => {
		if (!details.open || details.querySelector("table")) return;
		const body = element("tbody");
		for (const row of rows) body.append(element("tr", {}, ...row.map((v) => element("td", {}, v === null || v === undefined ? "-" : String(v)))));
		details.append(element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Data: " + title }, element("table", {},
			element("thead", {}, element("tr", {}, ...columns.map((c) => element("th", { scope: "col" }, c)))), body)));
	});
	legend = legend.filter(([text], i) => legend.findIndex((l) => l[0] === text) === i); // runs share theirs
	const key = element("div", { class: "legend" }, ...legend.map(([text, stroke, dash, dots]) => {
		const item = element("span");
		const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
		line.setAttribute("viewBox", "0 0 26 10");
		line.innerHTML = dots ? '<circle cx="13" cy="5" r="4.5"/>' : '<line x1="0" x2="26" y1="5" y2="5" stroke-width="3"/>';
		line.firstChild.style[dots ? "fill" : "stroke"] = stroke;
		if (dash) line.firstChild.setAttribute("stroke-dasharray", dash);
		item.append(line, text);
		return item;
	}));
	const figure = element("figure", { id, "data-series": series }, element("figcaption", {}, element("h3", {}, title), element("p", {}, says)));
	if (legend.length) figure.append(key);
	figure.append(plot, details);
	if (square) figure.classList.add("square");
	if (wide) figure.style.gridColumn = "1 / -1";
	document.getElementById(section)?.querySelector(".charts")?.append(figure);
	let drawn = 0;
	const redraw = (width = Math.round(plot.clientWidth), height = Math.round(Math.min(Math.max(width * 0.52, 220), 340))) => {
		if (!width || width === drawn) return;
		drawn = width;
		const small = width < 480;
		plot.replaceChildren(Plot.plot({
			width, height, marginLeft: 64, marginBottom: 42, marginTop: 24, marginRight: small ? 14 : 24,
			ariaLabel: title, style: { background: "none", fontSize: "11.5px", overflow: "visible" }, ...draw(width, small),
		}));
		for (const svg of plot.querySelectorAll("svg")) svg.setAttribute("role", "img");
	};
	redraw();
	new ResizeObserver(() => redraw()).observe(plot);
	addEventListener("beforeprint", () => redraw(wide ? 690 : 335, 165)); // a page or a column of paper, so that text keeps its size
	addEventListener("afterprint", () => redraw());
	keys(plot);
};

// keys moves Plot's pointer by the arrow keys.
const keys = (plot) => {
	let at = null;
	plot.addEventListener("keydown", (event) => {
		const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
		const svg = [...plot.querySelectorAll("svg")].pop();
		if (event.key === "Escape" && svg) svg.dispatchEvent(new PointerEvent("pointerleave", { pointerType: "mouse" }));
		if (!move || !svg) return;
		event.preventDefault();
		const box = svg.getBoundingClientRect();
		at ??= [0.5, 0.5];
		at = at.map((v, i) => Math.min(Math.max(v + move[i] * 0.02, 0.02), 0.98));
		for (const type of ["pointerenter", "pointermove"])
			svg.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerType: "mouse", clientX: box.left + at[0] * box.width, clientY: box.top + at[1] * box.height }));
	});
	plot.addEventListener("blur", () => {
		for (const svg of plot.querySelectorAll("svg")) svg.dispatchEvent(new PointerEvent("pointerleave", { pointerType: "mouse" }));
	});
};

const tip = (data, options, pointer = Plot.pointer) => Plot.tip(data, pointer({ fill: "var(--back)", stroke: "var(--soft)", maxRadius: Infinity, ...options }));
const logarithmic = (label, values, format) => {
	const domain = [Math.min(...values) * 0.85, Math.max(...values) * 1.18];
	return { label, type: "log", domain, ticks: steps(domain), tickFormat: (v) => round(format(v)), tickSize: 0 };
};
const gridY = (ticks) => Plot.gridY(ticks, { stroke: "var(--line)", strokeOpacity: 1 });
const grid = [Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 })];

// curves draws a chart of the document: lines or dots, with intervals.
const curves = (c) => {
	const all = c.series.flatMap((s) => s.points.map((p) => ({ ...p, s })));
	const lines = c.series.filter((s) => s.kind !== "theory");
	const shown = all.filter((p) => p.s.kind !== "theory");
	if (!shown.length) return;
	const dash = (s) => (s.dashed ? "5 3" : "");
	const axis = (a, key, before, after) => {
		const label = before + a.label + after;
		const tick = (v) => (a.unit === "1" ? exponent(v) : round(printed(v, a.unit)));
		const counts = [...new Set(key === "x" ? shown.map((p) => p.x) : [])].sort((x, y) => x - y);
		const few = a.unit === "1" && counts.length > 0 && counts.length <= 24 && counts.every(Number.isInteger); // these are their own ticks
		if (a.log) {
			const scale = logarithmic(label, shown.flatMap((p) => (key === "y" ? [p.low, p.high, p.y] : [p.x])).filter((v) => v > 0), tick);
			const gap = (scale.domain[1] / scale.domain[0]) ** 0.09; // room for one, from the last on
			if (few) scale.ticks = counts.filter((v) => v > 0).reduceRight((all, v) => (all.length && all[0] < v * gap ? all : [v, ...all]), []);
			return { ...scale, tickFormat: tick, clamp: false };
		}
		if (few) return { label, tickSize: 0, ticks: counts, tickFormat: tick };
		return { label, tickSize: 0, nice: true, tickFormat: tick, ...(a.zero ? { zero: true } : {}), ...(a.unit === "ratio" && a.zero ? { domain: [0, 1] } : {}) };
	};
	const x = axis(c.x, "x", "", " →"), y = axis(c.y, "y", "↑ ", "");
	const inside = (p) => !c.y.log || (p.y >= y.domain[0] && p.y <= y.domain[1]);
	const intervals = shown.some((p) => p.low != null), named = shown.some((p) => p.name);
	const many = new Set(c.series.map((s) => s.name)).size > 12;
	const unit = (a) => (a.unit === "1" ? "" : ` (${a.unit})`);
	chart(c.in, {
		id: c.id, title: c.title, says: c.says, wide: c.wide, legend: many || lines.length < 2 ? [] : lines.map((s) => [s.name, color(s.color), dash(s), s.kind === "dots"]),
		series: shown.length && lines.reduce((n, s) => n + (s.kind === "dots" ? s.points.length : 1), 0),
		columns: ["series", ...(named ? ["which", "marked"] : []), c.x.label + unit(c.x), c.y.label + unit(c.y), ...(intervals ? ["low", "high"] : [])],
		rows: all.map((p) => [p.s.name, ...(named ? [p.name, p.marked ? "yes" : "no"] : []), p.x, p.y, ...(intervals ? [p.low, p.high] : [])]),
		draw: () => ({
			x, y,
			marks: [gridY(y.ticks),
				...c.series.filter((s) => s.kind === "theory").map((s) => Plot.lineY(s.points.filter(inside), { x: "x", y: "y", stroke: "var(--soft)", strokeOpacity: 0.5, strokeWidth: 5 })),
				...lines.flatMap((s) => {
					const stroke = color(s.color);
					if (s.kind === "dots") return [
						Plot.dot(s.points.filter((p) => !p.marked), { x: "x", y: "y", r: 3.5, stroke, strokeOpacity: 0.55, className: "series" }),
						Plot.dot(s.points.filter((p) => p.marked), { x: "x", y: "y", r: 4.5, fill: stroke, stroke: "var(--back)", className: "series" })];
					const line = Plot.lineY(s.points, { x: "x", y: "y", stroke, strokeWidth: 1.7, strokeDasharray: dash(s), className: "series" });
					return [
						Plot.ruleX(s.points.filter((p) => p.low != null), { x: "x", y1: (p) => (c.y.log ? Math.max(p.low, y.domain[0]) : p.low), y2: (p) => p.high ?? p.y, stroke, strokeOpacity: 0.45, strokeWidth: 3, clip: true }),
						Plot.dot(s.points, { x: "x", y: "y", r: 2.4, fill: stroke }), line];
				}),
				tip(shown, { x: "x", y: "y", title: (p) => [p.name || p.s.name, `${c.x.label}: ${printed(p.x, c.x.unit)}`, `${c.y.label}: ${printed(p.y, c.y.unit)}`,
					...(p.low != null ? [`${printed(p.low, c.y.unit)} to ${p.high == null ? "never" : printed(p.high, c.y.unit)}`] : []), ...(p.marked ? ["worth choosing"] : [])].join("\n") })],
		}),
	});
};

const data = JSON.parse(document.getElementById("data").textContent);
