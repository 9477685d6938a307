// What one can do to the mesh from the page.
import { request } from "./feed.js";

export class Hands {
	constructor(root, { select, obeyed }) {
		this.obeyed = obeyed;
		this.root = root;
		this.form = root.querySelector("form");
		this.said = root.querySelector("[role=status]");
		this.script = root.querySelector("pre");
		this.lines = [];
		this.form.elements.peer.addEventListener("change", (event) => select(event.target.selectedIndex - 1));
		this.form.addEventListener("submit", (event) => { event.preventDefault(); this.order(event.submitter?.value); });
	}

	peers(names) {
		const { peer, other } = this.form.elements;
		const options = (names) => names.map((name) => element("option", { value: name }, name));
		peer.replaceChildren(element("option", { value: "" }, "choose"), ...options(names));
		other.replaceChildren(element("option", { value: "" }, "every other"), element("option", { value: "server" }, "server"), ...options(names));
	}

	select(i) { this.form.elements.peer.selectedIndex = (i ?? -1) + 1; }

	// order sends one, and says what the server made of it.
	async order(verb) {
		if (!verb) return;
		const f = this.form.elements, order = { verb };
		if (["kill", "pause", "resume", "relaunch"].includes(verb)) order.peer = f.peer.value;
		if (["cut", "heal", "impair"].includes(verb)) {
			order.half = f.half.checked;
			if (!order.half) Object.assign(order, { peer: f.peer.value, other: f.other.value });
		}
		if (verb === "impair") Object.assign(order, { loss: Number(f.loss.value) / 100, delay: f.delay.value + "ms" });
		if (verb === "flood") Object.assign(order, { kind: f.kind.value, rate: Number(f.rate.value) });
		if (order.peer === "") return this.say(`choose a peer to ${verb}`, true);
		try {
			const { script } = await (await request("hand", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(order) })).json();
			this.say(script, false);
			this.obeyed();
			this.lines.push(script);
			this.script.textContent = this.lines.join("\n");
			this.script.parentElement.hidden = false;
		} catch (error) {
			this.say(error instanceof TypeError ? "the server does not answer" : error.message, true);
		}
	}

	say(text, bad) {
		this.said.textContent = text;
		this.said.className = bad ? "bad" : "good";
	}
}
