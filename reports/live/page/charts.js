// Charts on one time axis with one cursor. A click goes to that time.
import { colors } from "./look.js";
import { addBars } from "./store.js";

const nanoseconds = (v) => time(v / 1e9);
const cores = (v) => digits(v) + (v === 1 ? " core" : " cores");
const count = (v) => Math.round(v).toLocaleString("en-US");
const BIN = 9 / 8; // from where a bin of the latency begins to where it ends, at most
const MOST_TICKS = 5; // for which there is room
const short = (format) => (v) => round(format(v)).replace(/ cores?$/, "");

// of is what the figures are of: a mesh, not of a server alone.
const CHARTS = [
	{ title: "Delivered", of: "mesh", series: [["delivered", "delivered", "--c0", rate]] },
	{ title: "Lost and late", of: "mesh", series: [["lost", "lost", "--bad", rate], ["late", "late", "--c1", rate]] },
	{ title: "Latency from due time", of: "mesh", log: true, series: [["p50", "p50", "--c0", nanoseconds], ["p99", "p99", "--c1", nanoseconds]], histogram: true },
	{ title: "Server and kernel", series: [["queue", "server queue", "--c0", count, "left", size], ["drops", "dropped by the kernel", "--bad", rate, "right"]] },
	{ title: "Hostile datagrams", series: [["hostile_sent", "sent", "--c6", rate], ["hostile_taken", "taken", "--c4", rate], ["refused", "refused", "--c5", rate]] },
	{ title: "CPU and memory", series: [["cpu", "CPU", "--c0", cores], ["memory", "memory", "--c3", size, "right"]] },
];

const tones = { join: "--c2", resume: "--c2", relaunch: "--c2", heal: "--c2", kill: "--bad", removal: "--bad", standstill: "--bad", pause: "--c1", cut: "--c3", impair: "--c3", restart: "--c4", filter: "--c5", flood: "--c6" };
export const toneOf = (kind) => tones[kind] ?? "--soft";

// clock is a time of the run: 12.3 s, or 1:02.3 from a minute on.
export const clock = (ms) => {
	const tenths = Math.floor(ms / 100 + 1e-6), m = Math.floor(tenths / 600);
	const seconds = ((tenths % 600) / 10).toFixed(1);
	return m ? `${m}:${seconds.padStart(4, "0")}` : `${seconds} s`;
};

const thinned = (ticks) => {
	const decades = ticks.filter((v) => String(v).startsWith("1"));
	const kept = ticks.length > MOST_TICKS && decades.length > 1 ? decades : ticks;
	return kept.filter((_, i) => i % Math.ceil(kept.length / MOST_TICKS) === 0);
};

export class Charts {
	constructor(root, run, { goto }) {
		Object.assign(this, { root, run, goto, all: [], hovered: null, turn: 0, view: { from: 0, to: 5, at: null } });
		this.spec = "";
		new ResizeObserver(() => {
			for (const c of this.all) if (root.clientWidth) c.plot.setSize({ width: root.clientWidth, height: this.height(c) });
		}).observe(root);
	}

	height(c) { return (c === this.all[this.all.length - 1] || c.last ? 24 : 0) + (this.root.clientWidth < 600 ? 92 : 104); }

	// build makes the charts of which the run has figures.
	build() {
		const has = ([key]) => this.run.columns[key].some((v) => v !== null && (v !== 0 || !["refused", "hostile_sent", "hostile_taken"].includes(key)));
		const simulated = this.run.mode === "mesh" && !has(["cpu"]); // whose queues are counted, not weighed
		const wanted = CHARTS.map((c) => ({ ...c, series: c.series.filter(has).map(([key, name, color, format, scale, real]) => [key, name, color, simulated ? format : real ?? format, scale]) })).filter((c) => c.series.length && (c.of ?? this.run.mode) === this.run.mode);
		const spec = wanted.map((c) => c.series.map(([key]) => key)).join();
		if (spec === this.spec) return;
		this.spec = spec;
		for (const c of this.all) c.plot.destroy();
		this.all = [];
		this.root.replaceChildren(...wanted.map((c, i) => {
			c.last = i === wanted.length - 1;
			c.values = c.series.map(() => element("b"));
			const figure = element("figure", {}, element("figcaption", {}, element("h3", {}, c.title),
				...c.series.map(([, name, color], k) => element("span", { class: `key ${color.slice(2)}` }, name + " ", c.values[k]))), c.box = element("div", { class: "plot", "aria-hidden": true }));
			this.all.push(c);
			return figure;
		}));
		for (const c of this.all) c.plot = this.plot(c);
	}

	plot(c) {
		const small = this.root.clientWidth < 600, gutter = small ? 46 : 62;
		const ink = (name) => () => colors[name];
		const axis = (scale, side, format, color) => ({ scale, side, ...(c.log ? { splits: (_, __, low, high) => thinned(steps([low, high])), filter: (_, all) => all } : {}), size: gutter, gap: 4, ticks: { show: false }, font: `11px ${colors.font}`, stroke: ink(color), space: 22,
			grid: { show: side === 3, stroke: ink("--line"), width: 1 }, values: (_, all) => all.map((v) => (v === null ? null : short(format)(v))) });
		const right = c.series.find((s) => s[4] === "right");
		const plot = new uPlot({
			width: this.root.clientWidth || 300, height: this.height(c), padding: [8, right ? 0 : gutter, c.last ? 0 : 7, 0], legend: { show: false },
			cursor: { sync: { key: "run" }, drag: { x: false, y: false }, y: false, points: { show: false } },
			scales: {
				x: { time: false, range: () => [this.view.from, this.view.to] },
				left: c.log ? { distr: 3, range: (_, low, high) => (low === null ? [1e5, 1e7] : [low * 0.8, high * 1.25]) } : { range: (_, low, high) => [0, Math.max(high * 1.1, c.series[0][3] === count ? 4 : 1)] },
				right: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] },
			},
			axes: [
				{ size: c.last ? 24 : 0, gap: 4, font: `11px ${colors.font}`, stroke: ink("--soft"), ticks: { show: false }, space: 70, grid: { stroke: ink("--line"), width: 1 },
					values: (_, all) => all.map((v) => (c.last ? (v < 60 ? `${v} s` : clock(v * 1000).replace(/\.0$/, "")) : "")) },
				axis("left", 3, c.series[0][3], "--soft"),
				...(right ? [axis("right", 1, right[3], right[2])] : []),
			],
			series: [{}, ...c.series.map(([, , color, , scale = "left"], i) => ({ scale, stroke: ink(color), width: 1.5, dash: i === 1 ? [5, 2] : undefined, points: { show: false }, spanGaps: Boolean(c.log) }))],
			hooks: {
				drawAxes: [(u) => this.marks(u)],
				draw: [(u) => { if (c.histogram) this.histogram(u); this.playhead(u); }],
				setCursor: [(u) => { if (u === this.all[0]?.plot) { this.hovered = u.cursor.left >= 0 ? u.cursor.idx : null; this.legend(); } }],
			},
		}, this.data(c), c.box);
		plot.over.addEventListener("click", () => this.goto(plot.posToVal(plot.cursor.left, "x") * 1000));
		return plot;
	}

	data(c) { return [this.run.columns.t, ...c.series.map(([key]) => this.run.columns[key])]; }

	// show takes the window of time, in seconds, the shown sample and whether
	// the time stands still there.
	show({ from, to, index, still }) {
		this.build();
		Object.assign(this.view, { from, to, index, at: still ? (this.run.samples[index]?.t ?? 0) / 1000 : null });
		this.stale = this.all.length;
	}

	// draw renews one chart; there are as many frames between samples.
	draw() {
		if (!this.stale) return false;
		this.stale--;
		const c = this.all[this.turn++ % this.all.length];
		if (c) c.plot.setData(this.data(c));
		return this.stale > 0;
	}

	legend() {
		const i = this.hovered ?? this.view.index;
		for (const c of this.all) c.series.forEach(([key, , , format], k) => {
			const v = this.run.columns[key][i];
			const text = v == null ? "-" : format(v);
			if (c.values[k].textContent !== text) c.values[k].textContent = text;
		});
	}

	// marks are lines across all charts, one for those of a kind that are close
	// to each other.
	marks(u) {
		const { ctx: c, bbox: b } = u, near = 8 * devicePixelRatio, drawn = {}, { from, to } = this.view;
		c.save();
		c.lineWidth = devicePixelRatio;
		for (const m of this.run.marks) {
			if (m.t < from * 1000 || m.t > to * 1000) continue;
			const x = Math.round(u.valToPos(m.t / 1000, "x", true));
			if (x - drawn[m.kind] < near) continue;
			drawn[m.kind] = x;
			c.strokeStyle = c.fillStyle = colors[toneOf(m.kind)];
			c.globalAlpha = 0.55;
			c.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
			c.beginPath();
			c.moveTo(x + 0.5, b.top);
			c.lineTo(x + 0.5, b.top + b.height);
			c.stroke();
			if (u !== this.all[0]?.plot) continue;
			c.globalAlpha = 1;
			const r = 4 * devicePixelRatio;
			c.beginPath();
			c.moveTo(x - r, b.top - 1.6 * r);
			c.lineTo(x + r, b.top - 1.6 * r);
			c.lineTo(x, b.top);
			c.fill();
		}
		c.restore();
	}

	playhead(u) {
		if (this.view.at === null) return;
		const { ctx: c, bbox: b } = u, x = Math.round(u.valToPos(this.view.at, "x", true));
		if (x < b.left || x > b.left + b.width) return;
		c.fillStyle = colors["--text"];
		c.fillRect(x - devicePixelRatio / 2, b.top, 1.5 * devicePixelRatio, b.height);
	}

	// histogram is of the last five seconds, on the latency's own axis.
	histogram(u) {
		const bars = addBars(...this.run.recent(this.view.index, 5000).map((s) => s.hist));
		const most = Math.max(...bars.map(([, n]) => n)), { ctx: c, bbox: b } = u;
		const left = b.left + b.width + 4 * devicePixelRatio, width = u.ctx.canvas.width - left - 2;
		c.save();
		c.fillStyle = colors["--c0"];
		c.globalAlpha = 0.75;
		for (const [upper, n] of bars) {
			const [top, bottom] = [upper, upper / BIN].map((v) => Math.max(b.top, Math.min(b.top + b.height, u.valToPos(v, "left", true))));
			c.fillRect(left, top, Math.max((width * n) / most, devicePixelRatio), Math.max(bottom - top, devicePixelRatio));
		}
		c.restore();
	}

	recolor() { for (const c of this.all) c.plot.redraw(); }
}
