// What the page knows of the run, in bounded memory: samples, of which older
// ones are merged in pairs, and with each the mesh as it then was. Samples
// between which nothing changed share one frame, frames share the views that
// did not.
const MOST_SAMPLES = 3000, MOST_MARKS = 2000, MOST_BYTES = 24e6;

const COUNTS = ["delivered", "lost", "late", "drops", "hostile_sent", "hostile_taken", "refused"]; // since the sample before
const LEVELS = ["p50", "p99", "queue", "cpu", "memory"];
const EMPTY = new Uint8Array(0);
const NO_EDGES = new Uint16Array(0);

const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
export const knows = (view, j) => ((view[j >> 3] ?? 0) >> (j & 7)) & 1;

// Frame is the mesh at one time.
class Frame {
	constructor(states, views, ages) { Object.assign(this, { states, views, ages, shares: null }); }

	state(i) { return this.states[i] ?? "-"; }

	// completeness is how much of those who run each peer knows, 0 to 1.
	completeness() {
		if (this.shares) return this.shares;
		const n = this.states.length, alive = new Uint8Array((n + 7) >> 3);
		let members = 0;
		for (let i = 0; i < n; i++) if ("af".includes(this.states[i])) { alive[i >> 3] |= 1 << (i & 7); members++; }
		this.shares = Float32Array.from({ length: n }, (_, i) => {
			if (this.ages) return this.ages[i] === null ? 0 : Math.max(0, 1 - this.ages[i] / 1500);
			const view = this.views[i] ?? EMPTY;
			let known = 0;
			for (let b = 0; b < view.length; b++) for (let x = view[b] & alive[b]; x; x &= x - 1) known++;
			const itself = knows(alive, i);
			return members - itself > 0 ? (known - (knows(view, i) & itself)) / (members - itself) : itself;
		});
		return this.shares;
	}

	// ghosts are how many of the dead somebody has in view who lives.
	ghosts() {
		return [...this.states].filter((state, j) => state === "d" && this.views.some((view, i) => "afp".includes(this.state(i)) && knows(view ?? EMPTY, j))).length;
	}
}

const quantile = (bars, q) => {
	let left = q * bars.reduce((n, [, count]) => n + count, 0);
	for (const [upper, count] of bars) if ((left -= count) <= 0) return upper;
	return null;
};

export const addBars = (...all) => {
	const sum = new Map();
	for (const bars of all) for (const [upper, count] of bars ?? []) sum.set(upper, (sum.get(upper) ?? 0) + count);
	return [...sum].sort((a, b) => a[0] - b[0]);
};

// merged is two neighbours as one: counts are added, levels are the higher.
const merged = (a, b) => {
	const s = { ...b, seconds: a.seconds + b.seconds, hist: addBars(a.hist, b.hist), edges: b.edges.length ? b.edges : a.edges };
	for (const k of COUNTS) if (a[k] !== undefined || b[k] !== undefined) s[k] = (a[k] ?? 0) + (b[k] ?? 0);
	for (const k of LEVELS) s[k] = a[k] == null ? b[k] : b[k] == null ? a[k] : Math.max(a[k], b[k]);
	s.p50 = quantile(s.hist, 0.5) ?? s.p50;
	return s;
};

export class Run {
	constructor() { this.reset({}); }

	reset({ title = "", control = false, server = false, peers = [], samples = [], marks = [], over = false, seq = 0, report = false }) {
		Object.assign(this, { title, control, server, peers, assertions: [], seq, over, report, samples: [], marks: [], totals: {}, bytes: 0, frame: new Frame("", [], null), version: (this.version ?? 0) + 1, gaps: this.gaps ?? 0 });
		this.columns = Object.fromEntries(["t", ...COUNTS, ...LEVELS].map((k) => [k, []]));
		for (const s of samples) this.push(s);
		for (const m of marks) this.mark(m);
	}

	get last() { return this.samples[this.samples.length - 1]; }
	get end() { return this.last?.t ?? 0; }

	add(sample) { this.push(sample); this.seq = sample.seq; this.version++; }

	push({ seq, edges, states, views, ages, ...s }) {
		const f = this.frame;
		if (states || views || ages) {
			const rows = f.views.slice();
			for (const [i, view] of Object.entries(views ?? {})) { rows[i] = decode(view); this.bytes += rows[i].length + 64; }
			this.frame = new Frame(states ?? f.states, rows, ages ?? f.ages);
			this.bytes += rows.length * 8;
		}
		if (s.assertions) this.assertions = s.assertions;
		s.assertions = this.assertions; // as they stood then
		s.seconds = Math.max((s.t - this.end) / 1000, 1e-3);
		s.edges = edges?.length ? Uint16Array.from(edges.flat()) : NO_EDGES;
		s.frame = this.frame;
		this.samples.push(s);
		for (const k of COUNTS) this.totals[k] = (this.totals[k] ?? 0) + (s[k] ?? 0);
		this.column(s);
		if (this.samples.length > MOST_SAMPLES || this.bytes > MOST_BYTES) this.thin();
	}

	column(s) {
		this.columns.t.push(s.t / 1000);
		for (const k of COUNTS) this.columns[k].push(s[k] === undefined ? null : s[k] / s.seconds);
		for (const k of LEVELS) this.columns[k].push(s[k] ?? null);
	}

	// thin merges the older half in pairs.
	thin() {
		const half = this.samples.length >> 1, kept = [];
		for (let i = 0; i + 1 < half; i += 2) kept.push(merged(this.samples[i], this.samples[i + 1]));
		this.samples.splice(0, half & ~1, ...kept);
		for (const k in this.columns) this.columns[k].length = 0;
		for (const s of this.samples) this.column(s);
		this.bytes = this.weight();
	}

	weight() {
		const seen = new Set();
		let bytes = 0;
		for (const { frame } of this.samples) {
			if (seen.has(frame)) continue;
			seen.add(frame);
			bytes += frame.views.length * 8;
			for (const v of frame.views) if (v && !seen.has(v)) { seen.add(v); bytes += v.length + 64; }
		}
		return bytes;
	}

	mark(m) {
		this.marks.push(m);
		if (m.kind === "order") this.touched = true;
		if (this.marks.length > MOST_MARKS) this.marks.splice(0, MOST_MARKS >> 2);
		this.seq = Math.max(this.seq, m.seq ?? 0);
		this.version++;
	}

	// index is the last sample that is not after t, in ms.
	index(t) {
		let low = 0, high = this.samples.length - 1;
		while (low < high) {
			const mid = (low + high + 1) >> 1;
			if (this.samples[mid].t <= t) low = mid; else high = mid - 1;
		}
		return high < 0 ? -1 : low;
	}

	// recent are the samples of the milliseconds before the i-th.
	recent(i, milliseconds) {
		let from = i;
		while (from > 0 && this.samples[from - 1].t > this.samples[i].t - milliseconds) from--;
		return i < 0 ? [] : this.samples.slice(from, i + 1);
	}
}
