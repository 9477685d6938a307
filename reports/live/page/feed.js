// The stream of events from the server, opened again whenever it breaks, from
// the event after the last that came.
const FIRST = 250, LONGEST = 8000; // ms between attempts

export const token = new URLSearchParams(location.search).get("token") ?? "";

// request is an authorized one; an answer that is not good is thrown as the
// server's own line.
export const request = async (path, options = {}) => {
	const answer = await fetch(path, { ...options, headers: { Authorization: `Bearer ${token}`, ...options.headers } });
	if (answer.ok) return answer;
	const text = await answer.text();
	let said = text.trim();
	try { said = JSON.parse(text).error ?? said; } catch { /* not JSON: as it is */ }
	throw new Error(said || `the server answers ${answer.status}`);
};

// follow calls on[kind](data) for each event, and status with "open", "lost"
// (and the ms until the next attempt) or "refused" (and why).
export const follow = (run, on, status) => {
	let source = null, wait = FIRST, timer = 0, done = false;
	const close = () => { source?.close(); source = null; clearTimeout(timer); };
	const open = () => {
		close();
		const after = run.seq ? `&after=${run.seq}` : "";
		source = new EventSource(`events?token=${encodeURIComponent(token)}${after}`);
		source.onopen = () => { wait = FIRST; status("open"); };
		source.onerror = lost;
		for (const kind of Object.keys(on)) source.addEventListener(kind, (event) => {
			const data = JSON.parse(event.data);
			if (kind !== "snapshot") {
				if (data.seq <= run.seq) return; // came before the connection broke
				if (data.seq > run.seq + 1) run.gaps++;
			}
			on[kind](data);
			run.seq = data.seq;
			if (kind === "over") { done = true; close(); }
		});
	};
	const lost = async () => {
		if (done || !source) return;
		const refused = source.readyState === EventSource.CLOSED; // an answer, but not a stream
		close();
		if (refused) {
			const abort = new AbortController();
			try {
				await request(`events?token=${encodeURIComponent(token)}`, { signal: abort.signal });
				abort.abort();
			} catch (error) {
				if (!(error instanceof TypeError)) return status("refused", error.message);
			}
		}
		const pause = wait * (0.75 + Math.random() / 2); // pages of one server do not come back all at once
		wait = Math.min(wait * 2, LONGEST);
		status("lost", pause);
		timer = setTimeout(open, pause);
	};
	addEventListener("online", () => { if (!source && !done) open(); });
	open();
};
