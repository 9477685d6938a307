// The mesh as pictures: peers on a ring round the server, and the matrix of
// views. Both are canvases; what can be focused on the ring are elements that
// lie on it.
import { knows } from "./store.js";
import { colors, stage, roving, reduced } from "./look.js";

const FADE = 450; // ms that a message stays on the ring
const BEND = 0.35; // of the way from the centre that its curve is drawn towards
const SHADES = 6;

export const stateWords = { a: "alive", f: "removed though alive", d: "dead", p: "paused", "-": "not born yet" };

export class Ring {
	constructor(root, { select, act }) {
		this.root = root;
		this.options = root.querySelector("[role=listbox]");
		const [under, over] = root.querySelectorAll("canvas");
		this.links = stage(root, under, () => (this.sent = null));
		this.stage = stage(root, over, () => this.place());
		this.filled = []; // what is drawn of completeness, on its way to what is
		roving(this.options, { moved: (o) => select(Number(o.dataset.peer)), entered: act });
		this.said = 0;
	}

	// peers makes an element for each.
	peers(names) {
		this.names = names;
		this.filled = names.map(() => 0);
		this.options.replaceChildren(...names.map((name, i) => element("li", { role: "option", tabindex: i ? -1 : 0, "data-peer": i, "data-key": name, "aria-selected": false, "aria-label": name })));
		this.place();
	}

	place() {
		this.restyle();
		const { width, height } = this.stage, n = this.names?.length ?? 0;
		if (!n || !width) return;
		const room = Math.min(width, height) / 2;
		this.named = n <= 128;
		this.middle = [width / 2, height / 2];
		this.dot = Math.max(2, Math.min(13, (Math.PI * (room - 20)) / n * 0.8, room / 6));
		this.radius = room - this.dot - (this.named ? 15 : 6);
		this.at = this.names.map((_, i) => {
			const a = (i / n) * 2 * Math.PI - Math.PI / 2;
			return [this.middle[0] + this.radius * Math.cos(a), this.middle[1] + this.radius * Math.sin(a), a];
		});
		const size = Math.max(2 * this.dot, 8);
		[...this.options.children].forEach((o, i) => {
			o.style.width = o.style.height = `${size}px`;
			o.style.transform = `translate(${this.at[i][0] - size / 2}px, ${this.at[i][1] - size / 2}px)`;
		});
	}

	// show takes what is to be drawn: a frame, and the samples whose messages
	// are still under way. moving is false while the time stands still.
	show(frame, recent, moving, selected) {
		this.stale ||= frame !== this.frame || selected !== this.selected;
		Object.assign(this, { frame, selected });
		this.messages(recent, moving && !reduced());
	}

	restyle() { this.stale = true; this.sent = null; }

	// speak renews the names that a screen reader says.
	speak() {
		if (!this.names) return;
		const shares = this.frame.completeness();
		[...this.options.children].forEach((o, i) => {
			const state = this.frame.state(i);
			const label = `${this.names[i]}, ${stateWords[state]}${"apf".includes(state) ? `, knows ${percent(shares[i])}` : ""}`;
			if (o.getAttribute("aria-label") !== label) { o.setAttribute("aria-label", label); o.title = label; }
			if ((o.getAttribute("aria-selected") === "true") !== (i === this.selected)) o.setAttribute("aria-selected", i === this.selected);
		});
	}

	// draw paints the peers anew if they have changed, and says whether
	// something still moves.
	draw() {
		if (!this.at || this.at.length !== this.names.length) return false;
		const shares = this.frame.completeness();
		let busy = false;
		this.names.forEach((_, i) => {
			const want = "apf".includes(this.frame.state(i)) ? shares[i] : 0, step = want - this.filled[i];
			if (step === 0) return;
			this.stale = true;
			if (Math.abs(step) < 0.01 || this.frame.ages || reduced()) this.filled[i] = want;
			else { this.filled[i] += step * 0.25; busy = true; }
		});
		if (!this.stale) return false;
		this.stale = false;
		const { context: c, width, height } = this.stage.begin();
		c.clearRect(0, 0, width, height);
		this.names.forEach((_, i) => this.peer(c, i, this.frame.state(i)));
		this.server(c);
		return busy;
	}

	// messages draws those of the last samples. That they fade is the canvas's
	// own opacity: nothing is drawn for that.
	messages(recent, moving) {
		const last = recent[recent.length - 1]?.t ?? 0, sets = this.at ? recent.filter((s) => s.edges.length && last - s.t <= FADE) : [];
		const what = `${moving ? sets[sets.length - 1]?.t : last} ${moving} ${this.selected}`;
		if (what === this.sent) return;
		this.sent = what;
		const { context: c, canvas, width, height } = this.links.begin(), [x, y] = this.middle ?? [];
		const paths = Array.from({ length: SHADES }, () => null), own = new Path2D();
		c.clearRect(0, 0, width, height);
		for (const s of sets) for (let k = 0; k < s.edges.length; k += 3) {
			const from = this.at[s.edges[k]] ?? this.middle, to = this.at[s.edges[k + 1]] ?? this.middle;
			const weight = (moving ? 1 - (last - s.t) / FADE : 0.7) * Math.min(1, 0.5 + s.edges[k + 2] / 8);
			const mine = this.selected !== null && (s.edges[k] === this.selected || s.edges[k + 1] === this.selected);
			const p = mine ? own : (paths[Math.min(SHADES - 1, Math.floor(weight * SHADES))] ??= new Path2D());
			p.moveTo(from[0], from[1]);
			p.quadraticCurveTo(x + BEND * ((from[0] + to[0]) / 2 - x), y + BEND * ((from[1] + to[1]) / 2 - y), to[0], to[1]);
		}
		c.lineWidth = 1;
		c.strokeStyle = colors["--c0"];
		paths.forEach((p, i) => { if (p) { c.globalAlpha = ((i + 0.5) / SHADES) * 0.5; c.stroke(p); } });
		[c.globalAlpha, c.strokeStyle, c.lineWidth] = [1, colors["--c1"], 1.5];
		c.stroke(own);
		this.fading?.cancel();
		if (moving && sets.length) this.fading = canvas.animate({ opacity: [1, 0] }, { duration: FADE, fill: "forwards" });
	}

	peer(c, i, state) {
		const [x, y, a] = this.at[i], r = this.dot;
		const chosen = i === this.selected;
		c.beginPath();
		if (state === "-") {
			c.arc(x, y, Math.min(2, r / 2), 0, 7);
			c.fillStyle = colors["--soft"];
			c.fill();
		} else {
			c.arc(x, y, r - 0.75, 0, 7);
			c.fillStyle = colors["--back"];
			c.fill();
			if (state === "p") this.hatch(c, x, y, r);
			else if (state !== "d" && this.filled[i] > 0) {
				c.beginPath();
				c.moveTo(x, y);
				c.arc(x, y, r - 0.75, -Math.PI / 2, -Math.PI / 2 + this.filled[i] * 2 * Math.PI);
				c.fillStyle = colors["--c0"];
				c.fill();
			}
			c.beginPath();
			c.arc(x, y, r - 0.75, 0, 7);
			c.lineWidth = 1.5;
			c.strokeStyle = colors[state === "d" ? "--soft" : state === "p" ? "--c1" : "--c0"];
			c.stroke();
			if (state === "f") {
				c.beginPath();
				c.arc(x, y, r + 2, 0, 7);
				c.lineWidth = 3;
				c.strokeStyle = colors["--bad"];
				c.stroke();
			}
		}
		if (chosen) {
			c.beginPath();
			c.arc(x, y, r + 4, 0, 7);
			c.lineWidth = 2;
			c.strokeStyle = colors["--text"];
			c.stroke();
		}
		if (!this.named) return;
		const far = this.radius + r + 8;
		c.fillStyle = colors[state === "f" ? "--bad" : chosen ? "--text" : "--soft"];
		c.font = `${chosen || state === "f" ? "700 " : ""}${r < 5 ? 9 : 11}px ${colors.font}`;
		c.textAlign = "center";
		c.textBaseline = "middle";
		c.fillText(this.names[i].slice(0, 2), this.middle[0] + far * Math.cos(a), this.middle[1] + far * Math.sin(a));
	}

	hatch(c, x, y, r) {
		c.save();
		c.clip();
		c.beginPath();
		for (let d = -2 * r; d < 2 * r; d += 3.5) { c.moveTo(x + d - r, y + r); c.lineTo(x + d + r, y - r); }
		c.lineWidth = 1.25;
		c.strokeStyle = colors["--c1"];
		c.stroke();
		c.restore();
	}

	server(c) {
		const [x, y] = this.middle;
		c.font = `600 11px ${colors.font}`;
		const half = c.measureText("server").width / 2 + 8;
		c.fillStyle = colors["--panel"];
		c.strokeStyle = colors["--soft"];
		c.lineWidth = 1.5;
		c.beginPath();
		c.roundRect(x - half, y - 12, 2 * half, 24, 5);
		c.fill();
		c.stroke();
		c.fillStyle = colors["--text"];
		c.textAlign = "center";
		c.textBaseline = "middle";
		c.fillText("server", x, y + 0.5);
	}
}

// Matrix is who knows whom: a row for each peer's view.
export class Matrix {
	constructor(root, { select }) {
		this.root = root;
		this.caption = root.querySelector("output");
		this.stage = stage(root.querySelector(".canvas"), root.querySelector("canvas"), () => (this.drawn = null));
		this.cells = document.createElement("canvas");
		this.over = null;
		const canvas = this.stage.canvas;
		const at = (event) => {
			const n = this.names?.length ?? 0, box = canvas.getBoundingClientRect();
			const cell = [event.clientY - box.top, event.clientX - box.left].map((v, i) => Math.floor((v - this.origin) / this.cell));
			return cell.every((v) => v >= 0 && v < n) ? cell : null;
		};
		canvas.addEventListener("pointermove", (event) => this.point(at(event)));
		canvas.addEventListener("pointerleave", () => this.point(null));
		canvas.addEventListener("click", (event) => { const cell = at(event); if (cell) { this.point(cell); select(cell[0]); } });
		root.querySelector(".canvas").addEventListener("keydown", (event) => {
			const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
			if (!move && event.key !== "Enter") return;
			event.preventDefault();
			event.stopPropagation();
			if (!move) return void (this.over && select(this.over[0]));
			const most = this.names.length - 1;
			this.point((this.over ?? [0, 0]).map((v, i) => Math.min(Math.max(v + (this.over ? move[i] : 0), 0), most)));
		});
	}

	peers(names) { this.names = names; this.over = this.drawn = null; }

	point(cell) {
		if (String(cell) === String(this.over)) return;
		this.over = cell;
		this.drawn = null;
		this.describe();
		this.changed?.();
	}

	describe() {
		const text = this.described();
		if (this.caption.textContent !== text) this.caption.textContent = text; // it is said aloud
	}

	described() {
		if (!this.over || !this.frame) return "A row is a peer's view: whom it knows.";
		const [i, j] = this.over, [a, b] = [this.names[i], this.names[j]];
		const state = this.frame.state(i);
		return "-d".includes(state) ? `${a} is ${stateWords[state]}` : i === j ? `${a} itself` :
			`${a} ${knows(this.frame.views[i] ?? [], j) ? "knows" : "does not know"} ${b}, ${stateWords[this.frame.state(j)]}`;
	}

	draw(frame, selected) {
		if (!this.names?.length || !this.stage.width || (this.drawn === frame && this.chosen === selected)) return;
		Object.assign(this, { frame, drawn: frame, chosen: selected });
		this.describe();
		const n = this.names.length, { context: c, width, height } = this.stage.begin();
		c.clearRect(0, 0, width, height);
		this.origin = n <= 128 ? 16 : 4;
		this.cell = (Math.min(width, height) - this.origin - 2) / n;
		if (this.cell > 3) this.cell = Math.floor(this.cell * 4) / 4;
		this.paint(frame, n);
		c.imageSmoothingEnabled = false;
		c.drawImage(this.cells, this.origin, this.origin, this.cell * n, this.cell * n);
		this.rulers(c, n);
		for (const [row, column, stroke] of [[selected, null, "--c1"], [this.over?.[0] ?? null, this.over?.[1] ?? null, "--text"]]) {
			c.strokeStyle = colors[stroke];
			c.lineWidth = 1.5;
			if (row !== null) c.strokeRect(this.origin - 1, this.origin + row * this.cell - 1, n * this.cell + 2, this.cell + 2);
			if (column !== null) c.strokeRect(this.origin + column * this.cell - 1, this.origin - 1, this.cell + 2, n * this.cell + 2);
		}
	}

	// paint makes a picture of a pixel a cell.
	paint(frame, n) {
		const rgb = (name) => colors.rgb(name);
		const [known, unknown, stale, absent, self] = ["--c0", "--none", "--bad", "--back", "--line"].map(rgb);
		const image = new ImageData(n, n), pixels = new Uint32Array(image.data.buffer);
		for (let i = 0; i < n; i++) {
			const lives = !"-d".includes(frame.state(i)), view = frame.views[i] ?? [];
			for (let j = 0; j < n; j++) {
				const there = !"-d".includes(frame.state(j));
				pixels[i * n + j] = !lives ? absent : i === j ? self : knows(view, j) ? (there ? known : stale) : there ? unknown : absent;
			}
		}
		if (this.cells.width !== n) this.cells.width = this.cells.height = n;
		this.cells.getContext("2d").putImageData(image, 0, 0);
	}

	rulers(c, n) {
		c.strokeStyle = colors["--line"];
		c.lineWidth = 1;
		c.strokeRect(this.origin - 0.5, this.origin - 0.5, n * this.cell + 1, n * this.cell + 1);
		if (this.origin < 16) return;
		c.fillStyle = colors["--soft"];
		c.font = `10px ${colors.font}`;
		c.textAlign = "center";
		c.textBaseline = "middle";
		for (let i = 0, every = Math.ceil(11 / this.cell); i < n; i += every) {
			const at = this.origin + (i + 0.5) * this.cell;
			c.fillText(this.names[i].slice(0, 2), at, 8);
			c.fillText(this.names[i].slice(0, 2), 8, at);
		}
	}
}
