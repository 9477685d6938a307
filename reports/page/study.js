(() => {
	const report = JSON.parse(document.getElementById("data").textContent);
	const second = (ns) => ns / 1e9;
	const refreshed = (r) => (r.timing.Refresh ? `refresh ${time(second(r.timing.Refresh)).replace(/\.?0+ /, " ")}` : "no refresh");
	const distinct = (rows, key) => [...new Set(rows.map(key))];
	// group splits rows by a key, in the order of their first.
	const group = (rows, key) => distinct(rows, key).map((k) => ({ key: k, rows: rows.filter((r) => key(r) === k) }));
	const DASH = "5 3";
	const short = (v) => String(Number(v.toPrecision(3))); // for the ticks of an axis
	const shortly = (v) => short(v) + " s";
	const part = (v) => short(v * 100) + " %";

	// curves draws one line a series, with intervals where there are any.
	const curves = (section, { id, title, says, series, x, y, low, high, columns, cells, text, axisX, axisY, extra = () => [] }) => {
		const shown = series.map((s) => ({ ...s, rows: s.rows.filter((r) => y(r) !== null && y(r) !== undefined && (axisY.type !== "log" || y(r) > 0)) })).filter((s) => s.rows.length);
		const all = shown.flatMap((s) => s.rows.map((r) => ({ r, s })));
		if (!all.length) return;
		chart(section, {
			id, title, says, legend: shown.map((s) => [s.name, s.color, s.dash]), series: shown.length,
			columns: ["series", ...columns], rows: series.flatMap((s) => s.rows.map((r) => [s.name, ...cells(r)])),
			draw: () => ({
				x: axisX, y: axisY,
				marks: [gridY(axisY.ticks), ...extra(), ...shown.flatMap((s) => [
					...(low ? [Plot.ruleX(s.rows, { x, y1: (r) => (axisY.type === "log" ? Math.max(low(r), axisY.domain[0]) : low(r)), y2: high, stroke: s.color, strokeOpacity: 0.45, strokeWidth: 3 })] : []),
					Plot.dot(s.rows, { x, y, r: 2.4, fill: s.color }),
					Plot.lineY(s.rows, { x, y, stroke: s.color, strokeWidth: 1.7, strokeDasharray: s.dash, className: "series" })]),
				tip(all, { x: (d) => x(d.r), y: (d) => y(d.r), title: (d) => `${d.s.name}\n${text(d.r)}` })],
			}),
		});
	};
	const plain = (label, format) => ({ label, tickSize: 0, nice: true, tickFormat: format });
	const log = (label, values, format) => ({ ...logarithmic(label, values, format), clamp: false });
	const exponent = (v) => (v >= 0.01 ? short(v) : v.toExponential(0).replace("e-", "e−"));

	// byPeers are the series of a study: a colour for each size of mesh, dashes without refresh.
	const byPeers = (rows) => {
		const sizes = distinct(rows, (r) => r.peers);
		return group(rows, (r) => `${r.peers} peers, ${refreshed(r)}`).map(({ key, rows }) => ({
			name: key, rows, color: color(sizes.indexOf(rows[0].peers)), dash: rows[0].timing.Refresh ? "" : DASH }));
	};

	const loss = report.loss ?? [];
	if (loss.length) {
		const culled = loss.filter((r) => r.culls > 0);
		if (culled.length) {
			const theory = group(loss.filter((r) => r.theory > 0), (r) => refreshed(r));
			const y = log("↑ culls a peer-hour", culled.flatMap((r) => [r.low, r.high, r.rate]).filter((v) => v > 0), exponent);
			curves("loss", {
				id: "loss-culls", title: "How often loss removes a live peer", series: byPeers(loss).map((s) => ({ ...s, dash: s.dash })),
				says: "Bars: 95 % intervals. Grey: theory, k keep-alives in a row lost; births of the refresh are signs of life, too.",
				x: (r) => r.loss, y: (r) => r.rate, low: (r) => r.low, high: (r) => r.high,
				axisX: plain("loss →", part), axisY: y,
				columns: ["loss", "culls", "peer-hours", "culls/h", "low", "high", "theory"], cells: (r) => [r.loss, r.culls, r.peer_hours, r.rate, r.low, r.high, r.theory],
				text: (r) => `${percent(r.loss)} lost: ${digits(r.rate)} an hour\n95 % interval ${digits(r.low)} to ${digits(r.high)}, theory ${digits(r.theory)}`,
				extra: () => theory.map((g) => Plot.lineY(g.rows.filter((r) => r.peers === g.rows[0].peers && r.theory >= y.domain[0] && r.theory <= y.domain[1]), { x: "loss", y: "theory", stroke: "var(--soft)", strokeOpacity: 0.5, strokeWidth: 5 })),
			});
		}
		curves("loss", {
			id: "loss-detection", title: "Until a survivor has noticed a death", series: byPeers(loss),
			says: "Mean over survivors and deaths; who has not noticed within 30 s counts as 30 s. Without loss: 1.0 to 2.0 s by design.",
			x: (r) => r.loss, y: (r) => r.views.mean, axisX: plain("loss →", part), axisY: { ...plain("↑ time to notice", shortly), zero: true },
			columns: ["loss", "samples", "never", "mean (s)", "p50 (s)", "p95 (s)", "p99 (s)", "server p50 (s)", "server max (s)"],
			cells: (r) => [r.loss, r.views.n, r.views.never, r.views.mean, r.views.p50, r.views.p95, r.views.p99, r.server.p50, r.server.max],
			text: (r) => `${percent(r.loss)} lost: ${time(r.views.mean)} on average\n${r.views.never} of ${r.views.n} did not notice`,
		});
	}

	const says = { restart: "The server comes back knowing nobody.", partition: "Half of the peers were cut off from the server, and reaped.", lost: "A peer joined while half of the directories were lost." };
	for (const { key, rows } of group(report.heal ?? [], (r) => r.cause)) {
		const fresh = rows.filter((r) => r.timing.Refresh > 0);
		const exact = rows.filter((r) => !r.timing.Refresh);
		const sizes = distinct(rows, (r) => r.peers);
		const meshes = exact.reduce((n, r) => n + r.n, 0);
		const unhealed = exact.reduce((n, r) => n + r.never, 0);
		curves("heal", {
			id: "heal-" + key, title: "Time to heal: " + key,
			says: `${says[key]} Median, bars to the maximum.${meshes ? ` Without refresh: ${unhealed === meshes ? "never" : `${unhealed} of ${meshes} meshes never`}.` : ""}`,
			series: sizes.map((n, i) => ({ name: `${n} peers`, rows: fresh.filter((r) => r.peers === n), color: color(i), dash: "" })),
			x: (r) => second(r.timing.Refresh), y: (r) => r.p50, low: (r) => r.p50 ?? 0, high: (r) => r.max ?? r.p50,
			axisX: plain("refresh interval →", shortly), axisY: { ...plain("↑ time to heal", shortly), zero: true },
			columns: ["refresh (s)", "meshes", "never", "p50 (s)", "p95 (s)", "max (s)"], cells: (r) => [second(r.timing.Refresh), r.n, r.never, r.p50, r.p95, r.max],
			text: (r) => `refresh ${digits(second(r.timing.Refresh))} s: p50 ${time(r.p50)}, max ${r.max === null ? "never" : time(r.max)}`,
		});
	}

	for (const { key, rows } of group(report.churn ?? [], (r) => r.loss)) {
		const theory = key === 0 ? [...new Map(rows.map((r) => [r.deaths, r])).values()].sort((a, b) => a.deaths - b.deaths) : [];
		curves("churn", {
			id: "churn-" + key, title: `Views that are wrong under churn, ${part(key)} of the datagrams lost`,
			says: `Part of the live peers whose view is not who is alive, over time. Bars: 95 % intervals.${theory.length ? " Grey: theory." : ""}`,
			series: byPeers(rows), x: (r) => r.deaths, y: (r) => r.mean, low: (r) => r.low, high: (r) => r.high,
			axisX: log("deaths a second in the mesh →", rows.map((r) => r.deaths), short), axisY: { ...plain("↑ wrong views", part), domain: [0, 1] },
			columns: ["deaths/s", "wrong", "low", "high", "theory"], cells: (r) => [r.deaths, r.mean, r.low, r.high, r.theory],
			text: (r) => `${digits(r.deaths)} deaths a second: ${percent(r.mean)} wrong\n95 % interval ${percent(r.low)} to ${percent(r.high)}`,
			extra: () => [Plot.lineY(theory, { x: "deaths", y: "theory", stroke: "var(--soft)", strokeOpacity: 0.5, strokeWidth: 5 })],
		});
	}

	// The sweep: each pair of what a setting is judged by.
	const sweep = report.sweep ?? [];
	const varied = ["Heartbeat", "Reap", "Deadline", "Refresh"].filter((k) => distinct(sweep, (r) => r.timing[k]).length > 1);
	const setting = (r) => varied.map((k) => `${{ Heartbeat: "keep-alive", Reap: "reap", Deadline: "deadline", Refresh: "refresh" }[k]} ${r.timing[k] ? Number(second(r.timing[k]).toPrecision(4)) + " s" : "off"}`).join(", ") || "as it is";
	const rare = 1 / (365 * 24); // fewer culls than one in a peer's year count as none
	const judged = {
		view: { of: (r) => r.views.mean, label: "time to notice", format: shortly },
		culls: { of: (r) => Math.max(r.theory, rare), label: "false culls a peer-hour", format: exponent },
		traffic: { of: (r) => r.traffic, label: "datagrams a second", format: short },
	};
	// One colour for each value of what is varied beside the deadline.
	const by = varied.filter((k) => k !== "Deadline")[0] ?? "Deadline";
	const shades = distinct(sweep, (r) => r.timing[by]).sort((a, b) => a - b);
	const shade = (r) => color(shades.indexOf(r.timing[by]));
	for (const [x, y] of sweep.length ? [["view", "culls"], ["traffic", "culls"], ["traffic", "view"]] : []) {
		const X = judged[x], Y = judged[y];
		const dots = sweep.filter((r) => X.of(r) > 0 && Y.of(r) > 0);
		if (!dots.length) continue;
		const name = { Heartbeat: "keep-alive", Reap: "reap", Deadline: "deadline", Refresh: "refresh" }[by];
		chart("sweep", {
			id: `sweep-${x}-${y}`, wide: x === "view", title: `${Y.label[0].toUpperCase()}${Y.label.slice(1)} against ${X.label}`,
			says: "One dot a setting, less is better on both axes; filled: no other setting is as good in all of time to notice, culls and traffic, and better in one; less than one cull in a peer's year counts as none.",
			legend: shades.length <= 8 ? shades.map((v, i) => [`${name} ${v ? Number(second(v).toPrecision(4)) + " s" : "off"}`, color(i)]) : [],
			series: dots.length, columns: ["setting", "time to notice (s)", "culls/h, measured", "culls/h, theory", "datagrams/s", "front"],
			rows: sweep.map((r) => [setting(r), r.views.mean, r.rate, r.theory, r.traffic, r.front ? "yes" : "no"]),
			draw: () => {
				const scale = (j, label) => log(label, dots.map(j.of), j.format);
				const axisY = scale(Y, "↑ " + Y.label);
				return {
					x: scale(X, X.label + " →"), y: axisY,
					marks: [gridY(axisY.ticks),
						Plot.dot(dots.filter((r) => !r.front), { x: X.of, y: Y.of, r: 3.5, stroke: shade, strokeOpacity: 0.55, className: "series" }),
						Plot.dot(dots.filter((r) => r.front), { x: X.of, y: Y.of, r: 4.5, fill: shade, stroke: "var(--back)", className: "series" }),
						tip(dots, { x: X.of, y: Y.of, title: (r) => `${setting(r)}${r.front ? " (front)" : ""}\nnotice ${time(r.views.mean)}, culls ${exponent(r.theory)}/h\n(measured ${digits(r.rate)}/h), ${digits(r.traffic)} datagrams/s` })],
				};
			},
		});
	}
	document.documentElement.dataset.drawn = "yes";
})();
