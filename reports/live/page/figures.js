"use strict";
// What reports and the live page share; a classic script, so that the page's
// modules and the scripts in a report see these names alike.
const color = (i) => `var(--c${Math.min(i, 7)})`;

// Figures as people read them: three significant digits, the unit that fits.
const digits = (v) => {
	v = Number(v.toPrecision(3));
	const a = Math.abs(v);
	return a >= 100 || a === 0 ? v.toLocaleString("en-US", { maximumFractionDigits: 0 }) : a >= 10 ? v.toFixed(1) : a >= 1 ? v.toFixed(2) : String(v);
};
const ladder = (v, steps) => {
	if (v === 0) return "0 " + steps.find(([from]) => from === 1)[1];
	const r = Math.abs(Number(v.toPrecision(3)));
	const [from, unit] = steps.find(([f]) => r >= f * (1 - 1e-9)) ?? steps[steps.length - 1];
	return digits(v / from) + " " + unit;
};
const time = (v) => ladder(v, [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]]);
const rate = (v) => ladder(v, [[1e6, "M/s"], [1e3, "k/s"], [1, "/s"]]);
const size = (v) => ladder(v, [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]]);
const percent = (v) => digits(v * 100) + " %";
const round = (text) => text.replace(/(\.\d*?)0+(?= )/, "$1").replace(/\.(?= )/, ""); // 1.00 ms: 1 ms
// span is the unit for a linear axis that reaches to max seconds.
const span = (max) => [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]].find(([f]) => max >= f) ?? [1e-9, "ns"];

const element = (tag, attributes = {}, ...children) => {
	const e = document.createElement(tag);
	for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
	e.append(...children);
	return e;
};

// steps are 1, 2 and 5 of each decade, or 1 alone where those are many; where they are few, equal ones.
const steps = (values) => {
	const [low, high] = [Math.min(...values), Math.max(...values)];
	const all = (mantissas) => {
		const out = [];
		for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) for (const m of mantissas) out.push(Number(`${m}e${e}`));
		return out.filter((v) => v >= low * 0.999 && v <= high * 1.001);
	};
	const usual = all([1, 2, 5]);
	if (usual.length > 2 || !(high > low)) return usual.length > 9 ? all([1]) : usual;
	const least = (high - low) / 4, decade = 10 ** Math.floor(Math.log10(least));
	const step = [1, 2, 5, 10].map((m) => m * decade).find((v) => v >= least * 0.999);
	const count = Math.floor(high / step * 1.000001) - Math.ceil(low / step * 0.999999) + 1;
	return [...Array(count).keys()].map((k) => Number(((Math.ceil(low / step * 0.999999) + k) * step).toPrecision(6)));
};
