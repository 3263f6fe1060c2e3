// The colours of the language, from the tables that the compiler has.

import { HighlightStyle, LanguageSupport, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { tags } from "@lezer/highlight";
import words from "./words.json";

const STYLES = {
  declaration: "keyword", operator: "operatorKeyword", other: "controlKeyword", value: "bool", constant: "atom",
  prior: "macroName", function: "variableName.standard", type: "typeName", given: "self",
};
const KIND = new Map(Object.entries(words).flatMap(([kind, list]) => list.map((word) => [word, STYLES[kind]])));

const parser = {
  name: "sdf",
  startState: () => ({ names: false }),
  token(stream, inside) {
    if (stream.eatSpace()) return null;
    if (stream.match(/##.*/)) return "docComment";
    if (stream.match(/#.*/)) return "lineComment";
    if (stream.match(/"[^"\n]*"?/)) return "string";
    if (stream.match(/(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?/)) return "number";
    const word = stream.match(/[A-Za-z_]\w*/);
    if (word) {
      const declares = inside.names;
      inside.names = words.declaration.includes(word[0]);
      return declares ? "definition" : (KIND.get(word[0]) ?? "variableName");
    }
    stream.next();
    return "operator";
  },
  languageData: { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", "{", '"'] }, indentOnInput: /^\s*\}$/ },
  tokenTable: { definition: tags.definition(tags.name), self: tags.self },
  indent: (state, after, context) => {
    const line = context.lineAt(context.pos, -1);
    const before = context.state.doc.lineAt(line.from).text;
    const base = /^\s*/.exec(before)[0].length + (/[{([]\s*$/.test(before) ? context.unit : 0);
    return /^\s*[})\]]/.test(after) ? Math.max(0, base - context.unit) : base;
  },
};

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.controlKeyword, tags.operatorKeyword], color: "var(--code-keyword)" },
  { tag: [tags.standard(tags.variableName), tags.macroName], color: "var(--code-function)" },
  { tag: [tags.bool, tags.atom, tags.number], color: "var(--code-number)" },
  { tag: tags.typeName, color: "var(--code-type)" },
  { tag: tags.self, color: "var(--code-given)" },
  { tag: tags.string, color: "var(--code-string)" },
  { tag: [tags.lineComment, tags.docComment], color: "var(--code-comment)" },
  { tag: tags.definition(tags.name), color: "var(--code-name)", fontWeight: "600" },
]);

export const sdf = () => new LanguageSupport(StreamLanguage.define(parser), syntaxHighlighting(colours));
