// First there is something to see, then what makes it live.
const script = (src) => new Promise((loaded) => {
	const s = document.createElement("script");
	s.src = src;
	s.onload = loaded;
	document.head.append(s);
});
const start = async () => {
	await Promise.all(["figures.js", "vendor/uPlot.iife.min.js"].map(script));
	import("./main.js");
};
if (document.hidden) start();
else requestAnimationFrame(() => setTimeout(start));
