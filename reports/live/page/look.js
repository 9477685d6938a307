// What the drawing modules share: colours of the style sheet, canvases as
// sharp as the screen, and lists of which one element has the focus.
export const colors = {};

const read = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

// readColors takes them from the style sheet, which knows dark and light.
export const readColors = () => {
	const style = getComputedStyle(document.documentElement);
	for (const name of ["back", "text", "soft", "line", "panel", "bad", "good", "none", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"])
		colors[`--${name}`] = style.getPropertyValue(`--${name}`).trim();
	colors.font = getComputedStyle(document.body).fontFamily;
};

// rgb is a colour as a pixel.
colors.rgb = (name) => {
	read.fillStyle = colors[name];
	read.fillRect(0, 0, 1, 1);
	return new Uint32Array(read.getImageData(0, 0, 1, 1).data.buffer)[0];
};

const motion = matchMedia("(prefers-reduced-motion: reduce)");
export const reduced = () => motion.matches;

// stage keeps a canvas as large as the element that it is in.
export const stage = (root, canvas, resized) => {
	const s = { canvas, context: canvas.getContext("2d"), width: 0, height: 0 };
	let stale = true;
	new ResizeObserver(() => {
		[s.width, s.height] = [root.clientWidth, root.clientHeight];
		stale = true;
		resized();
		s.resized?.();
	}).observe(root);
	s.begin = () => {
		const ratio = devicePixelRatio;
		if (stale || s.ratio !== ratio) {
			[canvas.width, canvas.height, s.ratio, stale] = [Math.round(s.width * ratio), Math.round(s.height * ratio), ratio, false];
		}
		s.context.setTransform(ratio, 0, 0, ratio, 0, 0);
		return s;
	};
	return s;
};

// roving makes a listbox of which the arrow keys move the focus; a letter goes
// to the option that has it for its key.
export const roving = (list, { moved = () => {}, clicked = () => {}, entered = clicked }) => {
	const to = (option) => {
		if (!option) return;
		for (const o of list.querySelectorAll("[tabindex='0']")) o.tabIndex = -1;
		option.tabIndex = 0;
		option.focus();
		moved(option);
	};
	list.addEventListener("click", (event) => {
		const option = event.target.closest("[role=option]");
		if (!option) return;
		to(option);
		clicked(option);
	});
	list.addEventListener("keydown", (event) => {
		const all = [...list.children], i = all.indexOf(document.activeElement);
		if (i < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
		const n = all.length;
		const next = { ArrowRight: (i + 1) % n, ArrowDown: (i + 1) % n, ArrowLeft: (i + n - 1) % n, ArrowUp: (i + n - 1) % n, Home: 0, End: n - 1 }[event.key];
		if (next !== undefined) to(all[next]);
		else if (event.key === "Enter") entered(all[i]);
		else {
			const named = event.key.length === 1 && event.key !== " " && all.find((o) => o.dataset.key === event.key);
			if (!named) return;
			to(named);
		}
		event.preventDefault();
		event.stopPropagation();
	});
};
