// The charts of results, by what data there is.
(() => {
	const several = data.runs > 1; // what one run alone could show is not in data then
	const every = several ? " All runs are shown." : "";
	const faint = several ? 0.55 : 1;
	const named = (columns) => (several ? ["run", ...columns] : columns);
	const row = (x, ...cells) => (several ? [x.run, ...cells] : cells);
	const head = (x) => (several ? `run ${x.run}\n` : ""); // of a figure's text

	for (const s of data.scenarios) {
		const section = "s-" + s.name;
		// each is what take finds in the charts of each run.
		const each = (take) => s.each.map((charts, k) => ({ run: k + 1, charts, data: take(charts) })).filter((x) => x.data?.length > 0);

		const { views, converged } = s.charts;
		if (views?.length) {
			const end = Math.max(converged ?? 0, ...views.map((v) => v.t[v.t.length - 1] ?? 0));
			const [scale, unit] = span(end);
			const points = views.flatMap((v, z) => v.t.map((t, k) => ({ z, t, n: v.n[k], peer: v.peer }))
				.concat(v.t.length ? [{ z, t: end, n: v.n[v.n.length - 1], peer: v.peer }] : []));
			chart(section, {
				id: section + "-views", title: "How many peers each view holds",
				says: `One line a view, from the first birth sent; ${converged != null ? `complete after ${time(converged)}` : "never complete"}.`,
				series: views.length,
				columns: ["view of", "time (s)", "peers in the view"],
				rows: views.flatMap((v) => v.t.map((t, k) => [v.peer, t, v.n[k]])),
				draw: () => ({
					x: { label: `time since the first birth (${unit}) →`, domain: [0, (end / scale) * 1.02] },
					y: { label: "↑ peers in the view", domain: [0, s.peers], nice: true, tickSize: 0 },
					marks: [...grid,
						Plot.lineY(points, { x: (d) => d.t / scale, y: "n", z: "z", curve: "step-after", stroke: color(0), strokeOpacity: 0.4, strokeWidth: 1.2, className: "series" }),
						...(converged != null ? [
							Plot.ruleX([converged / scale], { stroke: "var(--good)", strokeWidth: 1.5, strokeDasharray: "5 3" }),
							Plot.text(["converged " + time(converged)], { x: converged / scale, frameAnchor: "top", textAnchor: "end", dx: -6, dy: -14, fill: "var(--good)", fontWeight: 600 }),
						] : []),
						tip(points, { x: (d) => d.t / scale, y: "n", title: (d) => `view of ${d.peer}\n${d.n} peers from ${time(d.t)} on` })],
				}),
			});
		}

		const latency = each((c) => c.latency?.filter((b) => b.n > 0));
		if (latency.length) {
			// A window's p99 takes ten messages beyond it; its percentiles are upper
			// bounds, which the maximum may tighten.
			const supported = latency.every((x) => x.data.some((b) => b.n >= 1000));
			for (const x of latency) x.data = x.data.map((b) => ({ ...b, raw: b, p50: Math.min(b.p50, b.max), p99: b.n >= 1000 ? Math.min(b.p99, b.max) : null }));
			const lines = supported ? ["p50", "p99", "max"] : ["p50", "max"];
			const lost = latency.flatMap((x) => x.data.filter((b) => b.lost > 0).map((b) => ({ ...b, x })));
			const values = latency.flatMap((x) => x.data.flatMap((b) => lines.map((k) => b[k]))).filter((v) => v > 0);
			chart(section, {
				id: section + "-latency", title: "Latency over time, from due time",
				says: `Messages by when they were due, in windows of ${time(latency[0].data[0].width)}. Percentiles are upper bounds within a quarter.${lost.length ? " Triangles: windows that lost messages." : ""}${every}`,
				legend: lines.map((k, i) => [k, color(i)]),
				series: latency.length * lines.length,
				columns: named(["from (s)", "width (s)", "messages", "p50 (s)", "p99 (s)", "max (s)", "lost"]),
				rows: latency.flatMap((x) => x.data.map(({ raw: b }) => row(x, b.t, b.width, b.n, b.p50, b.p99, b.max, b.lost))),
				draw: (w, small) => ({
					x: { label: "time (s) →" },
					y: logarithmic("↑ latency", values, time),
					marks: [gridY(logarithmic("", values, time).ticks), ...latency.flatMap((x) => lines.map((k, i) =>
						Plot.lineY(x.data.filter((b) => b[k] > 0), { x: (b) => b.t + b.width / 2, y: k, stroke: color(i), strokeOpacity: faint, strokeWidth: k === "p50" ? 1.8 : 1.1, className: "series" }))),
					Plot.dot(lost, { x: (b) => b.t + b.width / 2, frameAnchor: "bottom", symbol: "triangle", fill: "var(--bad)", r: 4 }),
					Plot.ruleX(latency[0].data, Plot.pointerX({ x: (b) => b.t + b.width / 2, stroke: "var(--soft)", strokeOpacity: 0.5 })),
					tip(latency.flatMap((x) => x.data.map((b) => ({ ...b, x }))), { x: (b) => b.t + b.width / 2, y: "max", title: (b) => `${head(b.x)}${digits(b.t)} s: ${b.n} messages\np50 ${time(b.p50)}${b.p99 ? "\np99 " + time(b.p99) : ""}\nmax ${time(b.max)}\nlost ${b.lost}` }, Plot.pointerX)],
				}),
			});
		}

		const curves = [["latency", "from actual send", "", 0], ["latency_due", "from due time", "6 3", 1]].filter(([k]) => s.percentiles?.[k])
			.map(([k, says, dash, i]) => ({ says, dash, stroke: color(i), p: s.percentiles[k].filter((b) => b.v > 0) }));
		const reach = Math.max(...curves.flatMap((c) => c.p.map((b) => 1 / (1 - b.q))));
		if (reach > 1) { // or all took alike
			const ticks = [1, 2, 10, 100, 1000, 1e4, 1e5, 1e6].filter((v) => v <= reach * 1.01);
			const y = logarithmic("↑ latency", curves.flatMap((c) => c.p.map((b) => b.v)), time);
			const atPercent = (v) => Number((100 * (1 - 1 / v)).toPrecision(7)) + " %";
			chart(section, {
				id: section + "-percentiles", title: "Latency by percentile",
				says: "How large a part of the messages took at most so long. Both axes logarithmic; it ends where fewer than ten messages lie beyond.",
				legend: curves.map((c) => [c.says, c.stroke, c.dash]),
				series: curves.length,
				columns: ["latency", "quantile", "at most (s)"],
				rows: curves.flatMap((c) => c.p.map((b) => [c.says, b.q, b.v])),
				draw: (w, small) => ({
					x: { label: "percentile →", type: "log", domain: [1, reach], ticks: ticks.slice(small ? 1 : 0), tickFormat: atPercent },
					y,
					marks: [gridY(y.ticks), Plot.gridX(ticks, { stroke: "var(--line)", strokeOpacity: 1 }),
					...curves.map((c) => Plot.lineY(c.p, { x: (b) => 1 / (1 - b.q), y: "v", stroke: c.stroke, strokeWidth: 2, strokeDasharray: c.dash, className: "series" })),
					tip(curves.flatMap((c) => c.p.map((b) => ({ ...b, c }))), { x: (b) => 1 / (1 - b.q), y: "v", title: (b) => `${b.c.says}\n${Number((b.q * 100).toPrecision(6))} % at most ${time(b.v)}` })],
				}),
			});
		}

		const names = s.names ?? [], n = names.length;
		const cells = names.flatMap((_, i) => names.map((_, j) => ({ i, j, sent: s.charts.pairs.sent[i * n + j], lost: s.charts.pairs.lost[i * n + j], max: s.charts.pairs.max_us[i * n + j] })))
			.filter((c) => c.sent > 0);
		for (const [id, title, value, format, scheme, text] of [
			["loss", "Loss, sender by receiver", (c) => c.lost / c.sent, percent, "ylorrd", (c) => percent(c.lost / c.sent)],
			["slowest", "Slowest message, sender by receiver", (c) => c.max / 1e6, time, "viridis", (c) => `at most ${time(c.max / 1e6)}`],
		]) {
			if (!cells.length) continue;
			const values = cells.map(value).filter((v) => v > 0);
			const [low, high] = values.length ? [id === "loss" ? 0 : Math.min(...values), Math.max(...values)] : [0, 0];
			if (low === high) continue; // nothing was lost, or all took alike: the text says so
			const losing = cells.filter((c) => c.lost > 0).length;
			const [scale, unit] = id === "loss" ? [0.01, "%"] : span(high);
			const says = id === "loss" ? `${losing.toLocaleString("en-US")} of ${cells.length.toLocaleString("en-US")} pairs lost something.` : "From actual send.";
			chart(section, {
				id: `${section}-${id}`, title, series: cells.length, square: true,
				says: `${says} Colours from ${format(low)} (${id === "loss" ? "light" : "dark"}) to ${format(high)} (${id === "loss" ? "dark" : "light"})${id === "loss" ? "; grey: none" : ""}.`,
				columns: ["sender", "receiver", "sent", "lost", "slowest (µs)"],
				rows: cells.map((c) => [names[c.i], names[c.j], c.sent, c.lost, c.max]),
				draw: (w, small) => {
					const step = Math.ceil(n / (small ? 12 : 26));
					const axis = { domain: [...Array(n).keys()], ticks: [...Array(n).keys()].filter((k) => k % step === 0), tickFormat: (k) => names[k], tickSize: 0, padding: n > 40 ? 0 : 0.06 };
					const fill = (c) => value(c) / scale;
					return {
						height: Math.min(w, 560) + 40, width: Math.min(w, 600), marginLeft: 46, marginTop: 12,
						x: { label: "receiver →", ...axis }, y: { label: "↓ sender", ...axis },
						color: { legend: true, width: Math.min(w, 260), marginLeft: 12, type: "linear", scheme, domain: [low / scale, high / scale], range: [0.22, 1], label: `${id} (${unit})` },
						marks: [Plot.cell(cells.filter((c) => !(value(c) > 0)), { x: "j", y: "i", fill: "var(--none)", className: "series" }),
						Plot.cell(cells.filter((c) => value(c) > 0), { x: "j", y: "i", fill, className: "series" }),
						tip(cells, { x: "j", y: "i", title: (c) => `${names[c.i]} to ${names[c.j]}\n${text(c)}\n${c.sent} sent, ${c.lost} lost` })],
					};
				},
			});
		}

		const noticed = each((c) => c.noticed);
		if (noticed.length) {
			const dots = noticed.flatMap((x) => [...x.data].sort((a, b) => a.seconds - b.seconds).map((d, k) => ({ ...d, k: k + 1, x })));
			const ideal = noticed.find((x) => x.charts.ideal)?.charts.ideal;
			chart(section, {
				id: section + "-noticed", title: "When each view noticed",
				says: `One dot a view and change, in the order they noticed.${ideal ? ` Shaded: the protocol's own window, ${digits(ideal[0])} to ${digits(ideal[1])} s.` : ""}${every}`,
				series: dots.length,
				columns: named(["view of", "noticed", "after (s)"]), rows: dots.map((d) => row(d.x, d.peer, d.of, d.seconds)),
				draw: () => ({
					x: { label: "time since the change (s) →", domain: [Math.min(ideal ? ideal[0] - 0.1 : Infinity, ...dots.map((d) => d.seconds)), Math.max(ideal ? ideal[1] + 0.1 : 0, ...dots.map((d) => d.seconds))], nice: true },
					y: { label: "↑ views that had noticed", domain: [0, Math.max(...dots.map((d) => d.k))], nice: true, tickSize: 0 },
					marks: [...(ideal ? [Plot.rectX([ideal], { x1: ideal[0], x2: ideal[1], fill: "var(--band)" })] : []), ...grid,
					Plot.dot(dots, { x: "seconds", y: "k", r: 2.6, fill: color(0), fillOpacity: 0.75, className: "series" }),
					tip(dots, { x: "seconds", y: "k", title: (d) => `${head(d.x)}view of ${d.peer}\nnoticed ${d.of} after ${time(d.seconds)}` })],
				}),
			});
		}

		const disagreement = each((c) => c.disagreement);
		if (disagreement.length) {
			const dots = disagreement.flatMap((x) => x.data.map((d) => ({ ...d, x })));
			chart(section, {
				id: section + "-disagreement", title: "Disagreement over time",
				says: `Part of the live peers whose view differs from the truth.${every}`, series: disagreement.length,
				columns: named(["time (s)", "part of the peers"]), rows: dots.map((d) => row(d.x, d.t, d.v)),
				draw: () => ({
					x: { label: "time (s) →" }, y: { label: "↑ peers that differ (%)", domain: [0, 100], transform: (v) => v * 100, tickSize: 0 },
					marks: [...grid, ...disagreement.flatMap((x) => [
						...(several ? [] : [Plot.areaY(x.data, { x: "t", y: "v", curve: "step-after", fill: color(0), fillOpacity: 0.15 })]),
						Plot.lineY(x.data, { x: "t", y: "v", z: null, curve: "step-after", stroke: color(0), strokeOpacity: faint, strokeWidth: 1.6, className: "series" })]),
					tip(dots, { x: "t", y: "v", title: (d) => `${head(d.x)}${digits(d.t)} s: ${percent(d.v)} differ` }, Plot.pointerX)],
				}),
			});
		}

		const trials = each((c) => c.trials && [...c.trials].sort((a, b) => a.offered - b.offered));
		if (trials.length) {
			const dots = trials.flatMap((x) => x.data.map((d) => ({ ...d, x })));
			const columns = named(["offered (messages/s)", "delivered (messages/s)", "loss", "p50 (s)", "p99 (s)", "seconds", "what gave way"]);
			const rows = dots.map((d) => row(d.x, d.offered, d.delivered, d.loss, d.p50, d.p99, d.seconds, d.cause || ""));
			const title = (d) => `${head(d.x)}offered ${rate(d.offered)}\ndelivered ${rate(d.delivered)}\nloss ${percent(d.loss)}\np50 ${time(d.p50)}, p99 ${time(d.p99)}${d.cause ? "\n" + d.cause : ""}`;
			const x = logarithmic("offered rate →", dots.map((d) => d.offered), rate);
			const found = () => (s.rate_lossless == null ? [] : [
				Plot.ruleX([s.rate_lossless], { stroke: "var(--good)", strokeDasharray: "5 3", strokeWidth: 1.5 }),
				Plot.text(["found " + rate(s.rate_lossless)], { x: s.rate_lossless, frameAnchor: "top", textAnchor: "end", dx: -6, dy: -14, fill: "var(--good)", fontWeight: 600 })]);
			chart(section, {
				id: section + "-rate", title: "Offered rate against delivered rate", says: `One dot a trial; on the dotted line nothing is lost, red dots lost messages.${every}`,
				series: dots.length, columns, rows,
				draw: () => ({
					x, y: logarithmic("↑ delivered rate", dots.flatMap((d) => [d.offered, d.delivered]).filter((v) => v > 0), rate),
					marks: [ Plot.lineY(dots.map((d) => d.offered).sort((a, b) => a - b), { x: (d) => d, y: (d) => d, stroke: "var(--soft)", strokeDasharray: "2 4" }), ...found(),
					...trials.map((t) => Plot.dot(t.data.filter((d) => d.delivered > 0), { x: "offered", y: "delivered", r: 4, fill: (d) => (d.loss > 0 ? "var(--bad)" : color(0)), stroke: color(0), className: "series" })),
					tip(dots.filter((d) => d.delivered > 0), { x: "offered", y: "delivered", title })],
				}),
			});
			const timed = dots.filter((d) => d.p99 > 0 && d.p50 > 0);
			if (timed.length) chart(section, {
				id: section + "-load", title: "Latency by offered rate, from due time", says: `p50 and p99 of each trial.${every}`,
				legend: [["p50", color(0)], ["p99", color(1)]],
				series: 2 * trials.length, columns, rows,
				draw: () => ({
					x, y: logarithmic("↑ latency", timed.flatMap((d) => [d.p50, d.p99]), time),
					marks: [gridY(steps(timed.flatMap((d) => [d.p50, d.p99]))), ...found(), ...trials.flatMap((t) => ["p50", "p99"].map((k, i) =>
						Plot.lineY(t.data.filter((d) => d[k] > 0), { x: "offered", y: k, stroke: color(i), strokeWidth: 1.8, marker: "dot", className: "series" }))),
					tip(timed, { x: "offered", y: "p99", title })],
				}),
			});
		}
	}
})();
