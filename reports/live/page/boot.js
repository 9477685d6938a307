// First there is something to see, then what makes it live.
const script = (src) => new Promise((loaded) => {
	const s = document.createElement("script");
	s.src = src;
	s.onload = loaded;
	document.head.append(s);
});
let started = false;
const start = async () => {
	if (started) return;
	started = true;
	await Promise.all(["figures.js", "vendor/uPlot.iife.min.js"].map(script));
	import("./main.js");
};
if (document.hidden) start(); // nothing is painted
else {
	new PerformanceObserver(start).observe({ type: "paint", buffered: true });
	setTimeout(start, 500); // should nobody tell
}
