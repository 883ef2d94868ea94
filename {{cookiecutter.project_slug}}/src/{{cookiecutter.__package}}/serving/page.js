// What serves, a form made from its columns, an answer with its explanation, the last drift status.
// Whatever comes from the service is shown as text, never read as HTML: a column may have any name.
"use strict";

const EXPLAINED = "predict?explain=true";
const KEY = "api-key"; // in sessionStorage, which ends with the tab
const MENU = 20; // categories that fit a menu; of more, some are offered while typing
const SHOWN = 8; // columns of an explanation that are shown at once
const METRICS = new Map([["log_loss", "log loss"], ["brier", "Brier score"], ["roc_auc", "ROC AUC"]]);
const UNITS = new Map([["log_odds", "log-odds"]]);
const STATES = new Map([
  ["ok", ["good", "✓ No drift"]],
  ["drift", ["bad", "! Traffic has drifted"]],
  ["insufficient_data", ["", "… Too little traffic to tell"]],
  ["schema_error", ["bad", "! Traffic does not fit the schema"]],
]);

let model;
let fields = [];
let answered; // id of the answer that is shown
let busy = false;

const at = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toLocaleString("en", { maximumSignificantDigits: 3 })}\u00a0%`;
const amount = (number) => Math.abs(number).toFixed(3);
const signed = (number) => (number < 0 ? "−" : "+") + amount(number);
const plain = (value) => (value === null ? "missing" : value === "" ? "(empty)" : value);
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function moment(iso) {
  const shown = new Date(iso).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  return element("time", { dateTime: iso, title: iso }, shown);
}

class Refused extends Error {
  constructor(message, field = null) {
    super(message);
    this.field = field;
  }
}

async function request(path, body) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const post = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let reply;
  try {
    reply = await fetch(path, { headers, ...post });
  } catch {
    throw new Refused("The service does not answer.");
  }
  if (reply.status !== 401) return reply;
  await askForKey(key ? "This key is not accepted." : "");
  return request(path, body);
}

async function json(path, body) {
  const reply = await request(path, body);
  const found = await reply.json().catch(() => null);
  if (reply.ok && found) return found;
  throw new Refused(found?.error ?? `The service answers with status ${reply.status}.`, found?.field);
}

function askForKey(refusal) {
  const dialog = at("key-dialog");
  sessionStorage.removeItem(KEY);
  at("key").value = dialog.returnValue = "";
  dialog.showModal();
  at("key-refused").textContent = refusal;
  return new Promise((resolve, reject) => {
    const close = () => {
      if (dialog.returnValue !== "use") return reject(new Refused("The service asks for an API key."));
      sessionStorage.setItem(KEY, at("key").value);
      at("key").value = "";
      resolve();
    };
    dialog.addEventListener("close", close, { once: true });
  });
}

/** Run a task; what the service refuses goes to `show`, a fault of this page to the console. */
async function attempt(task, show) {
  try {
    await task();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    show(error);
  }
}

function start() {
  at("notice").hidden = true;
  return attempt(
    async () => {
      await look();
      makeForm();
      at("main").hidden = false;
    },
    (error) => {
      at("notice-text").textContent = error.message;
      at("notice").hidden = false;
    },
  );
}

async function look() {
  model = await json("model");
  showModel();
  await attempt(showDrift, (error) => at("drift-reason").replaceChildren(error.message));
}

function showModel() {
  const partitions = (names) => {
    return names.length < 3 ? names.join(", ") : `${names[0]} … ${names.at(-1)} (${names.length})`;
  };
  const facts = [
    ["Version", model.version],
    ["In service since", moment(model.since)],
    ["Made", moment(model.created)],
    ["Trained on", partitions(model.trained_on)],
    ["Judged on", partitions(model.judged_on)],
  ];
  document.title = `${model.name} · predictions`;
  at("name").textContent = model.name;
  at("facts").replaceChildren(
    ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
  at("trouble").textContent = model.trouble;
  at("trouble").hidden = !model.trouble;
  at("yes").textContent = `${model.target}: yes`;
  at("no").textContent = `${model.target}: no`;
  showQuality({}, 0);
}

function showQuality(seen, rows) {
  const live = new Map(Object.entries(seen));
  const heads = ["Metric", "At release", ...(live.size ? ["In service"] : [])];
  const lines = Object.entries(model.metrics).map(([name, value]) => {
    const values = live.size ? [value, live.get(name)] : [value];
    const cells = values.map((x) => element("td", {}, x?.toFixed(4) ?? "–"));
    const head = element("th", { scope: "row" }, METRICS.get(name) ?? name.replaceAll("_", " "));
    return element("tr", {}, head, ...cells);
  });
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  at("quality").replaceChildren(element("thead", {}, head), element("tbody", {}, ...lines));
  at("labelled").textContent = live.size
    ? `In service: ${rows.toLocaleString("en")} answers whose labels have arrived`
    : "No labels have arrived for its answers yet";
}

async function showDrift() {
  const seen = await json("monitoring");
  const [tone, words] = STATES.get(seen.status) ?? ["", seen.status];
  at("drift").className = `state ${tone}`;
  at("drift").textContent = words;
  at("drift-reason").textContent = seen.reason;
  const rows = `: ${seen.rows.toLocaleString("en")} answers of version ${seen.version}`;
  at("drift-seen").replaceChildren("Looked at ", moment(seen.at), rows);
  at("report").hidden = !seen.report;
  if (sessionStorage.getItem(KEY)) at("report").textContent = "Save the report";
  if (seen.version === model.version) showQuality(seen.performance, seen.labelled_rows);
}

/** A link cannot show a key. The report is saved: in a tab of this page's it could not run. */
async function saveReport() {
  const reply = await request("monitoring/report");
  if (!reply.ok) throw new Refused(`The service answers with status ${reply.status}.`);
  const href = URL.createObjectURL(await reply.blob());
  element("a", { href, download: `${model.name}-drift.html` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

function makeForm() {
  const example = new Map(Object.entries(model.example)); // safe with a column named `constructor`
  fields = model.columns.map((column, number) => {
    return makeField(column, `field-${number}`, example.get(column.name) ?? null);
  });
  at("fields").replaceChildren(...fields.map((field) => field.box));
}

function makeField(column, id, given) {
  const known = column.vocabulary;
  const isMenu = known !== null && known.length <= MENU && [null, ...known].includes(given);
  const text = { defaultValue: given ?? "", spellcheck: false };
  const input = isMenu ? menu(column, given) : element("input", text);
  const hints = [column.description];
  const list = element("datalist", { id: `${id}-list` });
  if (!isMenu && known) {
    hints.push(`one of ${known.length.toLocaleString("en")} known values, or another`);
    list.append(...known.map((value) => element("option", { value })));
    input.setAttribute("list", list.id);
  }
  if (known === null) input.inputMode = "decimal";
  if (!isMenu && !column.required) input.placeholder = "missing";
  input.id = id;
  input.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  input.setAttribute("aria-required", column.required);
  const label = element("label", { htmlFor: id }, column.name);
  if (!column.required) label.append(" ", element("span", { className: "quiet" }, "optional"));
  const hint = element("p", { id: `${id}-hint`, className: "quiet" }, hints.filter(Boolean).join("; "));
  const error = element("p", { id: `${id}-error`, className: "bad" });
  const box = element("div", { className: "field" }, label, input, list, hint, error);
  return { column, input, error, isMenu, box };
}

function menu(column, given) {
  const options = column.vocabulary.map((text, value) => {
    return element("option", { value, defaultSelected: text === given }, plain(text));
  });
  if (!column.required) options.unshift(element("option", { value: "" }, plain(null)));
  return element("select", {}, ...options);
}

/** What a field holds, null when it is missing; raises `Refused`. */
function valueOf({ column, input, isMenu }) {
  const { name, required, vocabulary } = column;
  const text = vocabulary ? input.value : input.value.trim();
  if (text === "" && !required) return null;
  if (isMenu) return vocabulary[Number(text)];
  if (text === "" && !vocabulary?.includes("")) throw new Refused("A value is needed here.", name);
  if (vocabulary) return text;
  if (!Number.isFinite(Number(text))) throw new Refused("This is not a number.", name);
  return Number(text);
}

function clearErrors() {
  at("form-error").textContent = "";
  for (const { input, error } of fields) {
    input.removeAttribute("aria-invalid");
    error.textContent = "";
  }
}

function showError(error) {
  const field = fields.find(({ column }) => column.name === error.field);
  (field?.error ?? at("form-error")).textContent = error.message;
  field?.input.setAttribute("aria-invalid", "true");
  field?.input.focus();
}

async function predict() {
  const row = Object.create(null); // a column may be named `__proto__`
  for (const field of fields) row[field.column.name] = valueOf(field);
  const { version, predictions } = await json(EXPLAINED, row);
  if (version !== model.version) { // promoted or rolled back meanwhile
    await look();
  }
  showAnswer(predictions[0], version);
  showExplanation(predictions[0].explanation, row);
  showCurl(row);
  at("details").hidden = false;
  if (at("answer").getBoundingClientRect().top > innerHeight / 2) at("answer").scrollIntoView();
}

function showAnswer({ id, probability, label, unseen }, version) {
  answered = id;
  const fill = element("div", { className: "fill" });
  const mark = element("div", { className: "mark" });
  fill.style.width = `${100 * probability}%`;
  mark.style.left = `${100 * model.threshold}%`;
  const side = probability >= model.threshold ? "not below" : "below";
  const lines = [
    element("p", {}, element("data", { id: "probability", value: probability }, percent(probability)),
      " probability of ", element("b", {}, model.target)),
    element("div", { className: "meter" }, fill, mark),
    element("p", {}, element("b", {}, `${model.target}: ${label ? "yes" : "no"}`),
      `, for it is ${side} the threshold of ${percent(model.threshold)}`),
    element("p", { className: "quiet" }, `Answered by version ${version}`),
  ];
  if (unseen.length) {
    const words = `Never seen in training, so counted as missing: ${unseen.join(", ")}`;
    lines.push(element("p", { className: "bad" }, words));
  }
  at("headline").replaceChildren(...lines);
  at("truth").textContent = "";
  for (const button of [at("yes"), at("no")]) button.removeAttribute("aria-pressed");
}

function showExplanation({ base, unit, method, contributions }, row) {
  const scale = UNITS.get(unit) ?? unit;
  const chance = (x) => (unit === "log_odds" ? ` (${percent(sigmoid(x))})` : "");
  // Sorted here: the keys of a JavaScript object lose their order if they look like numbers.
  const parts = Object.entries(contributions).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const sum = parts.reduce((total, [, part]) => total + part, base);
  const [first, most] = parts[0];
  const largest = Math.abs(most) || 1;
  const line = ([name, part]) => explained(name, row[name], part, largest);
  const table = (...lines) => element("table", { className: "parts" }, element("tbody", {}, ...lines));
  const total = (words, x) => {
    const head = element("th", { scope: "row", colSpan: 2 }, words, chance(x));
    return element("tr", { className: "total" }, head, element("td", {}, (x < 0 ? "−" : "") + amount(x)));
  };
  const heads = ["Column and value", "takes · adds", scale];
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const start = total("A row of which nothing is known", base);
  const adds = most < 0 ? `takes ${amount(most)} from` : `adds ${amount(most)} to`;
  const words = `Most of all, ${first} ${adds} the ${scale}.`;
  const found = [
    element("p", {}, words, " Together, all columns lead from the first line to the last."),
    table(head, start, ...parts.slice(0, SHOWN).map(line)),
  ];
  const rest = parts.slice(SHOWN);
  if (rest.length) {
    const together = signed(rest.reduce((all, [, part]) => all + part, 0));
    const summary = element("summary", {}, `Other columns (${rest.length}), together ${together}`);
    found.push(element("details", {}, summary, table(...rest.map(line))));
  }
  const source = element("p", { className: "quiet" }, `Shapley values, method ${method}`);
  found.push(table(total("This row", sum)), source);
  at("explanation").replaceChildren(...found);
}

function explained(name, value, part, largest) {
  const bar = element("div", { className: part < 0 ? "bar minus" : "bar plus" });
  bar.style.width = `${(50 * Math.abs(part)) / largest}%`;
  const shown = element("span", { className: "quiet" }, plain(value));
  const head = element("th", { scope: "row" }, name, " ", shown);
  return element("tr", {}, head, element("td", { className: "track" }, bar), element("td", {}, signed(part)));
}

function showCurl(row) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = sessionStorage.getItem(KEY) ? ' -H "Authorization: Bearer $SERVE_API_KEY"' : "";
  const address = quoted(new URL(EXPLAINED, location).href);
  at("curl").textContent = `curl -sS ${address}${key} -d ${quoted(JSON.stringify(row))}`;
  at("copied").textContent = "";
}

async function copyCurl() {
  getSelection().selectAllChildren(at("curl"));
  try {
    await navigator.clipboard.writeText(at("curl").textContent); // with HTTPS or on localhost only
    at("copied").textContent = "Copied.";
  } catch {
    at("copied").textContent = "Selected: copy it with Ctrl+C.";
  }
}

async function tell(label) {
  await json("feedback", { id: answered, label });
  at("yes").setAttribute("aria-pressed", label === 1);
  at("no").setAttribute("aria-pressed", label === 0);
  at("truth").textContent = "Noted, thank you. The last one counts.";
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (busy) return;
  busy = true;
  clearErrors();
  await attempt(predict, showError).finally(() => (busy = false));
});
at("form").addEventListener("reset", clearErrors);
at("again").addEventListener("click", start);
at("copy").addEventListener("click", copyCurl);
for (const [id, label] of [["yes", 1], ["no", 0]]) {
  const show = (error) => (at("truth").textContent = error.message);
  at(id).addEventListener("click", () => attempt(() => tell(label), show));
}
at("report").addEventListener("click", (event) => {
  if (!sessionStorage.getItem(KEY)) return;
  event.preventDefault();
  attempt(saveReport, (error) => at("drift-seen").replaceChildren(error.message));
});
start();
