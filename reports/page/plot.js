// What page.js uses of Observable Plot; build.sh leaves the rest out.
export { plot, lineY, dot, ruleX, ruleY, rectX, cell, areaY, text, tip, pointer, pointerX, gridX, gridY } from "@observablehq/plot";
