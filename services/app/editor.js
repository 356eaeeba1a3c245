// The editor of match SQL, bundled once into `kalla_app/static/vendor/editor.js` by
// `renew_assets.py`.
//
// It takes the place of the textarea `#sql`, which stays what the form sends; without script, or
// where this is not loaded, the textarea is the editor. All of it lives in a shadow root: only
// there CodeMirror's styles are sheets of its own, which a strict Content-Security-Policy allows.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { HighlightStyle, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { PostgreSQL, SQLDialect, sql as sqlLanguage } from "@codemirror/lang-sql";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--warn)" },
  { tag: [tags.comment, tags.lineComment, tags.blockComment], color: "var(--soft)", fontStyle: "italic" },
  { tag: [tags.standard(tags.name), tags.typeName], color: "var(--bad)" },
]);

const theme = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "var(--raised)", fontSize: "13px", minHeight: "316px", maxHeight: "70vh" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "21px", overflow: "auto" },
  ".cm-content": { padding: "10px 0", caretColor: "var(--ink)" },
  ".cm-line": { padding: "0 12px" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--soft)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 8px 0 10px" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)",
  },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--accent-wash)", outline: "1px solid var(--accent)" },
  ".cm-placeholder": { color: "var(--soft)", whiteSpace: "pre" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--bad)",
    textUnderlineOffset: "4px",
    backgroundColor: "var(--bad-wash)",
  },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "8px", overflow: "hidden" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "14em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "4px 10px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent-wash)", color: "var(--ink)" },
  ".cm-completionDetail": { color: "var(--soft)", fontStyle: "normal" },
  ".cm-diagnostic": { padding: "6px 12px", maxWidth: "60ch", font: "400 14px/1.5 Inter, system-ui, sans-serif" },
  ".cm-diagnostic-error": { borderLeft: "4px solid var(--bad)" },
});

function placeOf(text, line, column) {
  const row = text.line(Math.min(Math.max(line, 1), text.lines));
  const from = Math.min(row.from + Math.max(column - 1, 0), row.to);
  const word = text.sliceString(from, row.to).match(/^(?:[\w.]+|"[^"]*")/);
  return { from, to: Math.min(row.to, from + (word ? word[0].length : 1)) };
}

function diagnosticsOf(text) {
  return [...document.querySelectorAll("[data-line]")].map((button) => ({
    ...placeOf(text, Number(button.dataset.line), Number(button.dataset.column)),
    severity: "error",
    message: button.dataset.message,
  }));
}

// What the browser has selected: the editor learns of it only a moment after it was.
function selected(view) {
  const { from, to } = view.state.selection.main;
  const own = view.root.getSelection?.() ?? document.getSelection();
  if (!own?.anchorNode || !view.contentDOM.contains(own.anchorNode)) return [from, to];
  const ends = [view.posAtDOM(own.anchorNode, own.anchorOffset), view.posAtDOM(own.focusNode, own.focusOffset)];
  return ends.sort((one, other) => one - other);
}

// What is typed in place of something, takes it away, or has several lines is put in here: a browser
// would give what it joins or replaces the styles that were there, which the policy refuses.
function replaced(event, view) {
  const text = /^delete(?!By)/.test(event.inputType) ? "" : event.inputType === "insertText" ? event.data : null;
  if (text === null || event.isComposing || view.state.readOnly) return false;
  const [anchor, head] = selected(view);
  if (anchor === head && !text.includes("\n")) return false;
  event.preventDefault();
  view.dispatch({ selection: { anchor, head } });
  const how = { userEvent: text ? "input.type" : "delete", scrollIntoView: true };
  const change = () => view.state.update(view.state.replaceSelection(text), how);
  const handlers = text ? view.state.facet(EditorView.inputHandler) : []; // a bracket goes around lines
  if (!handlers.some((handle) => handle(view, anchor, head, text, change))) view.dispatch(change());
  return true;
}

function replace(area) {
  const columns = JSON.parse(area.dataset.schema || "{}");
  const functions = (area.dataset.functions || "").split(" ").filter(Boolean);
  const schema = {};
  for (const [table, found] of Object.entries(columns)) {
    schema[table] = found.map(({ name, type }) => ({
      label: name,
      detail: type,
      type: "property",
      apply: /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`,
    }));
  }
  const dialect = SQLDialect.define({ ...PostgreSQL.spec, builtin: functions.join(" ") });
  const calls = (context) => {
    const word = context.matchBefore(/\w+/);
    const after = word && context.state.sliceDoc(Math.max(0, word.from - 1), word.from) === ".";
    if (!word || after) return null;
    const options = functions.map((label) => ({ label, type: "function", apply: `${label}(` }));
    return { from: word.from, options };
  };
  const language = sqlLanguage({ dialect, schema, upperCaseKeywords: true });
  const host = document.createElement("div");
  host.className = "sql-host";
  const root = host.attachShadow({ mode: "open" });
  const box = area.closest(".sql");
  box.append(host);
  const submit = () => {
    area.form.requestSubmit(area.form.querySelector("[value=check]"));
    return true;
  };
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        lineNumbers(),
        lintGutter(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        bracketMatching(),
        closeBrackets(),
        autocompletion(),
        language,
        language.language.data.of({ autocomplete: calls }),
        syntaxHighlighting(colours),
        theme,
        placeholder(area.placeholder),
        EditorState.readOnly.of(area.readOnly),
        EditorView.contentAttributes.of({
          "aria-label": area.labels[0]?.textContent.trim() || "Match SQL",
          "aria-multiline": "true",
          tabindex: "0", // what scrolls has to be reached by keyboard, and some browsers ask for this
          spellcheck: "false",
        }),
        EditorView.domEventHandlers({ beforeinput: replaced }),
        keymap.of([
          { key: "Mod-Enter", run: submit },
          ...closeBracketsKeymap,
          ...defaultKeymap,
          ...historyKeymap,
          ...completionKeymap,
          ...lintKeymap,
        ]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) area.value = update.state.doc.toString();
        }),
      ],
    }),
  });
  view.dispatch(setDiagnostics(view.state, diagnosticsOf(view.state.doc)));
  box.classList.add("edited");
  area.required = false; // a field that is not seen cannot be pointed at; the recipe is checked
  area.hidden = true;
  for (const label of area.labels) label.addEventListener("click", () => view.focus());
  area.goTo = (line, column) => {
    const { from, to } = placeOf(view.state.doc, line, column);
    view.dispatch({ selection: { anchor: from, head: to }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
    view.focus();
  };
  area.insert = (text) => {
    view.dispatch(view.state.replaceSelection(text));
    view.focus();
  };
}

const area = document.getElementById("sql");
if (area) replace(area);
