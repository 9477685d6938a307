#!/usr/bin/env bash
# Builds plot.min.js and LICENSE.plot from the npm packages that
# package-lock.json pins. Run it after a change to package.json or plot.js, and
# commit what it writes: whoever builds the commands needs no npm. With -check
# it only says whether the committed files are what it would write.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp package.json package-lock.json plot.js "$work"
(
	cd "$work"
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
	npx esbuild plot.js --bundle --minify --format=iife --global-name=Plot --target=es2020 \
		--legal-comments=none --log-level=warning --metafile=meta.json --outfile=plot.min.js
	# The licence of every package that has a part in the bundle.
	node -e '
		const fs = require("fs");
		const inputs = Object.entries(JSON.parse(fs.readFileSync("meta.json")).outputs["plot.min.js"].inputs);
		const packages = new Set(inputs.filter(([, x]) => x.bytesInOutput > 0)
			.map(([path]) => path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean));
		for (const name of [...packages].sort()) {
			const dir = "node_modules/" + name;
			const file = fs.readdirSync(dir).find((f) => /^licen[cs]e/i.test(f));
			const { version, license } = JSON.parse(fs.readFileSync(dir + "/package.json"));
			console.log(`${name} ${version} (${license})\n\n${fs.readFileSync(dir + "/" + file, "utf8").trim()}\n`);
		}' >LICENSE.plot
)
if [ "${1:-}" = -check ]; then
	cmp "$work/plot.min.js" plot.min.js
	cmp "$work/LICENSE.plot" LICENSE.plot
else
	cp "$work/plot.min.js" "$work/LICENSE.plot" .
fi
