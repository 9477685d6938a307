// The page: what is shown of the run, and when.
import { Run } from "./store.js";
import { follow, token } from "./feed.js";
import { readColors, roving } from "./look.js";
import { Ring, Matrix } from "./mesh.js";
import { Charts, clock, toneOf } from "./charts.js";
import { Hands } from "./hands.js";

const $ = (id) => document.getElementById(id);
const MINUTE = 60_000, FLOW = 500; // ms of the time axis, and of messages on the ring
const SHOWN_EVENTS = 200, TOGETHER = 1000, NAMED = 12; // events of a kind within these ms are one line, a few with their names
const REPORT_AFTER = 5; // s

readColors();
const run = new Run();
let at = null; // ms that is looked at; null: now
let selected = null;
let drawn = -1; // the version of the run that is on the screen
let requested = false;

const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };

const ring = new Ring(document.querySelector("#ring .canvas"), { select, act: () => { if (run.control) $("hands").querySelector("button").focus(); } });
const matrix = new Matrix($("matrix"), { select });
const charts = new Charts(document.querySelector("#charts .all"), run, { goto: (t) => look(t) });
const hands = new Hands($("hands"), { select: (i) => select(i < 0 ? null : i), obeyed: () => { run.touched = true; changed(); } });

// The time that is shown.
const shown = () => {
	const i = at === null ? run.samples.length - 1 : run.index(at);
	return { i, sample: run.samples[i], frame: i < 0 ? run.frame : run.samples[i].frame };
};

function look(t) {
	at = t === null ? null : Math.max(run.samples[0]?.t ?? 0, Math.min(t, run.end));
	stay();
	changed();
}

function select(i) {
	selected = i;
	hands.select(i);
	changed();
}

// changed draws what changed at the next frame.
function changed() {
	drawn = -1;
	kick();
}

function kick() {
	if (requested) return;
	requested = true;
	requestAnimationFrame(frame);
}

function frame() {
	requested = false;
	if (drawn !== run.version) {
		drawn = run.version;
		const { i, sample, frame } = shown();
		ring.show(frame, run.recent(i, FLOW), at === null, selected);
		header(sample, frame, i);
		// The axis ends at a whole second, so that it moves once a second.
		const whole = $("whole").checked, second = (t) => Math.ceil(t / 1000) * 1000, end = Math.max(second(run.end), 5000);
		const to = whole || at === null ? end : Math.min(end, Math.max(second(at) + MINUTE / 3, Math.min(MINUTE, end)));
		charts.show({ from: whole ? 0 : Math.max(0, (to - MINUTE) / 1000), to: to / 1000, index: i, still: at !== null });
		matrix.draw(frame, selected);
	}
	let busy = ring.draw();
	busy = charts.draw() || busy;
	if (busy) kick();
}
matrix.changed = changed;

// Texts are renewed four times a second: nobody reads faster.
let written = 0, writing = 0;
function header(sample, frame, i) {
	clearTimeout(writing);
	const wait = written + (at === null ? 250 : 0) - performance.now();
	if (wait > 0) return void (writing = setTimeout(() => { const s = shown(); header(s.sample, s.frame, s.i); }, wait));
	written = performance.now();
	transport(sample);
	if (!sample) return;
	set($("headline"), sample.headline || run.title);
	const left = sample.left == null ? "" : ` · ${clock(Math.ceil(sample.left / 1000) * 1000).replace(/\.0/, "")} left`;
	set($("doing"), run.over && at === null ? sample.doing : `${sample.phase && !sample.doing?.startsWith(sample.phase) ? sample.phase + ": " : ""}${sample.doing ?? ""}${left}${!sample.load ? "" : ` · load ${sample.load.toFixed(1)}`}`);
	$("touched").hidden = !run.touched;
	assertions(sample.assertions);
	figures(sample, frame, i);
	ring.speak();
	charts.legend();
	if (run.mode === "server") ages(frame);
}

function assertions(all) {
	const list = $("assertions");
	list.hidden = !all.length;
	const signs = { held: "✓ held", failed: "✗ failed", open: "… open" };
	while (list.children.length > all.length) list.lastChild.remove();
	all.forEach(({ text, state }, i) => {
		const tile = list.children[i] ?? list.appendChild(element("li", {}, element("b"), " ", element("code")));
		if (state === "failed" && tile.className === "open" && at === null) announce(tile);
		if (tile.className !== state) tile.className = state;
		set(tile.firstChild, signs[state] ?? state);
		set(tile.lastChild, text);
	});
}

function figures(sample, frame, i) {
	const counted = (v) => Math.round(v).toLocaleString("en-US");
	const of = (states) => [...frame.states].filter((s) => states.includes(s)).length;
	const sum = (key) => counted(at === null ? run.totals[key] ?? 0 : run.samples.slice(0, i + 1).reduce((n, s) => n + (s[key] ?? 0), 0));
	const alive = of("af"), removed = of("f");
	const complete = frame.completeness().reduce((n, share, k) => n + ("af".includes(frame.state(k)) && share > 0.9999), 0);
	const latest = (key) => { for (let k = i; k >= 0 && run.samples[k].t > sample.t - 5000; k--) if (run.samples[k][key] != null) return time(run.samples[k][key] / 1e9); return "-"; };
	const all = run.mode === "server" ? [["members", counted(alive)], ["refused in all", sum("refused")]] : [
		["complete views", `${complete} of ${alive}`], ["delivered in all", sum("delivered")], ["lost", sum("lost")], ["late", sum("late")],
		["p50", latest("p50")], ["p99", latest("p99")], ["removed though alive", counted(removed)], ["known though dead", counted(frame.ghosts())]];
	const list = $("figures");
	while (list.children.length > all.length) list.lastChild.remove();
	all.forEach(([name, value], k) => {
		const box = list.children[k] ?? list.appendChild(element("div", {}, element("dt"), element("dd")));
		set(box.firstChild, name);
		set(box.lastChild, value);
		box.lastChild.classList.toggle("bad", (name === "lost" || name === "removed though alive") && value !== "0");
	});
}

function ages(frame) {
	const rows = (frame.ages ?? []).map((age, i) => [run.peers[i], age]).filter((_, i) => !"-d".includes(frame.state(i))).sort((a, b) => b[1] - a[1]);
	const body = $("ages").querySelector("tbody");
	while (body.rows.length > rows.length) body.lastChild.remove();
	rows.forEach(([name, age], k) => {
		const row = body.rows[k] ?? body.appendChild(element("tr", {}, element("th", { scope: "row" }), element("td"), element("td", {}, element("meter", { min: 0, max: 2000, low: 1000, high: 1500, optimum: 0 }))));
		set(row.cells[0], name);
		set(row.cells[1], `${time(age / 1000)} ago`);
		row.cells[2].firstChild.value = age;
		row.cells[2].firstChild.setAttribute("aria-label", `silence of ${name}`);
	});
}

function transport(sample) {
	const t = sample?.t ?? 0, slider = $("at");
	slider.min = run.samples[0]?.t ?? 0;
	slider.max = run.end;
	slider.value = t;
	slider.setAttribute("aria-valuetext", at === null ? "now" : clock(t)); // not a number whenever one comes
	set($("time"), clock(t));
	set($("pause"), at === null ? "Pause" : "Go on");
	$("pause").setAttribute("aria-pressed", at !== null);
	$("now").disabled = at === null;
}

// Events: a list, and what a screen reader is told. A burst is one line.
const list = $("events").querySelector("ul");
let latest = null, unsaid = [], saying = 0;
function event(m, aloud) {
	if (latest && latest.kind === m.kind && m.t - latest.t < TOGETHER && ["join", "removal", "kill", "standstill"].includes(m.kind)) {
		latest.of.push(run.peers[m.peer] ?? "");
		set(latest.node.lastChild, `${latest.of.length} × ${m.kind}${latest.of.length > NAMED ? "" : ": " + latest.of.join(" ")}`);
	} else {
		const tone = toneOf(m.kind).slice(2);
		const node = element("li", { role: "option", tabindex: list.children.length ? -1 : 0, "aria-selected": "false", "data-t": m.t, "data-peer": m.peer ?? "", class: tone === "bad" ? "bad-tone" : tone }, element("time", {}, clock(m.t)), element("span", {}, m.text));
		const end = list.scrollTop + list.clientHeight > list.scrollHeight - 30;
		list.append(node);
		if (list.children.length > SHOWN_EVENTS) { const first = list.firstChild; if (first.tabIndex === 0) first.nextSibling.tabIndex = 0; first.remove(); }
		if (end) list.scrollTop = list.scrollHeight;
		latest = { kind: m.kind, t: m.t, of: [run.peers[m.peer] ?? ""], node };
	}
	if (aloud) announce(latest.node.lastChild);
}
// announce says what stands in a node before long, together with what else has happened by then.
function announce(node) {
	unsaid.push(node);
	saying ||= setTimeout(() => {
		const lines = [...new Set(unsaid)].map((n) => n.textContent);
		say(lines.length > 4 ? `${lines.length} events, the last: ${lines[lines.length - 1]}` : lines.join(". "));
		[unsaid, saying] = [[], 0];
	}, 700);
}
const say = (text) => set($("says"), text);
roving(list, { clicked: (li) => {
	for (const o of list.querySelectorAll("[aria-selected=true]")) o.setAttribute("aria-selected", "false");
	li.setAttribute("aria-selected", "true");
	if (li.dataset.peer !== "") select(Number(li.dataset.peer));
	look(Number(li.dataset.t));
} });

// The end: the page becomes the report, unless one wants to stay.
let leaving = 0;
const report = () => { location.href = `report?token=${encodeURIComponent(token)}`; };
function stay() {
	if (!leaving) return;
	clearInterval(leaving);
	leaving = 0;
	ended(null);
}
function ended(seconds) {
	const notice = $("notice");
	notice.hidden = false;
	notice.className = "";
	const open = element("button", {}, "Open the report");
	open.onclick = report;
	notice.replaceChildren(run.report ? (seconds === null ? "The run is over." : `The run is over. Its report follows in ${seconds} s.`) : "The run is over.", ...(run.report ? [open] : []));
	if (seconds === null) return;
	const remain = element("button", {}, "Stay here");
	remain.onclick = stay;
	notice.append(remain);
}
function over() {
	badge("ended", "");
	if (!run.report || at !== null || document.hidden) { say("The run is over."); return ended(null); }
	let left = REPORT_AFTER;
	ended(left);
	say($("notice").firstChild.data); // once, not with every second
	leaving = setInterval(() => { if (--left <= 0) { stay(); report(); } else $("notice").firstChild.data = `The run is over. Its report follows in ${left} s.`; }, 1000);
}

const badge = (text, tone) => { const b = $("connection"); set(b, text); b.className = `badge ${tone}`; };
const notice = (text) => { const n = $("notice"); n.hidden = !text; n.className = "lost"; set(n, text); };
let counting = 0;
function status(state, detail) {
	clearInterval(counting);
	if (state === "open") { badge("live", "good"); notice(""); if ($("says").textContent.startsWith("Connection")) say("Connected again."); return; }
	if (state === "refused") { badge("refused", "bad"); notice(detail); say(detail); return; }
	badge("connection lost", "bad");
	say("Connection lost.");
	const until = performance.now() + detail;
	const tell = () => notice(`Connection lost. Trying again ${until - performance.now() > 950 ? `in ${Math.round((until - performance.now()) / 1000)} s` : "now"}; what is missing comes then.`);
	tell();
	counting = setInterval(tell, 1000);
}

follow(run, {
	snapshot(data) {
		const same = String(run.peers) === String(data.peers) && ring.names;
		run.reset(data);
		mode(run.frame.ages);
		set($("title"), `${run.title || "live"}`);
		document.title = `${run.title}: live`;
		$("hands").hidden = !run.control;
		$("server-hands").hidden = !run.server;
		if (!same) {
			ring.peers(run.peers);
			matrix.peers(run.peers);
			hands.peers(run.peers);
			selected = null;
		}
		list.replaceChildren();
		latest = null;
		for (const m of run.marks.slice(-2 * SHOWN_EVENTS)) event(m, false);
		list.scrollTop = list.scrollHeight;
		if (run.over) over();
		fresh();
	},
	sample(data) {
		if (data.ages) mode(true);
		run.add(data);
		fresh();
	},
	mark(data) { run.mark(data); event(data, true); fresh(); },
	over(data) { run.over = true; run.report = data.report; over(); fresh(); },
}, status);

// mode hides what there is only of a mesh, or only of a server.
function mode(ages) {
	run.mode = ages ? "server" : "mesh";
	document.body.dataset.mode = run.mode;
}

function fresh() {
	document.documentElement.dataset.seq = run.seq;
	kick();
}

// Keys, where no element has its own use for them.
const step = (n) => look(run.samples[Math.max(0, Math.min(shown().i + n, run.samples.length - 1))]?.t ?? null);
const jump = (back) => {
	const now = shown().sample?.t ?? 0, times = run.marks.map((m) => m.t).filter((t) => (back ? run.index(t) < run.index(now) : run.index(t) > run.index(now)));
	if (times.length) look(back ? Math.max(...times) : Math.min(...times));
};
const keys = {
	" ": () => look(at === null ? run.end : null),
	ArrowLeft: (event) => step(event.shiftKey ? -10 : -1),
	ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
	PageUp: () => jump(true),
	PageDown: () => jump(false),
	Home: () => look(0),
	End: () => look(null),
};
addEventListener("keydown", (event) => {
	const slider = event.target.id === "at";
	if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
	if (!slider && event.target.closest("select, textarea, input, summary, [role=listbox], #hands") || event.key === " " && event.target.closest("button")) return;
	event.preventDefault();
	keys[event.key](event);
});
$("pause").onclick = keys[" "];
$("now").onclick = keys.End;
$("at").oninput = (event) => look(Number(event.target.value));
$("whole").onchange = changed;

const restyle = () => { readColors(); charts.recolor(); ring.restyle(); matrix.drawn = null; changed(); };
for (const query of ["(prefers-color-scheme: dark)", "(prefers-reduced-motion: reduce)"]) matchMedia(query).addEventListener("change", restyle);
for (const s of [ring.stage, matrix.stage]) s.resized = changed;
// page is for tests and for whoever looks with the browser's own tools.
globalThis.page = { run, ring, matrix, charts };
